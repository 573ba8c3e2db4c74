/**
 * A large multi-frame through study routing: its beginning is kept for a replay until it is beyond the budget, then it
 * is passed on like anything else. (Through association routing: test/frontends/dicom/large-instance.test.ts.)
 */
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { createSample } from '../../src/demo/sample-files.ts';
import { COMMAND, type Command, responseTo, writeCommand } from '../peers/commands.ts';
import { associate } from '../peers/dicom-scu.ts';
import { startGantry } from '../peers/gantry-process.ts';
import { associateAccept, PDU_TYPE, pData, releaseResponse } from '../peers/pdus.ts';
import { freePort } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';
import { within } from '../peers/waiting.ts';
import { pathOf, stopLater } from './dicom-setup.ts';

/** Less for a slow machine. */
const MEBIBYTES = Number(process.env.GANTRY_TEST_LARGE_MIB ?? 2048);
const MIB = 2 ** 20;
const PER_INSTANCE = 64 * MIB;

/** Enhanced CT Image Storage. */
const MULTI_FRAME = '1.2.840.10008.5.1.4.1.1.2.1';

const FRAGMENT = 16_372;
const FILLS = Array.from({ length: 64 }, (_, index) => Buffer.alloc(FRAGMENT, index));
/** What the pixels are made of, again and again. */
const BLOCK = Buffer.concat(FILLS);
/** The data set up to its pixels. */
const HEAD = headOf(MEBIBYTES * BLOCK.length);
const TOTAL = HEAD.length + MEBIBYTES * BLOCK.length;

const REQUEST: Command = {
  field: COMMAND.C_STORE_RQ,
  sopClass: MULTI_FRAME,
  sopInstance: '1.2.3',
  messageId: 1,
  priority: 0,
  hasDataSet: true,
};

// Memory is read from /proc.
test.runIf(process.platform === 'linux')(
  `an instance of ${MEBIBYTES} MiB beyond its replay budget arrives whole, and memory grows by less than the budget and 64 MiB`,
  { timeout: 120_000 },
  async () => {
    const sink = await startSink();
    const port = await freePort();
    const file = pathOf('gantry.yaml');
    writeFileSync(
      file,
      `version: 1
admin: off
pools: { P: { servers: ["127.0.0.1:${sink.address.port}"], health: { check: none } } }
vips:
  V:
    protocol: dicom
    listen: "127.0.0.1:${port}"
    pool: P
    dicom: { route: study, storage: shared, replay: { perInstance: ${PER_INSTANCE / MIB}MiB } }
`,
    );
    const balancer = await startGantry(file);
    stopLater({ stop: () => balancer.kill() });
    const client = await associate({ host: '127.0.0.1', port }, { propose: [MULTI_FRAME] });
    expect(client.outcome).toBe('accepted');
    const before = balancer.memory();
    let most = before;
    await client.write(pData(1, 'command', true, writeCommand(REQUEST)));
    await client.write(pData(1, 'data', false, HEAD));
    const block = Buffer.concat(FILLS.map((fill) => pData(1, 'data', false, fill)));
    const lastBlock = Buffer.concat(FILLS.map((fill, index) => pData(1, 'data', index === 63, fill)));
    for (let left = MEBIBYTES; left > 0; left--) {
      await client.write(left > 1 ? block : lastBlock);
      most = Math.max(most, balancer.memory());
    }
    expect(await client.next()).toMatchObject({ command: { field: COMMAND.C_STORE_RSP, status: 0 } });
    await client.release();
    expect(await within(sink.received, 'the sink to have it all')).toEqual({
      length: TOTAL,
      wrongAt: undefined,
    });
    expect(most - before).toBeLessThan(PER_INSTANCE + 64 * MIB);
  },
);

/** An invented instance of so many bytes of pixels, without them. */
function headOf(pixels: number): Buffer {
  const { dataSet } = createSample({ modality: 'CT', study: 'large', number: 1, size: 1 });
  // Two bytes of pixels are its last; its last header's last four bytes are their length (PS3.5 7.1.2).
  const head = Buffer.from(dataSet.subarray(0, -2));
  head.writeUInt32LE(pixels, head.length - 4);
  return head;
}

interface Received {
  /** Bytes of the data set. */
  readonly length: number;
  /** Where the first of them is that should be another. */
  readonly wrongAt: number | undefined;
}

interface Sink {
  readonly address: Address;
  readonly received: Promise<Received>;
}

/** Accepts every association, compares the fragments of a data set with what should come, and keeps none of it. */
async function startSink(): Promise<Sink> {
  const { promise: received, resolve, reject } = Promise.withResolvers<Received>();
  const server = createServer((socket) => {
    let length = 0;
    let wrongAt: number | undefined;
    const read = pdusOf(socket, {
      fragment(bytes, isCommand) {
        if (isCommand) return;
        if (wrongAt === undefined && !isExpected(bytes, length)) wrongAt = length;
        length += bytes.length;
      },
      lastFragment(isCommand) {
        if (isCommand) return;
        resolve({ length, wrongAt });
        socket.write(pData(1, 'command', true, writeCommand(responseTo(REQUEST, 0))));
      },
    });
    socket.on('error', reject);
    socket.on('data', read);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as { port: number };
  stopLater({ stop: async () => void server.close() });
  return { address: { host: '127.0.0.1', port }, received };
}

interface FragmentHandler {
  /** A piece of a fragment. */
  fragment(bytes: Buffer, isCommand: boolean): void;
  lastFragment(isCommand: boolean): void;
}

/** Reads PDUs at any cut of the bytes (PS3.8 9.3.5, E.2); answers what is no P-DATA-TF itself. */
function pdusOf(socket: Socket, handler: FragmentHandler): (chunk: Buffer) => void {
  let header = Buffer.alloc(0);
  let pdu = 0;
  let pdv = 0;
  let control = 0;
  return (chunk) => {
    for (let rest = chunk; rest.length > 0; ) {
      if (pdv > 0) {
        const part = rest.subarray(0, pdv);
        rest = rest.subarray(part.length);
        pdv -= part.length;
        pdu -= part.length;
        handler.fragment(part, (control & 1) === 1);
        if (pdv === 0 && control & 2) handler.lastFragment((control & 1) === 1);
        continue;
      }
      // The headers of a PDU and of a PDV have six bytes alike; anything else is collected whole.
      const inPdu = pdu > 0;
      const type = header[0] ?? rest[0];
      const isWhole = !inPdu && type !== PDU_TYPE.DATA && header.length >= 6;
      const wanted = isWhole ? 6 + header.readUInt32BE(2) : 6;
      const part = rest.subarray(0, wanted - header.length);
      header = Buffer.concat([header, part]);
      rest = rest.subarray(part.length);
      if (header.length < wanted) continue;
      if (inPdu) {
        pdu -= 6;
        pdv = header.readUInt32BE(0) - 2;
        control = header[5]!;
      } else if (type === PDU_TYPE.DATA) pdu = header.readUInt32BE(2);
      else if (!isWhole) continue;
      else if (type === PDU_TYPE.RQ) socket.write(associateAccept(header));
      else socket.end(releaseResponse());
      header = Buffer.alloc(0);
    }
  };
}

/** Is this what stands at `offset` of the data set? */
function isExpected(bytes: Buffer, offset: number): boolean {
  for (let at = 0; at < bytes.length; ) {
    const inBlocks = offset + at - HEAD.length;
    const part = inBlocks < 0 ? HEAD.subarray(offset + at) : BLOCK.subarray(inBlocks % BLOCK.length);
    const length = Math.min(part.length, bytes.length - at);
    if (bytes.compare(part, 0, length, at, at + length) !== 0) return false;
    at += length;
  }
  return true;
}
