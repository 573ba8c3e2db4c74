/**
 * Acknowledges HL7 messages of the bench's own kind, as fast as it can: `hl7-receiver.ts PORT LENGTH COUNT`.
 * Answers are collected per chunk and written at once. Who connects to the port COUNT is told how many there were.
 */
import { createServer } from 'node:net';
import { ANSWER_FRAME, ANSWERED_ID_AT, benchFrame, CONTROL_ID } from './hl7-message.ts';

const [port, length, count] = process.argv.slice(2).map(Number) as [number, number, number];
const frameLength = benchFrame(length).length;
const { at, length: digits } = CONTROL_ID;
const size = ANSWER_FRAME.length;

let received = 0;

createServer({ noDelay: true }, (socket) => {
  /** Bytes of the frame in hand that came so far, and its control id as far as it came. */
  let have = 0;
  const id = Buffer.alloc(digits);
  socket.on('data', (chunk: Buffer) => {
    const complete = Math.floor((have + chunk.length) / frameLength);
    const answers = Buffer.allocUnsafe(complete * size);
    let answered = 0;
    for (let from = -have; from < chunk.length; from += frameLength) {
      const first = Math.max(from + at, 0);
      const last = Math.min(from + at + digits, chunk.length);
      if (first < last) chunk.copy(id, first - from - at, first, last);
      if (from + frameLength > chunk.length) break;
      ANSWER_FRAME.copy(answers, answered);
      id.copy(answers, answered + ANSWERED_ID_AT);
      answered += size;
    }
    have = (have + chunk.length) % frameLength;
    received += complete;
    if (answered > 0) socket.write(answers);
  });
  socket.on('error', () => socket.destroy());
}).listen({ port, host: '127.0.0.1', backlog: 1024 });

createServer((socket) => socket.end(String(received))).listen(count, '127.0.0.1');
