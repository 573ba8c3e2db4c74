import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { LARGE_BUFFER, SMALL_BUFFER } from '../../src/relay/read-buffers.ts';
import { TURN_BYTES } from '../../src/relay/turn.ts';
import {
  channelServer,
  dialled,
  hashToEnd,
  MODES,
  pattern,
  plainClient,
  plainServer,
  sha256,
  Witness,
} from './sockets.ts';

/** Fills a channel towards a peer that does not read, until the kernel takes no more. */
function fill(channel: { write(bytes: Uint8Array, done?: () => void): boolean }, done: () => void): number {
  const block = pattern(1024 * 1024);
  let written = block.length;
  while (channel.write(block, done)) written += block.length;
  return written;
}

describe.each(MODES)('a channel that reads %s', (reads) => {
  it('carries bytes both ways between a dialled and an accepted channel, and closes in order', async () => {
    const server = await channelServer(reads);
    const near = dialled(server.endpoint, reads);
    await near.witness.whenConnected;
    const far = await server.next();
    expect(near.channel.write(Buffer.from('question'))).toBe(true);
    expect(await far.witness.received(8)).toBe('question');
    far.channel.write(Buffer.from('answer'));
    expect(await near.witness.received(6)).toBe('answer');
    expect(near.channel.remote).toEqual(server.endpoint);
    expect(far.channel.remote).toEqual(near.channel.local);
    expect(far.channel.local).toEqual(server.endpoint);

    near.channel.end();
    await far.witness.whenEnded;
    far.channel.write(Buffer.from('still here'));
    far.channel.end();
    expect(await near.witness.whenClosed).toBeUndefined();
    expect(await far.witness.whenClosed).toBeUndefined();
    expect(near.witness.text).toBe('answerstill here');
    expect(near.witness.log.slice(-2)).toEqual(['ended', 'closed']);
    expect(far.witness.log).toEqual(['read', 'ended', 'closed']);
    expect([near.channel.bytesWritten, near.channel.bytesRead]).toEqual([8, 16]);
    expect([far.channel.bytesWritten, far.channel.bytesRead]).toEqual([16, 8]);
    expect([near.channel.open, far.channel.open]).toEqual([false, false]);
  });

  it('writes before it is connected, in order, and then says so', async () => {
    const server = await plainServer();
    const { channel, witness } = dialled(server.endpoint, reads);
    const order: string[] = [];
    witness.connected = () => {
      order.push('connected');
      channel.write(Buffer.from('three'));
    };
    expect(channel.write(Buffer.from('one '), () => order.push('one'))).toBe(false);
    expect(channel.write(Buffer.from('two '), () => order.push('two'))).toBe(false);
    expect(channel.pending).toBe(8);
    const socket = await server.next();
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.length === 13) socket.end();
    });
    await witness.whenEnded;
    expect(text).toBe('one two three');
    expect(order).toEqual(['connected', 'one', 'two']);
    expect(channel.pending).toBe(0);
  });

  it('sends FIN behind what was written before the connection', async () => {
    const server = await plainServer();
    const { channel } = dialled(server.endpoint, reads);
    channel.write(Buffer.from('all of it'));
    channel.end();
    expect(channel.write(Buffer.from('not this'))).toBe(true);
    expect(await hashToEnd(await server.next())).toBe(sha256(Buffer.from('all of it')));
  });

  it('pauses at once, within the read callback and outside of it', async () => {
    const server = await channelServer(reads);
    const client = await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    witness.seen = () => channel.pause();
    client.write(pattern(8 * 1024 * 1024));
    await witness.received(1);
    const held = witness.length;
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(witness.length).toBe(held);
    // Each resume brings one more chunk, and no byte is lost.
    for (let n = 0; n < 5; n += 1) {
      const before = witness.length;
      channel.resume();
      await witness.received(before + 1);
    }
    witness.seen = () => {};
    channel.resume();
    await witness.received(1024 * 1024);
    channel.pause();
    const paused = witness.length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(witness.length).toBe(paused);
    channel.resume();
    client.end();
    await witness.whenEnded;
    expect(sha256(Buffer.concat(witness.chunks))).toBe(sha256(pattern(8 * 1024 * 1024)));
  });

  it('leaves the bytes of a paused read alone until it is resumed', async () => {
    const server = await channelServer(reads);
    const client = await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    let kept: Buffer | undefined;
    witness.seen = (bytes) => {
      kept = bytes;
      channel.pause();
    };
    client.write(pattern(12 * 1024 * 1024));
    for (let n = 0; n < 12; n += 1) {
      const before = witness.length;
      await witness.received(before + 1);
      const other = dialled(server.endpoint, reads);
      other.channel.write(Buffer.alloc(1000, n));
      await (await server.next()).witness.received(1000);
      expect(kept!.equals(witness.chunks.at(-1)!)).toBe(true);
      channel.resume();
    }
  });

  it('can be paused before it is connected', async () => {
    const server = await plainServer();
    const { channel, witness } = dialled(server.endpoint, reads);
    channel.pause();
    await witness.whenConnected;
    const socket = await server.next();
    socket.write('greeting');
    await new Promise((resolve) => setImmediate(resolve));
    expect(witness.chunks).toEqual([]);
    channel.resume();
    expect(await witness.received(8)).toBe('greeting');
  });

  it('tells when the kernel has taken a write, and when FIN follows it', async () => {
    const server = await plainServer({ pauseOnConnect: true });
    const { channel, witness } = dialled(server.endpoint, reads);
    await witness.whenConnected;
    const socket: Socket = await server.next();
    const done = Promise.withResolvers<void>();
    const written = fill(channel, done.resolve);
    expect(channel.pending).toBeGreaterThan(0);
    channel.end();
    let received = 0;
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    socket.resume();
    await done.promise;
    await once(socket, 'end');
    expect(received).toBe(written);
    expect(channel.pending).toBe(0);
    expect(channel.bytesWritten).toBe(written);
  });

  it('never calls done when the connection goes first', async () => {
    const server = await plainServer({ pauseOnConnect: true });
    const { channel, witness } = dialled(server.endpoint, reads);
    await witness.whenConnected;
    const socket = await server.next();
    let done = false;
    fill(channel, () => {
      done = true;
    });
    socket.resetAndDestroy();
    // Nothing is read or written any more but the kernel's own attempts, which notice.
    expect((await witness.whenClosed)?.code).toBe('GTY_RESET');
    expect(done).toBe(false);
    expect(channel.pending).toBe(0);
  });

  it('says that a peer reset the connection', async () => {
    const server = await channelServer(reads);
    const client = await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    client.resetAndDestroy();
    const error = await witness.whenClosed;
    expect(error?.code).toBe('GTY_RESET');
    expect(error?.message).toContain('reset the connection');
    expect(error?.message).toContain('127.0.0.1');
    expect(witness.log.filter((what) => what === 'closed')).toHaveLength(1);
    expect(channel.open).toBe(false);
  });

  it('resets: the peer sees a reset, nothing more is read, closed comes without an error', async () => {
    const server = await channelServer(reads);
    const client = await plainClient(server.endpoint);
    const failure = once(client, 'error').catch((error: Error) => [error]);
    const { channel, witness } = await server.next();
    client.write('some bytes');
    await witness.received(10);
    channel.reset();
    channel.reset();
    expect(channel.open).toBe(false);
    expect(channel.write(Buffer.from('into the void'))).toBe(true);
    channel.end();
    channel.pause();
    channel.resume();
    expect(await witness.whenClosed).toBeUndefined();
    const [error] = (await failure) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    expect(witness.log).toEqual(['read', 'closed']);
  });

  it('resets in the same moment as it ends', async () => {
    const server = await channelServer(reads);
    await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    channel.end();
    channel.reset();
    expect(await witness.whenClosed).toBeUndefined();

    await plainClient(server.endpoint);
    const second = await server.next();
    second.channel.end();
    // The system's shutdown has been asked for and has not happened yet.
    await Promise.resolve();
    await new Promise<void>((resolve) => process.nextTick(resolve));
    second.channel.reset();
    expect(await second.witness.whenClosed).toBeUndefined();
  });

  it('resets within its own read callback', async () => {
    const server = await channelServer(reads);
    const client = await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    witness.seen = () => channel.reset();
    client.write(pattern(1024 * 1024));
    expect(await witness.whenClosed).toBeUndefined();
    expect(witness.log).toEqual(['read', 'closed']);
  });

  it('gives up a connection attempt when reset', async () => {
    const server = await plainServer();
    const { channel, witness } = dialled(server.endpoint, reads);
    let done = false;
    channel.write(Buffer.from('never'), () => {
      done = true;
    });
    channel.reset();
    expect(await witness.whenClosed).toBeUndefined();
    expect(witness.log).toEqual(['closed']);
    expect(done).toBe(false);
  });

  it('hands over between handlers', async () => {
    const server = await channelServer(reads);
    const client = await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    client.write('first');
    await witness.received(5);
    const second = new Witness();
    channel.handler = second;
    client.end('second');
    await second.whenEnded;
    expect([witness.text, second.text]).toEqual(['first', 'second']);
  });
});

describe('the buffers of a direct channel', () => {
  it('grow when reads fill them, and shrink after many small reads', async () => {
    const server = await channelServer('direct');
    const client = await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    const sizes: number[] = [];
    witness.seen = (bytes) => {
      sizes.push(bytes.buffer.byteLength);
      channel.pause();
    };
    // Paused after each chunk until much is there, so that reads are full.
    client.write(pattern(2 * 1024 * 1024));
    await witness.received(1);
    for (let n = 0; n < 3; n += 1) {
      const before = witness.length;
      channel.resume();
      await witness.received(before + 1);
    }
    expect(sizes[0]).toBe(SMALL_BUFFER);
    expect(sizes.slice(1)).toEqual([LARGE_BUFFER, LARGE_BUFFER, LARGE_BUFFER]);
    witness.seen = (bytes) => sizes.push(bytes.buffer.byteLength);
    channel.resume();
    await witness.received(2 * 1024 * 1024);
    for (let n = 0; n < 20; n += 1) {
      const before = witness.length;
      client.write('ping');
      await witness.received(before + 4);
    }
    expect(sizes.at(-1)).toBe(SMALL_BUFFER);
  });

  it('take so many bytes in one turn of the event loop and no more, however many wait', async () => {
    const server = await channelServer('direct');
    const client = await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    channel.pause();
    const sent = pattern(32 * 1024 * 1024);
    client.end(sent);
    let thisTurn = 0;
    let most = 0;
    witness.seen = (bytes) => {
      if (thisTurn === 0) {
        setImmediate(() => {
          thisTurn = 0;
        });
      }
      thisTurn += bytes.length;
      most = Math.max(most, thisTurn);
    };
    for (let n = 0; n < 100; n += 1) await new Promise((resolve) => setImmediate(resolve));
    channel.resume();
    await witness.whenEnded;
    expect(most).toBeLessThan(TURN_BYTES + LARGE_BUFFER);
    expect(sha256(Buffer.concat(witness.chunks))).toBe(sha256(sent));
  });

  it('are not read into while the write of another channel still reads from them, whoever resumes', async () => {
    const sink = await plainServer({ pauseOnConnect: true });
    const server = await channelServer('direct');
    const client = await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    const target = dialled(sink.endpoint, 'direct');
    await target.witness.whenConnected;
    const stalled = await sink.next();
    // A careless owner: writes on without ever pausing, and resumes when it likes.
    witness.seen = (bytes) => {
      target.channel.write(bytes);
      channel.pause();
      channel.resume();
    };
    const sent = pattern(24 * 1024 * 1024);
    client.end(sent);
    const hash = hashToEnd(stalled);
    await new Promise((resolve) => setImmediate(resolve));
    stalled.resume();
    await witness.whenEnded;
    target.channel.end();
    expect(await hash).toBe(sha256(sent));
  });
});
