import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BodyReader,
  type Framing,
  requestFraming,
  responseFraming,
} from '../../../protocols/http/body-reader.ts';
import type { Fields } from '../../../protocols/http/fields.ts';
import { MessageFault } from '../../../protocols/http/message-head.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

interface Read {
  readonly content: string;
  readonly isDone: boolean;
  readonly trailers: Fields;
  /** What was not taken. */
  readonly rest: string;
}

/** What is read from pieces, which are not the reader's to keep. */
function read(framing: Framing, pieces: readonly string[], reader = new BodyReader()): Read {
  reader.begin(framing);
  let content = '';
  let rest = '';
  for (const piece of pieces) {
    const bytes = latin1(piece);
    if (reader.isDone) {
      rest += piece;
      continue;
    }
    content += reader.read(bytes).toString('latin1');
    rest += piece.slice(reader.used);
    bytes.fill(0x21);
  }
  return { content, isDone: reader.isDone, trailers: reader.trailers, rest };
}

/** Text cut at some places. */
function cutAt(text: string, places: readonly number[]): string[] {
  const cuts = [
    0,
    ...[...places].map((place) => place % (text.length + 1)).sort((a, b) => a - b),
    text.length,
  ];
  return cuts.slice(1).map((end, index) => text.slice(cuts[index], end));
}

const places = fc.array(fc.nat(), { maxLength: 12 });
const content = fc.string({
  unit: fc.constantFrom('a', '0', '\r', '\n', '\r\n', ';', '\u00ff'),
  maxLength: 20,
});
const chunk = fc.record({
  content: content.filter((text) => text !== ''),
  zeros: fc.constantFrom('', '0', '000'),
  extension: fc.constantFrom('', ';', ';a=b', ';a="b c"', ';\tq'),
  isUpper: fc.boolean(),
});
const trailer = fc.tuple(fc.constantFrom('X-Sum', 'grpc-status'), fc.constantFrom('', '0', 'a: b'));

interface Chunked {
  readonly text: string;
  readonly content: string;
  readonly trailers: readonly string[];
}
const chunked: fc.Arbitrary<Chunked> = fc
  .record({
    chunks: fc.array(chunk, { maxLength: 4 }),
    last: fc.constantFrom('0', '000', '0;a'),
    trailers: fc.array(trailer, { maxLength: 2 }),
  })
  .map(({ chunks, last, trailers }) => {
    const written = chunks.map((one) => {
      const size = one.content.length.toString(16);
      return `${one.zeros}${one.isUpper ? size.toUpperCase() : size}${one.extension}\r\n${one.content}\r\n`;
    });
    const after = trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    return {
      text: `${written.join('')}${last}\r\n${after}\r\n`,
      content: chunks.map((one) => one.content).join(''),
      trailers: trailers.flat(),
    };
  });

describe('property: a body is what its sender framed, however it arrives', () => {
  test('in chunks', () => {
    fc.assert(
      fc.property(chunked, places, content, ({ text, content: sent, trailers }, cuts, next) => {
        const expected = { content: sent, isDone: true, trailers, rest: next };
        expect(read('chunked', [text + next])).toEqual(expected);
        expect(read('chunked', cutAt(text + next, cuts))).toEqual(expected);
        expect(read('chunked', (text + next).split(''))).toEqual(expected);
      }),
    );
  });

  test('of a length', () => {
    fc.assert(
      fc.property(content, places, content, (sent, cuts, next) => {
        const expected = { content: sent, isDone: true, trailers: [], rest: next };
        expect(read(sent.length, cutAt(sent + next, cuts))).toEqual(expected);
      }),
    );
  });

  test('until the connection ends', () => {
    fc.assert(
      fc.property(content, places, (sent, cuts) => {
        const reader = new BodyReader();
        expect(read('until-close', cutAt(sent, cuts), reader)).toMatchObject({
          content: sent,
          isDone: false,
        });
        expect(reader.end()).toBe(true);
      }),
    );
  });
});

test('property: every prefix waits, and an end of the connection is none of the body', () => {
  fc.assert(
    fc.property(chunked, ({ text, content: sent }) => {
      for (let length = 0; length < text.length; length++) {
        const reader = new BodyReader();
        const prefix = read('chunked', [text.slice(0, length)], reader);
        expect(prefix.isDone).toBe(false);
        expect(sent.startsWith(prefix.content)).toBe(true);
        expect(reader.end()).toBe(false);
      }
    }),
    { numRuns: 30 },
  );
});

test('one reader reads one body after the other', () => {
  const reader = new BodyReader();
  for (let n = 0; n < 2; n++) {
    expect(read('chunked', ['5;x\r\nhel', 'lo\r\n0\r\nX-Sum: 1\r\n\r\n'], reader)).toMatchObject({
      content: 'hello',
      trailers: ['X-Sum', '1'],
    });
    expect(read('chunked', ['0\r\n\r\n'], reader)).toMatchObject({ content: '', isDone: true, trailers: [] });
    expect(read(5, ['hello'], reader)).toMatchObject({ content: 'hello', isDone: true, trailers: [] });
    expect(read(0, [], reader)).toMatchObject({ content: '', isDone: true });
  }
});

describe('bad chunking', () => {
  test.each([
    'g\r\n',
    '-1\r\n',
    '+5\r\n',
    '0x5\r\n',
    ' 5\r\n',
    '5 \r\n',
    '\r\n',
    ';a\r\n',
    '5\n',
    '5\rh',
    '5;a\n',
    '5;a\rb',
    '5;\x00',
    '5;\x7f',
    `5;${'a'.repeat(300)}`,
    '5\r\nhello0',
    '5\r\nhello\n',
    '5\r\nhello\rx',
    'FFFFFFFFFFFFFFFF\r\n',
    '00000000000001\r\n',
    '0\r\nX\r\n\r\n',
    '0\r\nX: a\r\n b\r\n\r\n',
    '0\r\nX : a\r\n\r\n',
    '0\r\nX: a\nY: b\r\n\r\n',
    `0\r\nX: ${'a'.repeat(9000)}`,
  ])('%j', (text) => {
    expect(() => read('chunked', [text])).toThrow(MessageFault);
    expect(() => read('chunked', text.split(''))).toThrow(MessageFault);
  });
});

test('property: a corrupted byte changes nothing but content, or is refused, or waits for more', () => {
  const whole = '5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n';
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), places, (at, byte, cuts) => {
      const text = whole.slice(0, at) + String.fromCharCode(byte) + whole.slice(at + 1);
      let seen: Read | 'refused';
      try {
        seen = read('chunked', cutAt(text, cuts));
      } catch (error) {
        if (!(error instanceof MessageFault)) throw error;
        seen = 'refused';
      }
      if (seen === 'refused' || !seen.isDone) return;
      expect(seen.content).toHaveLength(11);
      expect(seen.rest).toBe('');
    }),
    { numRuns: 2000 },
  );
});

describe('the framing', () => {
  test('of a request', () => {
    expect(requestFraming(['Host', 'a'])).toBe(0);
    expect(requestFraming(['content-length', '0012'])).toBe(12);
    expect(requestFraming(['transfer-encoding', 'CHUNKED'])).toBe('chunked');
  });

  test.each<[Framing | undefined, Fields]>([
    ['until-close', ['Server', 'a']],
    [5, ['Content-Length', '5']],
    [0, ['content-length', '0']],
    ['chunked', ['Transfer-Encoding', 'Chunked']],
    [undefined, ['Content-Length', '5', 'Content-Length', '5']],
    [undefined, ['Content-Length', '5, 5']],
    [undefined, ['Content-Length', '+5']],
    [undefined, ['Content-Length', '']],
    [undefined, ['Content-Length', '9007199254740993']],
    [undefined, ['Transfer-Encoding', 'chunked', 'Content-Length', '5']],
    [undefined, ['Transfer-Encoding', 'gzip, chunked']],
    [undefined, ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
  ])('of a response: %s from %j', (framing, fields) => {
    expect(responseFraming(fields)).toBe(framing);
  });
});
