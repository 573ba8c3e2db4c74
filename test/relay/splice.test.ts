import { once } from 'node:events';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GantryError } from '../../src/errors.ts';
import type { Channel } from '../../src/relay/channel.ts';
import { giveBuffer, LARGE_BUFFER, LARGE_LIMIT, takeLargeBuffer } from '../../src/relay/read-buffers.ts';
import type { ReadMode } from '../../src/relay/read-mode.ts';
import { type Splice, type SpliceOptions, splice } from '../../src/relay/splice.ts';
import {
  channelServer,
  dialled,
  hashToEnd,
  MODES,
  pattern,
  plainClient,
  plainServer,
  sha256,
} from './sockets.ts';

interface Joined {
  /** The plain sockets at both ends. */
  readonly client: Socket;
  readonly server: Socket;
  /** The relay's channels, and what joins them. */
  readonly toClient: Channel;
  readonly toServer: Channel;
  readonly splice: Splice;
}

/** client ── channel ⇄ channel ── server */
async function join(reads: ReadMode, options: SpliceOptions = {}): Promise<Joined> {
  const backend = await plainServer();
  const relay = await channelServer(reads);
  const client = await plainClient(relay.endpoint);
  const accepted = await relay.next();
  const dialling = dialled(backend.endpoint, reads);
  await dialling.witness.whenConnected;
  const server = await backend.next();
  const joined = splice(accepted.channel, dialling.channel, options);
  return { client, server, toClient: accepted.channel, toServer: dialling.channel, splice: joined };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Resolves when all is full up to a server that does not read: the kernel takes no more, and the relay reads no more. */
async function full({ toServer, toClient }: Joined): Promise<void> {
  let before = -1;
  for (let quiet = 0; quiet < 50; ) {
    await turn();
    quiet = toServer.pending > 0 && toClient.bytesRead === before ? quiet + 1 : 0;
    before = toClient.bytesRead;
  }
}

/** How many large read buffers nobody holds. */
function freeLargeBuffers(): number {
  const taken: Buffer[] = [];
  for (let buffer = takeLargeBuffer(); buffer !== undefined; buffer = takeLargeBuffer()) taken.push(buffer);
  for (const buffer of taken) giveBuffer(buffer, false);
  return taken.length;
}

describe.each(MODES)('a splice of channels that read %s', (reads) => {
  it('passes bytes and half-closes both ways', async () => {
    const { client, server, toClient, toServer } = await join(reads);
    const seen = [hashToEnd(server), hashToEnd(client)];
    client.end('a question');
    expect(await seen[0]).toBe(sha256(Buffer.from('a question')));
    server.end('an answer that comes after the question has ended');
    expect(await seen[1]).toBe(sha256(Buffer.from('an answer that comes after the question has ended')));
    expect([toClient.bytesRead, toServer.bytesWritten]).toEqual([10, 10]);
    expect([toServer.bytesRead, toClient.bytesWritten]).toEqual([49, 49]);
  });

  it('writes what was read before first, and lets taps see the rest', async () => {
    const taps: string[] = [];
    const { client, server } = await join(reads, {
      toServer: Buffer.from('from before, '),
      toClient: Buffer.from('and back, '),
      tap: (bytes, direction) => taps.push(`${direction} ${bytes.toString()}`),
    });
    const seen = [hashToEnd(server), hashToEnd(client)];
    client.end('and after');
    server.end('and forth');
    expect(await seen[0]).toBe(sha256(Buffer.from('from before, and after')));
    expect(await seen[1]).toBe(sha256(Buffer.from('and back, and forth')));
    expect(taps.sort()).toEqual(['toClient and forth', 'toServer and after']);
  });

  it('keeps back the side behind a prefix that the other does not take', async () => {
    const prefix = pattern(16 * 1024 * 1024, 7);
    const { client, server } = await join(reads, { toServer: prefix });
    server.pause();
    client.end('behind it');
    await turn();
    const seen = hashToEnd(server);
    server.resume();
    expect(await seen).toBe(sha256(Buffer.concat([prefix, Buffer.from('behind it')])));
  });

  it('keeps the order and every byte, whatever the chunks, readers and half-closes', async () => {
    const step = fc.record({
      length: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 400_000 })),
      turns: fc.nat(3),
    });
    const side = fc.record({
      steps: fc.array(step, { maxLength: 12 }),
      /** Pause for so many turns of the event loop after every so many chunks read. */
      pauseEvery: fc.integer({ min: 1, max: 4 }),
      pauseFor: fc.nat(20),
      /** Keep the own direction open until the other has ended. */
      waitsForEnd: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(side, side, async (one, two) => {
        const { client, server, toClient, toServer } = await join(reads);
        const run = async (socket: Socket, plan: typeof one, mayWait: boolean, seed: number) => {
          const chunks: Buffer[] = [];
          let count = 0;
          socket.on('data', (chunk: Buffer) => {
            chunks.push(chunk);
            count += 1;
            if (plan.pauseFor === 0 || count % plan.pauseEvery !== 0) return;
            socket.pause();
            void (async () => {
              for (let n = 0; n < plan.pauseFor; n += 1) await turn();
              socket.resume();
            })();
          });
          const ended = once(socket, 'end');
          const sent: Buffer[] = [];
          for (const { length, turns } of plan.steps) {
            const bytes = pattern(length, seed + sent.length);
            sent.push(bytes);
            if (!socket.write(bytes)) await once(socket, 'drain');
            for (let n = 0; n < turns; n += 1) await turn();
          }
          if (mayWait) await ended;
          socket.end();
          await ended;
          return { sent: Buffer.concat(sent), received: Buffer.concat(chunks) };
        };
        const [left, right] = await Promise.all([
          run(client, one, one.waitsForEnd, 1),
          run(server, two, two.waitsForEnd && !one.waitsForEnd, 1_000_003),
        ]);
        expect(sha256(right.received)).toBe(sha256(left.sent));
        expect(sha256(left.received)).toBe(sha256(right.sent));
        expect([toClient.bytesRead, toServer.bytesWritten]).toEqual([left.sent.length, left.sent.length]);
      }),
      { numRuns: 25 },
    );
  });

  it('holds little while the receiver stalls: a fast writer waits', async () => {
    const joined = await join(reads);
    const { client, server, toClient, toServer } = joined;
    server.pause();
    const block = pattern(1024 * 1024);
    let wanted = 0;
    while (wanted < 64 && !client.destroyed) {
      client.write(block);
      wanted += 1;
    }
    await full(joined);
    // What the relay holds itself is one read's worth; the rest waits in the sockets of the system and the writer.
    expect(toServer.pending).toBeLessThanOrEqual(LARGE_BUFFER);
    expect(toClient.bytesRead).toBeLessThan(wanted * block.length);
    const seen = hashToEnd(server);
    server.resume();
    client.end();
    expect(await seen).toBe(sha256(Buffer.concat(Array.from({ length: wanted }, () => block))));
  });

  it.each(['client', 'server'])('resets the other side when the %s resets', async (gone) => {
    const { client, server } = await join(reads);
    const [broken, other] = gone === 'client' ? [client, server] : [server, client];
    broken.write('x');
    await once(other, 'data');
    broken.resetAndDestroy();
    const [error] = (await once(other, 'error').catch((reason: Error) => [reason])) as [
      NodeJS.ErrnoException,
    ];
    expect(error.code).toBe('ECONNRESET');
  });

  it('leaves what a lost side means to the owner who asks for it', async () => {
    const lost = Promise.withResolvers<[string, GantryError | undefined]>();
    const joined = await join(reads, { closed: (side, error) => lost.resolve([side, error]) });
    joined.server.resetAndDestroy();
    const [side, error] = await lost.promise;
    expect(side).toBe('server');
    expect(error?.code).toBe('GTY_RESET');
    expect(joined.toClient.open).toBe(true);
    joined.toClient.write(Buffer.from('last words'));
    joined.toClient.end();
    expect(await hashToEnd(joined.client)).toBe(sha256(Buffer.from('last words')));
  });

  it('does not pass on a half-close that the owner handles', async () => {
    const joined = await join(reads, {
      ended: (direction) => (direction === 'toServer' ? 'handled' : 'forward'),
    });
    joined.client.end('done');
    await once(joined.server, 'data');
    await turn();
    joined.server.end('not yet');
    expect(await hashToEnd(joined.client)).toBe(sha256(Buffer.from('not yet')));
    expect(joined.server.readableEnded).toBe(false);
    joined.toServer.end();
    await once(joined.server, 'end');
  });

  it('stops within a tap: that chunk is not passed on, and the channels are the owner’s', async () => {
    const done = Promise.withResolvers<void>();
    const joined: Joined = await join(reads, {
      tap: (bytes) => {
        if (bytes.toString() !== 'stop') return;
        joined.splice.stop();
        const nobody = { read() {}, ended() {}, closed() {} };
        joined.toServer.handler = nobody;
        joined.toClient.handler = nobody;
        joined.toServer.write(Buffer.from('stopped'));
        joined.toServer.end();
        joined.toClient.reset();
        done.resolve();
      },
    });
    const seen = hashToEnd(joined.server);
    joined.client.write('start');
    await once(joined.server, 'data');
    joined.client.write('stop');
    await done.promise;
    expect(await seen).toBe(sha256(Buffer.from('startstopped')));
  });

  it('keeps what is on its way to a stalled peer whole when the owner stops and reads on', async () => {
    const joined = await join(reads);
    joined.server.pause();
    const block = pattern(24 * 1024 * 1024);
    joined.client.write(block);
    await full(joined);
    const passed = joined.toClient.bytesRead;
    joined.splice.stop();
    const all = Promise.withResolvers<void>();
    joined.toClient.handler = { read() {}, ended: all.resolve, closed() {} };
    joined.toServer.handler = { read() {}, ended() {}, closed() {} };
    joined.toServer.end();
    joined.toClient.resume();
    await turn();
    const seen = hashToEnd(joined.server);
    joined.server.resume();
    expect(await seen).toBe(sha256(block.subarray(0, passed)));
    joined.client.end();
    await all.promise;
    expect(joined.toClient.bytesRead).toBe(block.length);
    joined.toClient.end();
  });

  it('ends whole and gives every buffer back, whatever is reset in the middle', async () => {
    const plan = fc.record({
      who: fc.constantFrom('client', 'server', 'toClient', 'toServer'),
      how: fc.constantFrom('reset', 'end'),
      afterTurns: fc.nat(30),
      clientStalls: fc.boolean(),
      serverStalls: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(plan, { minLength: 4, maxLength: 8 }), async (plans) => {
        await Promise.all(
          plans.map(async ({ who, how, afterTurns, clientStalls, serverStalls }) => {
            const gone = { client: 0, server: 0 };
            const both = Promise.withResolvers<void>();
            const joined = await join(reads, {
              closed: (side) => {
                gone[side] += 1;
                (side === 'client' ? joined.toServer : joined.toClient).reset();
                if (gone.client + gone.server === 2) both.resolve();
              },
            });
            const { client, server } = joined;
            if (!clientStalls) client.resume();
            if (!serverStalls) server.resume();
            client.write(pattern(2_000_000));
            server.write(pattern(2_000_000));
            for (let n = 0; n < afterTurns; n += 1) await turn();
            const one = joined[who];
            if (how === 'end') one.end();
            else if ('resetAndDestroy' in one) one.resetAndDestroy();
            else one.reset();
            if (how === 'end') {
              await turn();
              joined.toClient.reset();
            }
            await both.promise;
            expect(gone).toEqual({ client: 1, server: 1 });
            client.destroy();
            server.destroy();
          }),
        );
      }),
      { numRuns: 15 },
    );
    expect(freeLargeBuffers()).toBe(LARGE_LIMIT);
  });
});
