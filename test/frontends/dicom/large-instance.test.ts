/** A large instance through association routing: every byte arrives, and the balancer's memory stays flat. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type RunningCli, startCli } from '../../cli/run-cli.ts';
import { COMMAND, responseTo, writeCommand } from '../../peers/commands.ts';
import { createFolder } from '../../peers/dicom-files.ts';
import { associate } from '../../peers/dicom-scu.ts';
import { associateAccept, CT_IMAGE_STORAGE, pData, releaseResponse } from '../../peers/pdus.ts';
import { within } from '../../peers/waiting.ts';

/** Less for a slow machine. */
const MEBIBYTES = Number(process.env.GANTRY_TEST_LARGE_MIB ?? 2048);
const MOST_GROWTH = 64 * 1024 * 1024;

/** 64 P-DATA-TFs of 16 KiB, headers included: 1 MiB in a row. */
const BLOCK = Buffer.concat(
  Array.from({ length: 64 }, (_, index) => pData(1, 'data', false, Buffer.alloc(16_372, index))),
);
/** The same, with the last fragment of the data set at its end. */
const LAST_BLOCK = Buffer.concat([
  BLOCK.subarray(0, -16_384),
  pData(1, 'data', true, Buffer.alloc(16_372, 63)),
]);
const REQUEST = {
  field: COMMAND.C_STORE_RQ,
  sopClass: CT_IMAGE_STORAGE,
  sopInstance: '1.2.3',
  messageId: 1,
  priority: 0,
  hasDataSet: true,
};
const HEAD = pData(1, 'command', true, writeCommand(REQUEST));
const RESPONSE = pData(1, 'command', true, writeCommand(responseTo(REQUEST, 0)));
const TOTAL = HEAD.length + MEBIBYTES * BLOCK.length;

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const stop of cleanUp.splice(0).reverse()) stop();
});

// Memory is read from /proc.
test.runIf(process.platform === 'linux')(
  `an instance of ${MEBIBYTES} MiB arrives whole, and the balancer's memory grows by less than 64 MiB`,
  { timeout: 60_000 + 100 * MEBIBYTES },
  async () => {
    const sink = await startSink();
    const { port, rss } = await startBalancer(sink.port);
    const client = await associate({ host: '127.0.0.1', port }, { propose: [CT_IMAGE_STORAGE] });
    expect(client.outcome).toBe('accepted');
    const before = rss();
    let most = before;
    await client.write(HEAD);
    for (let left = MEBIBYTES; left > 0; left--) {
      await client.write(left > 1 ? BLOCK : LAST_BLOCK);
      most = Math.max(most, rss());
    }
    expect(await client.next()).toMatchObject({ command: { field: COMMAND.C_STORE_RSP, status: 0 } });
    await client.release();
    expect(await within(sink.wrongAt, 'the sink to have it all')).toBeUndefined();
    expect(most - before).toBeLessThan(MOST_GROWTH);
  },
);

/** Runs the balancer in a process of its own. */
async function startBalancer(
  serverPort: number,
): Promise<{ readonly port: number; readonly rss: () => number }> {
  const folder = createFolder();
  cleanUp.push(() => folder.remove());
  const file = join(folder.path, 'gantry.yaml');
  writeFileSync(
    file,
    `version: 1
admin: off
pools: { P: { servers: ["127.0.0.1:${serverPort}"], health: { check: none } } }
vips: { V: { protocol: dicom, listen: ["127.0.0.1:0"], pool: P } }
`,
  );
  const balancer: RunningCli = startCli(['run', '-c', file]);
  cleanUp.push(() => balancer.process.kill('SIGKILL'));
  const ready = await within(
    balancer.line((line) => line.includes('"msg":"ready"')),
    'a balancer that is ready',
  );
  return {
    port: Number(/127\.0\.0\.1:(\d+)/.exec(ready)?.[1]),
    rss: () => {
      const status = readFileSync(`/proc/${balancer.process.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
    },
  };
}

interface Sink {
  readonly port: number;
  /** Where the first byte is that it should not have got; undefined when it got the instance whole. */
  readonly wrongAt: Promise<number | undefined>;
}

/** Accepts an association, compares what comes with what should come, and answers when it has it all. */
async function startSink(): Promise<Sink> {
  const { promise: wrongAt, resolve } = Promise.withResolvers<number | undefined>();
  const server = createServer((socket) => {
    let request = Buffer.alloc(0);
    let received = 0;
    socket.on('error', () => resolve(received));
    socket.on('data', (chunk: Buffer) => {
      if (request.length < 6 || request.length < 6 + request.readUInt32BE(2)) {
        request = Buffer.concat([request, chunk]);
        if (request.length === 6 + request.readUInt32BE(2)) socket.write(associateAccept(request));
      } else if (received < TOTAL) {
        if (!isExpected(chunk, received)) resolve(received);
        received += chunk.length;
        if (received !== TOTAL) return;
        socket.write(RESPONSE);
        resolve(undefined);
      } else {
        socket.end(releaseResponse());
      }
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  cleanUp.push(() => server.close());
  const { port } = server.address() as { port: number };
  return { port, wrongAt };
}

/** Is this what stands at `offset` of the instance? */
function isExpected(chunk: Buffer, offset: number): boolean {
  for (let at = 0; at < chunk.length; ) {
    const part = partAt(offset + at);
    const length = Math.min(part.length, chunk.length - at);
    if (chunk.compare(part, 0, length, at, at + length) !== 0) return false;
    at += length;
  }
  return true;
}

/** The bytes from `offset` to the end of the block that it is in. */
function partAt(offset: number): Buffer {
  if (offset < HEAD.length) return HEAD.subarray(offset);
  const inBlocks = offset - HEAD.length;
  const isLast = inBlocks >= (MEBIBYTES - 1) * BLOCK.length;
  return (isLast ? LAST_BLOCK : BLOCK).subarray(inBlocks % BLOCK.length);
}
