/** A mix of invented messages, in UTF-8: admissions, orders, results, appointments. */
import { hl7Message } from './hl7-messages.ts';

const KINDS = [
  { type: 'ADT', event: 'A01', segments: ['PV1|1|I|WARD^1^A'] },
  { type: 'ORM', event: 'O01', segments: ['ORC|NW|ORDER-1', 'OBR|1|ORDER-1||CHEST^CHEST PA^LOCAL'] },
  {
    type: 'ORU',
    event: 'R01',
    segments: [
      'OBR|1|ORDER-1|FILL-1|CHEST^CHEST PA^LOCAL',
      'OBX|1|TX|TEXT^TEXT^LOCAL||Größe unverändert||||||F',
    ],
  },
  { type: 'SIU', event: 'S12', segments: ['RGS|1', 'AIS|1|A|CHEST^CHEST PA^LOCAL|20260102080000'] },
  { type: 'ADT', event: 'A08', segments: ['PV1|1|O'] },
] as const;

/** Message `index` of sender `sender`, at least `length` bytes long; its control id is `LsenderNindex`. */
export function mixedMessage(sender: number, index: number, length = 0): Buffer {
  const kind = KINDS[index % KINDS.length]!;
  const message = hl7Message({
    ...kind,
    controlId: `L${sender}N${index}`,
    sendingApp: `SENDER${sender}`,
    patient: `INV${sender}${index % 7}`,
    length,
  });
  // MSH-18; hl7Message writes up to MSH-16, in bytes.
  const text = message.toString('latin1').replace('\r', '||UNICODE UTF-8\r');
  return Buffer.from(text, 'utf8');
}
