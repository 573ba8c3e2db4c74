/** The JSON Schemas of the durable queues (documents.ts). */
import { integer, list, record, type Schema, text, textOrNull } from './schemas.ts';

const integerOrNull = (description: string): Schema => ({ type: ['integer', 'null'], description });
const truth = (description: string): Schema => ({ type: 'boolean', description });
const rate = (description: string): Schema => ({ type: 'number', description });

export const queuesSchema: Schema = list(
  record({
    vip: text('Whose it is.'),
    file: text('Its file, as configured.'),
    isReadable: truth('False: its file cannot be read now, and what would be read from it is null.'),
    messages: integerOrNull('Those in quarantine included.'),
    bytes: integerOrNull('Of their bodies.'),
    taken: integerOrNull('On their way to servers.'),
    held: integerOrNull('In quarantine.'),
    oldest: textOrNull('When the oldest that is not in quarantine was stored; null: there is none.'),
    age: integerOrNull('Seconds since then.'),
    fileBytes: integerOrNull('Of the file and its log.'),
    stored: integer('Messages since the queue was opened. They only grow.'),
    delivered: integer('As above.'),
    storedPerSecond: rate('Over the last ten seconds.'),
    deliveredPerSecond: rate('Over the last ten seconds.'),
  }),
  'The durable queues of VIPs that have one.',
);

export const heldSchema: Schema = list(
  record({
    id: integer('Names it as long as it is kept.'),
    arrived: { type: 'string', format: 'date-time', description: 'When it was stored.' },
    size: integer('Bytes.'),
    attempts: integer('How often its turn came.'),
    maybeTwice: truth('It may have been delivered already.'),
    reason: text('Why it is there.'),
    keepsPlace: truth('Later messages of its patients wait for it.'),
    type: textOrNull('MSH-9.1'),
    event: textOrNull('MSH-9.2'),
    controlId: textOrNull('MSH-10'),
    sender: textOrNull('MSH-3 and MSH-4, as application^facility.'),
    client: textOrNull('The address that it came from.'),
    returnTo: textOrNull('Where it is to go, when it is the answer of an application: host port.'),
  }),
  'Messages in quarantine, by id.',
);

export const movedSchema: Schema = record({
  id: integer('The name of the message from now on: another one when it was replayed.'),
});
