/**
 * What reading an HL7 message costs: decode its frame, open it, take the facts that routing usually wants, and its
 * ordering. Microseconds a message of about 1 KB; the best of several runs, since others may use the machine too.
 *
 *     node bench/hl7-header.ts
 */
import { readAcknowledgement } from '../protocols/hl7/acknowledgement.ts';
import { Message } from '../protocols/hl7/cursor.ts';
import { messageFacts } from '../protocols/hl7/facts.ts';
import { encodeFrame } from '../protocols/hl7/mllp.ts';
import { MllpDecoder } from '../protocols/hl7/mllp-decoder.ts';
import { orderingOf } from '../protocols/hl7/patient.ts';

/** An invented ADT message. */
const MESSAGE = Buffer.from(
  [
    'MSH|^~\\&|INVENTEDAPP|NORTH|RIS|SOUTH|20260101120000||ADT^A08^ADT_A01|CTRL0000001|P|2.5.1||||||8859/1',
    'EVN|A08|20260101120000',
    'PID|1||INV0001^^^NORTH^MR~900-INV^^^INSURER^SS||INVENTED^PERSON||19000101|O|||STREET 1^^TOWN^^1234||0123',
    'PD1|||',
    'NK1|1|NOBODY^AT ALL|SPO',
    'PV1|1|I|WARD^1^2^NORTH||||1^DOCTOR|||MED||||ADM|A0',
    'AL1|1|DA|1^NOTHING',
    `OBX|1|TX|1^NOTE||${'x'.repeat(620)}||||||F`,
    '',
  ].join('\r'),
);
const ANSWER = Buffer.from(
  'MSH|^~\\&|RIS|SOUTH|INVENTEDAPP|NORTH|20260101120000||ACK^A08^ACK|1|P|2.5.1\rMSA|AA|CTRL0000001\r',
);
const FRAME = encodeFrame(MESSAGE);
const FRAMES_A_CHUNK = 60;
const MANY = Buffer.concat(Array.from({ length: FRAMES_A_CHUNK }, () => FRAME));
const USUAL_FACTS = ['type', 'event', 'sendingApp', 'sendingFacility'];

const message = new Message();
/** Keeps the work from being optimised away. */
let seen = 0;

function decoder(frame: (content: Buffer) => void): MllpDecoder {
  return new MllpDecoder({ frame, dropped() {}, garbage() {}, overlong() {} });
}

function header(content: Buffer): void {
  const facts = messageFacts(message.open(content));
  for (const name of USUAL_FACTS) seen += facts.get(name) === undefined ? 0 : 1;
  seen += message.header(10).length;
}

const plain = decoder((content) => {
  seen += content.length;
});
const withHeader = decoder(header);
const withAll = decoder((content) => {
  header(content);
  seen += orderingOf(message).keys.length;
});

const programs: [string, number, () => void][] = [
  ['decode, a frame a chunk', 1, () => plain.push(FRAME)],
  [`decode, ${FRAMES_A_CHUNK} frames a chunk`, FRAMES_A_CHUNK, () => plain.push(MANY)],
  ['decode, four facts, control id', 1, () => withHeader.push(FRAME)],
  ['decode, four facts, control id, ordering', 1, () => withAll.push(FRAME)],
  ['read an acknowledgement', 1, () => (seen += readAcknowledgement(ANSWER)?.controlId.length ?? 0)],
];

console.log(`${MESSAGE.length} bytes a message`);
for (const [name, messages, program] of programs) {
  const rounds = Math.ceil(40_000 / messages);
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 8; run++) {
    const started = process.hrtime.bigint();
    for (let round = 0; round < rounds; round++) program();
    best = Math.min(best, Number(process.hrtime.bigint() - started) / 1000 / rounds / messages);
  }
  console.log(`${name.padEnd(44)} ${best.toFixed(2)} µs`);
}
if (seen === 0) throw new Error('nothing was read');
