/**
 * Associates and releases, a fresh connection each time: `association-requestor.ts PORT PARALLEL COUNT`.
 * Prints `{ perSecond, p50, p99 }`: associations a second, and milliseconds from request to accept.
 */
import { connect } from 'node:net';
import { createHistogram } from 'node:perf_hooks';
import { writeAssociateRq } from '../../protocols/dicom/associate-write.ts';
import { PDU } from '../../protocols/dicom/pdu.ts';
import { writeReleaseRq } from '../../protocols/dicom/small-pdus.ts';

const [port, parallel, count] = process.argv.slice(2).map(Number) as [number, number, number];

const REQUEST = writeAssociateRq({
  calledAe: 'ARCHIVE',
  callingAe: 'BENCH',
  presentationContexts: ['1.2.840.10008.1.1', '1.2.840.10008.5.1.4.1.1.2'].map((abstractSyntax, index) => ({
    id: 2 * index + 1,
    abstractSyntax,
    transferSyntaxes: ['1.2.840.10008.1.2', '1.2.840.10008.1.2.1'],
  })),
});
const RELEASE_RQ = writeReleaseRq();

const latencies = createHistogram();
let begun = 0;

/** One association after the other, until `count` were begun by all together. */
async function sender(): Promise<void> {
  while (begun < count) {
    begun += 1;
    await associate();
  }
}

function associate(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let asked = 0;
    socket.on('connect', () => {
      asked = performance.now();
      socket.write(REQUEST);
    });
    socket.on('data', (bytes: Buffer) => {
      if (bytes[0] === PDU.A_ASSOCIATE_AC) {
        latencies.record(Math.max(1, Math.round((performance.now() - asked) * 1000)));
        socket.write(RELEASE_RQ);
      } else if (bytes[0] === PDU.A_RELEASE_RP) {
        socket.end();
      } else {
        reject(new Error(`a PDU of type ${bytes[0]} came`));
      }
    });
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
}

const began = performance.now();
await Promise.all(Array.from({ length: parallel }, sender));
const seconds = (performance.now() - began) / 1000;
const ms = (percentile: number) => latencies.percentile(percentile) / 1000;
console.log(JSON.stringify({ perSecond: count / seconds, p50: ms(50), p99: ms(99) }));
