/**
 * Sends HL7 messages and waits for the answer to each before the next: `hl7-senders.ts PORT SENDERS LENGTH SECONDS MODE`.
 * Prints `{ messages, perSecond, p50, p99, wrong }`: latencies in milliseconds, `wrong` answers of another message.
 */
import { connect } from 'node:net';
import { createHistogram } from 'node:perf_hooks';
import { CARRIAGE_RETURN, END_BLOCK } from '../../protocols/hl7/mllp.ts';
import {
  ACKNOWLEDGED,
  benchFrame,
  CONTROL_ID,
  type Mode,
  patientIn,
  readDigits,
  writeDigits,
} from './hl7-message.ts';

const [port, senders, length, seconds] = process.argv.slice(2, 6).map(Number) as [
  number,
  number,
  number,
  number,
];
const mode = process.argv[6] as Mode;
const PATIENT = patientIn(mode);
const PATIENTS = 500;
/** MSA-1, and what follows it. */
const CODE = 'AA|';
/** Every so many messages the time is taken. */
const SAMPLED = 16;

const latencies = createHistogram();
/** Two processes never send the same message: it would be a repetition. */
let number = (process.pid % 10_000) * 1_000_000;
let answered = 0;
let wrong = 0;
let over = false;

function sender(index: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const frame = benchFrame(length, mode);
    const answer = Buffer.alloc(1024);
    let have = 0;
    let controlId = 0;
    let asked = 0;
    const next = () => {
      number += 1;
      controlId = number;
      writeDigits(frame, CONTROL_ID.at, CONTROL_ID.length, controlId);
      // Each sender has its own patients, as wards do.
      const patient = (index + senders * number) % PATIENTS;
      writeDigits(frame, PATIENT.at, PATIENT.length, patient);
      asked = number % SAMPLED === 0 ? performance.now() : 0;
      socket.write(frame);
    };
    const take = (count: number, chunk: Uint8Array): boolean => {
      answer.set(chunk.subarray(0, count), have);
      have += count;
      if (answer[have - 1] !== CARRIAGE_RETURN || answer[have - 2] !== END_BLOCK) return true;
      const answeredId = answer.subarray(0, have).indexOf(ACKNOWLEDGED) + ACKNOWLEDGED.length + CODE.length;
      have = 0;
      answered += 1;
      if (asked > 0) latencies.record(Math.max(1, Math.round((performance.now() - asked) * 1000)));
      if (readDigits(answer, answeredId, CONTROL_ID.length) !== controlId) wrong += 1;
      if (over) socket.end();
      else next();
      return true;
    };
    const socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: Buffer.alloc(4096), callback: take },
    });
    socket.on('connect', next);
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
}

const began = performance.now();
setTimeout(() => {
  over = true;
}, seconds * 1000);
await Promise.all(Array.from({ length: senders }, (_, index) => sender(index)));
const took = (performance.now() - began) / 1000;
const ms = (percentile: number) => latencies.percentile(percentile) / 1000;
console.log(
  JSON.stringify({ messages: answered, perSecond: answered / took, p50: ms(50), p99: ms(99), wrong }),
);
