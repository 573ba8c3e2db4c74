/**
 * An HL7 receiver with a ledger, as a process of its own: `hl7-receiver.ts NAME PORT LEDGER [BYTES_A_SECOND]`.
 *
 * The ledger is a file with two lines for each message. A line is in the hands of the kernel before anything else
 * happens, so that a kill of this process loses none:
 *
 *     got TOKEN MSH-10 SHA-256 nanoseconds N     the message is here, whole; N messages are in hand, this one included
 *     answered TOKEN nanoseconds                 its acknowledgement, with TOKEN in MSA-3, is about to be sent
 *
 * ZDO-1 of a message: milliseconds for which its answer is held back, the first time that it comes. BYTES_A_SECOND is
 * how fast each connection is read. Stands on nothing of Gantry.
 */
import { createHash, type Hash } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fieldOf } from '../peers/hl7-messages.ts';

const START_BLOCK = 0x0b;
const END_BLOCK = 0x1c;
/** Bytes of a message that are kept: all but the hash is read from its beginning. */
const KEPT = 4096;

const [name, port, ledgerFile, speed = 'Infinity'] = process.argv.slice(2) as [
  string,
  string,
  string,
  string?,
];
const ledger = openSync(ledgerFile, 'a');
const known = new Set<string>();
let number = 0;
let inHand = 0;

/** A message that is not whole. Invented content has no 1C in it. */
interface Incoming {
  readonly hash: Hash;
  beginning: Buffer;
}

createServer((socket) => {
  let incoming: Incoming | undefined;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    read(chunk);
    if (Number(speed) < Infinity) void slowDown(socket, chunk.length);
  });

  function read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (!incoming) {
        const start = chunk.indexOf(START_BLOCK, at);
        if (start < 0) return;
        incoming = { hash: createHash('sha256'), beginning: Buffer.alloc(0) };
        at = start + 1;
        continue;
      }
      const end = chunk.indexOf(END_BLOCK, at);
      const part = chunk.subarray(at, end < 0 ? undefined : end);
      incoming.hash.update(part);
      const { beginning } = incoming;
      if (beginning.length < KEPT)
        incoming.beginning = Buffer.concat([beginning, part.subarray(0, KEPT - beginning.length)]);
      if (end < 0) return;
      void take(socket, incoming);
      incoming = undefined;
      at = end + 1;
    }
  }
}).listen({ port: Number(port), host: '127.0.0.1', backlog: 1024 });

async function take(socket: Socket, { hash, beginning }: Incoming): Promise<void> {
  const controlId = fieldOf(beginning, 'MSH', 10);
  const token = `${name}-${process.pid}-${++number}`;
  inHand++;
  writeSync(ledger, `got ${token} ${controlId} ${hash.digest('hex')} ${process.hrtime.bigint()} ${inHand}\n`);
  const held = known.has(controlId) ? 0 : Number(fieldOf(beginning, 'ZDO', 1));
  if (held > 0) {
    known.add(controlId);
    await pause(held);
  }
  inHand--;
  writeSync(ledger, `answered ${token} ${process.hrtime.bigint()}\n`);
  // In enhanced mode what is asked for is the accept acknowledgement (HL7 v2.5.1 2.9.3).
  const code = fieldOf(beginning, 'MSH', 15) === '' ? 'AA' : 'CA';
  const answer = `MSH|^~\\&|${name}|TEST|||20260101120001||ACK|${token}|P|2.5.1\rMSA|${code}|${controlId}|${token}\r`;
  if (!socket.destroyed) socket.write(`\x0b${answer}\x1c\r`);
}

async function slowDown(socket: Socket, byteCount: number): Promise<void> {
  socket.pause();
  await pause((byteCount / Number(speed)) * 1000);
  socket.resume();
}
