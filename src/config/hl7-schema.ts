/** `hl7` of a VIP with `protocol: hl7`. */
import { z } from 'zod';
import { parseFieldPath } from '../../protocols/hl7/field-path.ts';
import { list } from './record.ts';
import { choice, destination, duration, flag, integer, size, text } from './scalars.ts';

export const onAmbiguous = choice(['hold', 'any', 'fail']);

const senderTimeout = z.union([
  z.record(text, duration()).transform(({ default: general, ...byApplication }) => ({
    default: general ?? 5000,
    byApplication,
  })),
  duration().transform((ms) => ({ default: ms, byApplication: {} as Record<string, number> })),
]);

const ACKNOWLEDGEMENTS = ['AE', 'AR', 'CE', 'CR'] as const;

/** The byte that begins or ends a frame. A carriage return can be neither: it ends segments. */
const blockByte = text.transform((written, context) => {
  const value = /^(0x[0-9A-Fa-f]{1,2}|\d{1,3})$/.test(written) ? Number(written) : Number.NaN;
  if (value <= 0xff && value !== 0x0d) return value;
  const message = `"${written}" is not a byte: 0x0B or 11 would be right, and anything but 0x0D`;
  context.issues.push({ code: 'custom', message, input: written });
  return z.NEVER;
});

const fieldPath = text.transform((written, context) => {
  const path = parseFieldPath(written);
  if (typeof path !== 'string') return written;
  context.issues.push({ code: 'custom', message: `"${written}" ${path}`, input: written });
  return z.NEVER;
});

const patient = z.strictObject({
  types: list(text)
    .optional()
    .describe('The first repetition whose identifier type (CX.5) is one of these, else the first.'),
  repetition: integer(1, 1000).optional().describe('This repetition, counted from 1, whatever its type.'),
});

const queueRecord = z.strictObject({
  file: text.describe(
    'The file, relative to this one; it is made when it is not there. Its log is beside it: `FILE-wal`.',
  ),
  messages: integer(1, 10_000_000).prefault('1000000').describe('So many messages are kept at most.'),
  size: size(1024 ** 2, 2 ** 40)
    .prefault('4GiB')
    .describe('So many bytes of messages are kept at most.'),
  reserve: size(16 * 1024 ** 2, 2 ** 40)
    .prefault('64MiB')
    .describe('Stays free on the disk: with less than that, nothing more is taken in.'),
});

const queue = z.union([queueRecord, text.transform((file) => queueRecord.parse({ file }))]);

type Address = z.output<typeof destination>;

const returnTo = z.union([
  z.record(text, destination).transform(({ default: general, ...byApplication }) => ({
    default: general as Address | undefined,
    byApplication,
  })),
  destination.transform((address) => ({
    default: address as Address | undefined,
    byApplication: {} as Record<string, Address>,
  })),
]);

export const hl7Schema = z.strictObject({
  delivery: choice(['relay', 'store'])
    .prefault('relay')
    .describe(
      "`relay`: the sender gets the receiving server's own acknowledgement. `store`: a message is on the disk, in `queue`, when its sender gets ours.",
    ),
  order: choice(['patient', 'sender', 'none']).prefault('patient').describe('What is kept in order.'),
  senderTimeout: senderTimeout
    .prefault('5s')
    .describe(
      'All the time one message may take; or a record: sending application (MSH-3) → time, and `default`.',
    ),
  ackTimeout: duration()
    .optional()
    .describe('A server has this long to acknowledge. Default: follows from `senderTimeout`.'),
  ackMatch: choice(['strict', 'prefix20', 'position'])
    .prefault('strict')
    .describe('How MSA-2 must match MSH-10: wholly, in the first 20 characters, or not at all.'),
  onAmbiguous: onAmbiguous
    .prefault('hold')
    .describe('All was sent and nothing answered: wait for the same server, try any, or give up.'),
  whenUnavailable: z
    .union([
      z.strictObject({ nack: choice(ACKNOWLEDGEMENTS) }).transform(({ nack }) => nack),
      choice(['close', ...ACKNOWLEDGEMENTS.map((code) => `nack: ${code}` as const)]).transform((written) =>
        written === 'close' ? written : (written.slice(6) as (typeof ACKNOWLEDGEMENTS)[number]),
      ),
    ])
    .prefault('close')
    .describe('No server: close the connection of the sender, or answer with `nack: AE` (AR, CE, CR).'),
  duplicates: z
    .union([duration(), choice(['off']).transform(() => 0)])
    .prefault('10m')
    .describe(
      'What a sender repeats within this time, with the same control id and the same bytes, is not delivered again; `off`: it is. The latest 200 000 messages are remembered.',
    ),
  pipeline: integer(1, 64)
    .prefault('1')
    .describe('So many messages may be on their way at once on one connection to a server.'),
  maxFrame: size(1024, 2 ** 30)
    .prefault('64MiB')
    .describe('The longest message.'),
  startBlock: blockByte.prefault('0x0B').describe('The byte before each message.'),
  endBlock: blockByte.prefault('0x1C').describe('The byte after each message, before the carriage return.'),
  release2: flag
    .prefault('false')
    .describe('Senders speak MLLP release 2: each message is also answered by a commit acknowledgement.'),
  patient: patient
    .prefault({})
    .describe(
      'Which repetition of PID-3 names the patient. Default: the first of type MR or PI, else the first.',
    ),
  accession: list(fieldPath)
    .prefault(['IPC-1', 'OBR-18', 'OBR-3.1'])
    .describe('Where the accession number is: the first that has a value.'),
  queue: queue
    .optional()
    .describe('`delivery: store`: the file of the queue, or a record. No two VIPs share one.'),
  ackOnStore: choice(['AA'])
    .optional()
    .describe(
      '`delivery: store`: messages in original mode are stored too, and answered `AA` when they are on the disk. Default: they are relayed.',
    ),
  returnTo: returnTo
    .optional()
    .describe(
      "`delivery: store`: where the application's answer that a stored message asks for (MSH-16) is sent, in MLLP; or a record: sending application (MSH-3) → address, and `default`. Default: nowhere.",
    ),
  maxAge: duration()
    .prefault('72h')
    .describe('`delivery: store`: a message that is older is put in quarantine.'),
  maxAttempts: integer(1, 1_000_000)
    .prefault('10')
    .describe('`delivery: store`: a message that was refused so often is put in quarantine.'),
  onPoison: choice(['pause', 'skip'])
    .prefault('pause')
    .describe(
      '`delivery: store`: what the patient of a message in quarantine does: wait for it, or go on without it.',
    ),
});
