import { expect, test } from 'vitest';
import { fingerprintOf } from '../../../src/frontends/hl7/duplicates.ts';
import { HashingStream } from '../../../src/frontends/hl7/hashing-stream.ts';
import type { Break, MessageStream, StreamReader } from '../../../src/frontends/hl7/message-stream.ts';

/** A stream of these parts, behind the beginning; `why`: how it breaks. */
class Parts implements MessageStream {
  readonly beginning = Buffer.from('MSH|');
  isCancelled = false;
  rewinds = true;
  readonly #parts: readonly string[];
  readonly #why: Break | undefined;
  #at = 0;

  constructor(parts: readonly string[], why?: Break) {
    this.#parts = parts;
    this.#why = why;
  }

  next(reader: StreamReader): void {
    const part = this.#parts[this.#at++];
    if (part !== undefined) reader.part(Buffer.from(part));
    else if (this.#why) reader.broken(this.#why);
    else reader.end();
  }

  rewind(): boolean {
    if (this.rewinds) this.#at = 0;
    return this.rewinds;
  }

  cancel(): void {
    this.isCancelled = true;
  }
}

/** Reads `count` parts, or up to the end: what came. */
function read(stream: MessageStream, count = Infinity): string[] {
  const came: string[] = [];
  let isOver = false;
  const reader: StreamReader = {
    part: (bytes) => came.push(bytes.toString()),
    end: () => {
      came.push('end');
      isOver = true;
    },
    broken: (why) => {
      came.push(why);
      isOver = true;
    },
  };
  while (!isOver && came.length < count) stream.next(reader);
  return came;
}

function hashing(inner: MessageStream, isWanted = true): { stream: HashingStream; asked: string[] } {
  const asked: string[] = [];
  const stream = new HashingStream(inner, (fingerprint) => {
    asked.push(fingerprint);
    return isWanted;
  });
  return { stream, asked };
}

const WHOLE = fingerprintOf(Buffer.from('MSH|abc'));

test('what passes is as it came, and the fingerprint is that of the whole message', () => {
  const { stream, asked } = hashing(new Parts(['a', 'bc']));
  expect(stream.beginning.toString()).toBe('MSH|');
  expect(read(stream)).toEqual(['a', 'bc', 'end']);
  expect(asked).toEqual([WHOLE]);
});

test('a repetition breaks before its end', () => {
  const { stream } = hashing(new Parts(['abc']), false);
  expect(read(stream)).toEqual(['abc', 'it is a repetition']);
});

test('a message that breaks has no fingerprint', () => {
  const { stream, asked } = hashing(new Parts(['a'], 'its sender left'));
  expect(read(stream)).toEqual(['a', 'its sender left']);
  expect(asked).toEqual([]);
});

test('read again from the beginning, its fingerprint is the same', () => {
  const { stream, asked } = hashing(new Parts(['a', 'b', 'c']));
  expect(read(stream, 2)).toEqual(['a', 'b']);
  expect(stream.rewind()).toBe(true);
  expect(read(stream)).toEqual(['a', 'b', 'c', 'end']);
  expect(asked).toEqual([WHOLE]);
});

test('read again after its end, it is no repetition of itself', () => {
  const { stream, asked } = hashing(new Parts(['abc']));
  read(stream);
  expect(stream.rewind()).toBe(true);
  expect(read(stream)).toEqual(['abc', 'end']);
  expect(asked).toEqual([WHOLE]);
});

test('a stream that cannot be read again goes on', () => {
  const inner = new Parts(['a', 'bc']);
  inner.rewinds = false;
  const { stream, asked } = hashing(inner);
  expect(read(stream, 1)).toEqual(['a']);
  expect(stream.rewind()).toBe(false);
  expect(read(stream)).toEqual(['bc', 'end']);
  expect(asked).toEqual([WHOLE]);
});

test('nobody wants the rest: the stream hears of it', () => {
  const inner = new Parts([]);
  hashing(inner).stream.cancel();
  expect(inner.isCancelled).toBe(true);
});
