/** Opens associations and keeps them: `association-holder.ts PORT COUNT`. Prints `open` when all are, ends with its input. */
import { connect } from 'node:net';
import { writeAssociateRq } from '../../protocols/dicom/associate-write.ts';

const [port, count] = process.argv.slice(2).map(Number) as [number, number];

const REQUEST = writeAssociateRq({
  calledAe: 'ARCHIVE',
  callingAe: 'BENCH',
  presentationContexts: [
    { id: 1, abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: ['1.2.840.10008.1.2'] },
  ],
});

function open(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(REQUEST));
    socket.once('data', () => resolve());
    socket.on('error', reject);
  });
}

for (let opened = 0; opened < count; opened += 100) {
  await Promise.all(Array.from({ length: Math.min(100, count - opened) }, open));
}
console.log('open');
process.stdin.resume().on('end', () => process.exit(0));
