import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StreamReader } from '../../../src/frontends/hl7/message-stream.ts';
import { QueueStream } from '../../../src/frontends/hl7/queue-stream.ts';
import { holdMemory, releaseMemory } from '../../../src/relay/read-buffers.ts';

const PIECE = 64;

/** A queue with one message, whose pieces come when they are let through, and are spoiled when they are given back. */
class OneMessage {
  readonly content: Buffer;
  readonly out = new Set<ArrayBufferLike>();
  most = 0;
  #asked: (() => void)[] = [];

  constructor(size: number) {
    this.content = Buffer.from(Array.from({ length: size }, (_, index) => (index * 7) % 251));
  }

  piece(number: number): Buffer | undefined {
    const bytes = this.content.subarray(number * PIECE, (number + 1) * PIECE);
    if (bytes.length === 0) return undefined;
    const piece = Buffer.from(new ArrayBuffer(bytes.length));
    bytes.copy(piece);
    this.out.add(piece.buffer);
    this.most = Math.max(this.most, this.out.size);
    return piece;
  }

  read(_: number, number: number): Promise<Buffer | undefined> {
    return new Promise((resolve) => this.#asked.push(() => resolve(this.piece(number))));
  }

  giveBack(piece: Buffer): void {
    expect(this.out.delete(piece.buffer)).toBe(true);
    piece.fill(0xff);
  }

  /** All that was asked for comes. */
  async flow(): Promise<void> {
    for (const asked of this.#asked.splice(0)) asked();
    await new Promise(setImmediate);
  }

  get asked(): number {
    return this.#asked.length;
  }
}

/** Collects what it is told: bytes as they were when they came. */
class Reader implements StreamReader {
  bytes: Buffer;
  latest: Buffer | undefined;
  over: string | undefined;

  constructor(beginning: Buffer) {
    this.bytes = Buffer.from(beginning);
  }

  part(bytes: Buffer): void {
    this.latest = bytes;
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }

  end(): void {
    this.over = 'end';
  }

  broken(why: string): void {
    this.over = why;
  }
}

function streamOf(size: number, claimed = size): { message: OneMessage; stream: QueueStream } {
  const message = new OneMessage(size);
  return { message, stream: new QueueStream(message, 1, claimed, message.piece(0)!) };
}

test('a message comes as it is, begun anew at any moment, and every piece is given back once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: PIECE + 1, max: 12 * PIECE }),
      fc.array(fc.record({ parts: fc.nat(12), isAsking: fc.boolean() }), { maxLength: 3 }),
      async (size, attempts) => {
        const { message, stream } = streamOf(size);
        for (const { parts, isAsking } of attempts) {
          const reader = new Reader(stream.beginning);
          for (let count = 0; count < parts && !reader.over; count++) {
            stream.next(reader);
            await message.flow();
          }
          const before = reader.bytes.length;
          if (isAsking && !reader.over) stream.next(reader);
          stream.rewind();
          await message.flow();
          if (!reader.over) expect(reader.bytes.length).toBe(before);
          expect(reader.bytes.equals(message.content.subarray(0, reader.bytes.length))).toBe(true);
        }
        const reader = new Reader(stream.beginning);
        while (!reader.over) {
          stream.next(reader);
          await message.flow();
        }
        expect(reader.over).toBe('end');
        expect(reader.bytes.equals(message.content)).toBe(true);
        stream.cancel();
        stream.cancel();
        expect(message.out.size).toBe(0);
        // Its beginning, what the reader has, and what was read ahead.
        expect(message.most).toBeLessThanOrEqual(2 + 4);
      },
    ),
    { numRuns: 100 },
  );
});

test('some pieces are asked for before the reader wants them; all streams together ask for few', async () => {
  const streams = Array.from({ length: 40 }, () => streamOf(20 * PIECE));
  const readers = streams.map(({ stream }) => new Reader(stream.beginning));
  for (const [index, { stream }] of streams.entries()) stream.next(readers[index]!);
  const asked = streams.map(({ message }) => message.asked);
  expect(asked[0]).toBe(4);
  expect(asked.every((count) => count >= 1)).toBe(true);
  expect(asked.reduce((sum, count) => sum + count)).toBeLessThanOrEqual(32 + 40);
  for (const { message, stream } of streams) {
    stream.cancel();
    await message.flow();
    expect(message.out.size).toBe(0);
  }
  const { message, stream } = streamOf(20 * PIECE);
  stream.next(new Reader(stream.beginning));
  expect(message.asked).toBe(4);
  stream.cancel();
  await message.flow();
});

test('a piece that a connection still writes is not used again before that is over', async () => {
  const { message, stream } = streamOf(3 * PIECE);
  const reader = new Reader(stream.beginning);
  stream.next(reader);
  await message.flow();
  const written = reader.latest!;
  holdMemory(written);
  stream.cancel();
  await message.flow();
  expect(message.out.size).toBe(1);
  expect(message.out.has(written.buffer)).toBe(true);
  releaseMemory(written);
  expect(message.out.size).toBe(0);
});

test('a message that is shorter on the disk than it was is broken', async () => {
  const { message, stream } = streamOf(3 * PIECE, 3 * PIECE + 1);
  const reader = new Reader(stream.beginning);
  for (let count = 0; count < 10 && !reader.over; count++) {
    stream.next(reader);
    await message.flow();
  }
  expect(reader.over).toBe('its body is damaged');
  stream.cancel();
  expect(message.out.size).toBe(0);
});

test('a queue that cannot be read now is no damage', async () => {
  const { message, stream } = streamOf(3 * PIECE);
  const reader = new Reader(stream.beginning);
  message.read = () => Promise.reject(new Error('invented'));
  stream.next(reader);
  await message.flow();
  expect(reader.over).toBe('the queue cannot be read now');
});
