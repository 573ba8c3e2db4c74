/** Accepts every association at once and answers releases: `association-acceptor.ts PORT`. */
import { createServer } from 'node:net';
import { indexAssociate } from '../../protocols/dicom/associate.ts';
import { writeAssociateAc } from '../../protocols/dicom/associate-write.ts';
import { PDU } from '../../protocols/dicom/pdu.ts';
import { writeReleaseRp } from '../../protocols/dicom/small-pdus.ts';

const RELEASE_RP = writeReleaseRp();
/** Every client of the bench sends the same request, so the first answer serves them all. */
let accept: Buffer | undefined;

createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    if (bytes[0] === PDU.A_ASSOCIATE_RQ) {
      accept ??= answerTo(bytes);
      socket.write(accept);
    } else if (bytes[0] === PDU.A_RELEASE_RQ) {
      socket.write(RELEASE_RP);
    }
  });
}).listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });

function answerTo(bytes: Buffer): Buffer {
  const request = indexAssociate(Buffer.from(bytes));
  return writeAssociateAc({
    request,
    presentationContexts: request.presentationContexts.map(({ id, transferSyntaxes }) => ({
      id,
      result: 0,
      transferSyntax: transferSyntaxes[0]!,
    })),
  });
}
