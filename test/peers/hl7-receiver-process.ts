/**
 * An HL7 receiver as a process of its own, so that it can be killed: `hl7-receiver-process.ts PORT LEDGER [SILENT_AFTER]`.
 *
 * The ledger is a file with two lines for each message, written before anything else happens:
 *
 *     got MSH-10 SHA-256 nanoseconds      the message is here
 *     answered MSH-10                     its acknowledgement was given to the kernel
 *
 * After SILENT_AFTER messages it goes on taking messages and answers none. Prints `listening`, and `silent` with the first
 * message it does not answer. Stands on nothing of Gantry.
 */
import { createHash } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { acknowledgementOf, fieldOf } from './hl7-messages.ts';

const [port, ledgerFile, silentAfter = 'Infinity'] = process.argv.slice(2) as [string, string, string?];
const ledger = openSync(ledgerFile, 'a');
let taken = 0;

createServer((socket) => {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    for (let end = rest.indexOf('\x1c\r'); end >= 0; end = rest.indexOf('\x1c\r')) {
      take(rest.subarray(1, end));
      rest = rest.subarray(end + 2);
    }
  });
  socket.on('error', () => socket.destroy());

  function take(message: Buffer): void {
    const controlId = fieldOf(message, 'MSH', 10);
    const hash = createHash('sha256').update(message).digest('hex');
    writeSync(ledger, `got ${controlId} ${hash} ${process.hrtime.bigint()}\n`);
    taken += 1;
    if (taken > Number(silentAfter)) {
      if (taken === Number(silentAfter) + 1) console.log('silent');
      return;
    }
    const answer = acknowledgementOf(message);
    socket.write(Buffer.concat([Buffer.of(0x0b), answer, Buffer.of(0x1c, 0x0d)]));
    writeSync(ledger, `answered ${controlId}\n`);
  }
}).listen({ port: Number(port), host: '127.0.0.1', backlog: 1024 }, () => console.log('listening'));
