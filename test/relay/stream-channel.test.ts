import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { adoptSocket } from '../../src/relay/accept.ts';
import type { Channel } from '../../src/relay/channel.ts';
import { dial } from '../../src/relay/dial.ts';
import { splice } from '../../src/relay/splice.ts';
import { createAuthority } from '../peers/certificates.ts';
import { skipWithout } from '../peers/processes.ts';
import { channelServer, pattern, plainClient, plainServer, sha256, Witness } from './sockets.ts';
import { entrance, entranceServer, identityFor } from './tls.ts';

skipWithout('openssl');

interface Near {
  readonly channel: Channel;
  readonly witness: Witness;
}

/** Two channels over streams, connected with each other. */
type Pair = () => Promise<{ near: Near; far: Near }>;

async function tlsPair(): Promise<{ near: Near; far: Near }> {
  const { ca } = await createAuthority();
  const server = await entranceServer(entrance({ tls: await identityFor([{ names: ['a.test'] }]) }));
  const witness = new Witness();
  const channel = dial(server.endpoint, witness, { tls: { verify: true, ca, servername: 'a.test' } });
  onTestFinished(() => channel.reset());
  await witness.whenConnected;
  const far = await server.next();
  // Session tickets are still to be sent: a reset that meets them looks like an end.
  await new Promise((resolve) => setImmediate(resolve));
  return { near: { channel, witness }, far };
}

async function swappedTlsPair(): Promise<{ near: Near; far: Near }> {
  const { near, far } = await tlsPair();
  return { near: far, far: near };
}

async function adoptedPair(): Promise<{ near: Near; far: Near }> {
  const server = await plainServer();
  const client = await plainClient(server.endpoint);
  const [near, far] = [client, await server.next()].map((socket) => {
    const channel = adoptSocket(socket);
    const witness = new Witness();
    channel.handler = witness;
    onTestFinished(() => channel.reset());
    return { channel, witness };
  });
  return { near: near!, far: far! };
}

const PAIRS: readonly (readonly [string, Pair])[] = [
  ['TLS, as the client', tlsPair],
  ['TLS, as the server', swappedTlsPair],
  ['adopted sockets', adoptedPair],
];

/** Writes until it is held back; the block is used again as often as that is allowed, and is another each time. */
function fill(channel: Channel, done: () => void): Buffer {
  const block = Buffer.alloc(10_000);
  const sent: Buffer[] = [];
  for (let n = 0; ; n += 1) {
    pattern(block.length, n + 1).copy(block);
    sent.push(Buffer.from(block));
    if (!channel.write(block, done)) return Buffer.concat(sent);
  }
}

describe.each(PAIRS)('a channel over %s', (_, pair) => {
  it('carries bytes both ways, and half a connection after FIN', async () => {
    const { near, far } = await pair();
    near.channel.write(Buffer.from('question'));
    expect(await far.witness.received(8)).toBe('question');
    far.channel.write(Buffer.from('answer'));
    expect(await near.witness.received(6)).toBe('answer');
    expect(far.channel.remote).toEqual(near.channel.local);
    expect(far.channel.local).toEqual(near.channel.remote);

    near.channel.end();
    expect(near.channel.write(Buffer.from('not this'))).toBe(true);
    await far.witness.whenEnded;
    far.channel.write(Buffer.from('still here'));
    far.channel.end();
    expect(await near.witness.whenClosed).toBeUndefined();
    expect(await far.witness.whenClosed).toBeUndefined();
    expect(near.witness.text).toBe('answerstill here');
    expect(near.witness.log.slice(-2)).toEqual(['ended', 'closed']);
    expect(far.witness.log.slice(-2)).toEqual(['ended', 'closed']);
    expect([near.channel.bytesWritten, near.channel.bytesRead]).toEqual([8, 16]);
    expect([far.channel.bytesWritten, far.channel.bytesRead]).toEqual([16, 8]);
    expect([near.channel.open, near.channel.pending]).toEqual([false, 0]);
  });

  it('holds the writer back, leaves bytes alone that it took, and says when they are gone', async () => {
    const { near, far } = await pair();
    far.channel.pause();
    const done = Promise.withResolvers<void>();
    const sent = fill(near.channel, () => done.resolve());
    expect(near.channel.pending).toBeGreaterThan(0);
    expect(near.channel.bytesWritten).toBe(sent.length);
    far.channel.resume();
    await done.promise;
    near.channel.write(Buffer.from('the end'));
    await far.witness.received(sent.length + 7);
    expect(sha256(Buffer.concat(far.witness.chunks))).toBe(
      sha256(Buffer.concat([sent, Buffer.from('the end')])),
    );
    while (near.channel.pending > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('pauses at once, within the read callback and outside of it', async () => {
    const { near, far } = await pair();
    const bytes = pattern(2 * 1024 * 1024);
    far.witness.seen = () => far.channel.pause();
    near.channel.write(bytes);
    near.channel.end();
    for (let n = 0; n < 5; n += 1) {
      const before = far.witness.length;
      far.channel.resume();
      await far.witness.received(before + 1);
      const held = far.witness.length;
      await new Promise((resolve) => setImmediate(resolve));
      expect(far.witness.length).toBe(held);
    }
    far.witness.seen = () => {};
    far.channel.resume();
    far.channel.pause();
    const held = far.witness.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(far.witness.length).toBe(held);
    far.channel.resume();
    await far.witness.whenEnded;
    expect(sha256(Buffer.concat(far.witness.chunks))).toBe(sha256(bytes));
  });

  it('resets: what was not sent is dropped, the peer sees a broken connection', async () => {
    const { near, far } = await pair();
    far.channel.pause();
    fill(near.channel, () => expect.unreachable('that was dropped'));
    near.channel.reset();
    expect([near.channel.open, near.channel.pending, near.channel.write(Buffer.from('no'))]).toEqual([
      false,
      0,
      true,
    ]);
    expect(await near.witness.whenClosed).toBeUndefined();
    far.channel.resume();
    expect(await far.witness.whenClosed).toMatchObject({ code: 'GTY_RESET' });
    expect(near.witness.log).not.toContain('ended');
  });

  it('resets after its end, even when the peer takes nothing', async () => {
    const { near, far } = await pair();
    far.channel.pause();
    fill(near.channel, () => {});
    near.channel.end();
    near.channel.reset();
    expect(await near.witness.whenClosed).toBeUndefined();
  });

  it('resets in the moment in which its FIN goes out', async () => {
    const { near, far } = await pair();
    near.channel.end();
    near.channel.reset();
    expect(await near.witness.whenClosed).toBeUndefined();
    far.channel.write(Buffer.from('hello?'));
    far.channel.end();
    await far.witness.whenClosed;
  });

  it('sends FIN behind what is written, however much', async () => {
    const { near, far } = await pair();
    far.channel.pause();
    const sent = fill(near.channel, () => {});
    near.channel.end();
    far.channel.resume();
    await far.witness.whenEnded;
    expect(sha256(Buffer.concat(far.witness.chunks))).toBe(sha256(sent));
    far.channel.end();
    expect(await near.witness.whenClosed).toBeUndefined();
  });

  it('may be reset by its own read callback', async () => {
    const { near, far } = await pair();
    far.witness.seen = () => far.channel.reset();
    near.channel.write(pattern(1024 * 1024));
    expect(await far.witness.whenClosed).toBeUndefined();
    expect(far.witness.log.filter((event) => event === 'read')).toHaveLength(1);
    expect(await near.witness.whenClosed).toMatchObject({ code: 'GTY_RESET' });
  });

  it('is spliced with plain channels: 32 MiB each way, in order', async () => {
    const { near, far } = await pair();
    const server = await channelServer('direct');
    const witness = new Witness();
    const plain = dial(server.endpoint, witness);
    await witness.whenConnected;
    const end = await server.next();
    splice(plain, near.channel);
    const bytes = pattern(32 * 1024 * 1024);
    end.channel.write(bytes);
    end.channel.end();
    far.channel.write(bytes);
    far.channel.end();
    await Promise.all([far.witness.whenClosed, end.witness.whenClosed]);
    expect(sha256(Buffer.concat(far.witness.chunks))).toBe(sha256(bytes));
    expect(sha256(Buffer.concat(end.witness.chunks))).toBe(sha256(bytes));
  });
});

describe('a dialled TLS channel', () => {
  async function server() {
    const { ca } = await createAuthority();
    const way = entrance({ tls: await identityFor([{ names: ['a.test'] }]) });
    const listening = await entranceServer(way);
    return { ...listening, tls: { verify: true, ca, servername: 'a.test' } };
  }

  it('writes before it is connected, in order, and then says so', async () => {
    const { endpoint, tls, next } = await server();
    const witness = new Witness();
    const channel = dial(endpoint, witness, { tls });
    const order: string[] = [];
    witness.connected = () => {
      order.push('connected');
      channel.write(Buffer.from('three'));
    };
    expect(channel.write(Buffer.from('one '), () => order.push('one'))).toBe(false);
    expect(channel.write(Buffer.from('two '), () => order.push('two'))).toBe(false);
    expect(channel.pending).toBe(8);
    channel.end();
    const far = await next();
    await far.witness.whenEnded;
    expect(far.witness.text).toBe('one two ');
    far.channel.end();
    expect(await witness.whenClosed).toBeUndefined();
    expect(order).toEqual(['connected', 'one', 'two']);
  });

  it('can be paused before it is connected', async () => {
    const { endpoint, tls, next } = await server();
    const witness = new Witness();
    const channel = dial(endpoint, witness, { tls });
    channel.pause();
    (await next()).channel.write(Buffer.from('greeting'));
    await witness.whenConnected;
    await new Promise((resolve) => setImmediate(resolve));
    expect(witness.chunks).toEqual([]);
    channel.resume();
    expect(await witness.received(8)).toBe('greeting');
    channel.reset();
  });

  it('can be reset at once', async () => {
    const { endpoint, tls, accepted } = await server();
    const witness = new Witness();
    const channel = dial(endpoint, witness, { tls });
    channel.write(Buffer.from('never sent'), () => expect.unreachable('nobody took it'));
    channel.reset();
    expect([channel.open, channel.pending, witness.log.length]).toEqual([false, 0, 0]);
    expect(await witness.whenClosed).toBeUndefined();
    expect(witness.log).toEqual(['closed']);
    expect(accepted.length).toBe(0);
  });

  it('can be reset in the handshake', async () => {
    const silent = await plainServer();
    const witness = new Witness();
    const channel = dial(silent.endpoint, witness, { tls: { verify: false } });
    const socket = await silent.next();
    await once(socket, 'data');
    channel.reset();
    expect(await witness.whenClosed).toBeUndefined();
    expect(witness.log).toEqual(['closed']);
    await once(socket, 'end');
  });
});

describe('what a library hands over', () => {
  it('may be any stream: reset closes it', async () => {
    const stream = new PassThrough();
    const channel = adoptSocket(stream, { remote: { host: '192.0.2.1', port: 1 } });
    const witness = new Witness();
    channel.handler = witness;
    expect(channel.write(Buffer.from('echo'))).toBe(true);
    expect(await witness.received(4)).toBe('echo');
    expect(channel.remote).toEqual({ host: '192.0.2.1', port: 1 });
    expect(channel.local).toEqual({ host: '', port: 0 });
    channel.reset();
    expect(await witness.whenClosed).toBeUndefined();
    expect(stream.destroyed).toBe(true);
  });

  it('may have bytes already', async () => {
    const server = await plainServer();
    const socket: Socket = connect(server.endpoint);
    await once(socket, 'connect');
    socket.unshift(Buffer.from('first '));
    const far = await server.next();
    const channel = adoptSocket(socket);
    const witness = new Witness();
    channel.handler = witness;
    far.write('second');
    expect(await witness.received(12)).toBe('first second');
    channel.reset();
  });
});
