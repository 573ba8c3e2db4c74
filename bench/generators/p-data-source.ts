/**
 * Stores one endless instance on one association: `p-data-source.ts PORT SECONDS PDU_BYTES`. After so many seconds the
 * data set ends, its C-STORE-RSP is awaited, and the association released. Prints `{ "bytes": …, "seconds": … }`: bytes
 * of whole PDUs, and the time from the first of them to the response.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { writeAssociateRq } from '../../protocols/dicom/associate-write.ts';
import { COMMAND } from '../../protocols/dicom/command-set.ts';
import { writeCommand } from '../../protocols/dicom/p-data.ts';
import { PDU, PDU_HEADER_LENGTH } from '../../protocols/dicom/pdu.ts';
import { createPduFollower } from '../../protocols/dicom/pdu-follower.ts';
import { writeReleaseRq } from '../../protocols/dicom/small-pdus.ts';

const [port, seconds, pduBytes] = process.argv.slice(2).map(Number) as [number, number, number];

const CT_IMAGE_STORAGE = '1.2.840.10008.5.1.4.1.1.2';
const CONTEXT = 1;
/** What one write carries: whole PDUs of about this many bytes. */
const BLOCK = 1024 * 1024;

/** A P-DATA-TF PDU of so many bytes in all: one PDV with a fragment of the data set (PS3.8 Table 9-22). */
function dataPdu(length: number, last: boolean): Buffer {
  const pdu = Buffer.alloc(length, 0x55);
  pdu[0] = PDU.P_DATA_TF;
  pdu[1] = 0;
  pdu.writeUInt32BE(length - PDU_HEADER_LENGTH, 2);
  pdu.writeUInt32BE(length - PDU_HEADER_LENGTH - 4, PDU_HEADER_LENGTH);
  pdu[PDU_HEADER_LENGTH + 4] = CONTEXT;
  pdu[PDU_HEADER_LENGTH + 5] = last ? 2 : 0;
  return pdu;
}

const pdu = dataPdu(pduBytes, false);
const block = Buffer.concat(Array.from({ length: Math.max(1, Math.floor(BLOCK / pduBytes)) }, () => pdu));
const last = dataPdu(pduBytes, true);

const socket = connect({ port, host: '127.0.0.1', noDelay: true });
await once(socket, 'connect');
socket.write(
  writeAssociateRq({
    calledAe: 'ARCHIVE',
    callingAe: 'BENCH',
    presentationContexts: [
      { id: CONTEXT, abstractSyntax: CT_IMAGE_STORAGE, transferSyntaxes: ['1.2.840.10008.1.2'] },
    ],
  }),
);
const [answer] = (await once(socket, 'data')) as [Buffer];
if (answer[0] !== PDU.A_ASSOCIATE_AC) throw new Error(`a PDU of type ${answer[0]} came instead of an accept`);

const stored = Promise.withResolvers<void>();
const follower = createPduFollower({
  command: ({ status }) => {
    if (status === 0) stored.resolve();
    else stored.reject(new Error(`status ${status}`));
  },
  pduEnd: (type) => {
    if (type === PDU.A_RELEASE_RP) socket.end();
  },
  fault: (message) => stored.reject(new Error(message)),
});
socket.on('data', (bytes: Buffer) => follower.push(bytes));
socket.on('error', (error) => stored.reject(error));
socket.on('close', () => stored.reject(new Error('the connection was closed')));

const began = performance.now();
const command = writeCommand(CONTEXT, {
  commandField: COMMAND.C_STORE,
  messageId: 1,
  affectedSopClass: CT_IMAGE_STORAGE,
  affectedSopInstance: '2.25.1',
  priority: 0,
  hasDataSet: true,
});
socket.write(command);
let bytes = command.length;
while (performance.now() - began < seconds * 1000) {
  bytes += block.length;
  if (!socket.write(block)) await once(socket, 'drain');
}
socket.write(last);
bytes += last.length;
await stored.promise;
console.log(JSON.stringify({ bytes, seconds: (performance.now() - began) / 1000 }));
socket.write(writeReleaseRq());
await once(socket, 'close');
