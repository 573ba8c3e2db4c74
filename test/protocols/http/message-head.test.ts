import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MessageFault,
  readRequestHead,
  readResponseHead,
  readTrailers,
} from '../../../protocols/http/message-head.ts';

const letters = (text: string) => fc.constantFrom(...text.split(''));
const token = fc.string({ unit: letters("abcXYZ019-_!#$%&'*+.^`|~"), minLength: 1, maxLength: 8 });
/** RFC 9110 5.5: no white space at its ends. */
const value = fc
  .string({ unit: letters('ab:,;="/ \t\u00e9\u0080\u00ff'), maxLength: 12 })
  .map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''));
const blank = fc.string({ unit: letters(' \t'), maxLength: 2 });
const field = fc.record({ name: token, before: blank, value, after: blank });
const fields = fc.array(field, { maxLength: 8 });
type Field = { name: string; before: string; value: string; after: string };

const lines = (all: readonly Field[]) =>
  all.map(({ name, before, value: text, after }) => `\r\n${name}:${before}${text}${after}`).join('');
const flat = (all: readonly Field[]) => all.flatMap(({ name, value: text }) => [name, text]);

test('property: a request is read as it was written', () => {
  const target = fc.string({ unit: letters('/ab?%#*:@[]~!'), minLength: 1 });
  fc.assert(
    fc.property(token, target, fc.constantFrom('1.0', '1.1'), fields, (method, asked, version, all) => {
      const text = `${method} ${asked} HTTP/${version}${lines(all)}`;
      const head = { method, target: asked, version, rawHeaders: flat(all) };
      expect(readRequestHead(text)).toEqual(head);
      expect(readRequestHead(`\r\n${text}`)).toEqual(head);
    }),
  );
});

test('property: a response is read as it was written', () => {
  const reason = fc.option(value, { nil: undefined });
  fc.assert(
    fc.property(
      fc.constantFrom('1.0', '1.1'),
      fc.integer({ min: 100, max: 999 }),
      reason,
      fields,
      (version, status, phrase, all) => {
        const text = `HTTP/${version} ${status}${phrase === undefined ? '' : ` ${phrase}`}${lines(all)}`;
        expect(readResponseHead(text)).toEqual({
          version,
          status,
          reason: phrase ?? '',
          rawHeaders: flat(all),
        });
      },
    ),
  );
});

test('property: trailers are read as they were written', () => {
  fc.assert(
    fc.property(fields, (all) => {
      expect(readTrailers(lines(all))).toEqual(flat(all));
    }),
  );
});

/** The status and sentence that a text is refused with. */
function fault(read: () => unknown): { status: number; message: string } {
  try {
    read();
  } catch (error) {
    if (error instanceof MessageFault) return { status: error.status, message: error.message };
    throw error;
  }
  throw new Error('was read');
}

describe('a request that is none', () => {
  test.each([
    ['GET /x', 400],
    ['GET /x HTTP/0.9', 505],
    ['GET /x HTTP/2.0', 505],
    ['GET /x HTTP/1.2', 505],
    ['GET /x HTTP/1.11', 400],
    ['GET /x http/1.1', 400],
    ['GET  /x HTTP/1.1', 400],
    ['GET /x  HTTP/1.1', 400],
    ['GET /x HTTP/1.1 ', 400],
    [' GET /x HTTP/1.1', 400],
    ['GET\t/x HTTP/1.1', 400],
    ['G@T /x HTTP/1.1', 400],
    ['GET /\xe9 HTTP/1.1', 400],
    ['GET /x HTTP/1.1\r\n', 400],
    ['GET /x HTTP/1.1\r\nHost', 400],
    ['GET /x HTTP/1.1\r\n: a', 400],
    ['GET /x HTTP/1.1\r\nHost : a', 400],
    ['GET /x HTTP/1.1\r\n Host: a', 400],
    ['GET /x HTTP/1.1\r\nX: a\r\n b', 400],
    ['GET /x HTTP/1.1\r\nX: a\rb', 400],
    ['GET /x HTTP/1.1\r\nX: a\nY: b', 400],
    ['GET /x HTTP/1.1\r\nX: a\0b', 400],
    ['GET /x HTTP/1.1\r\nX\xe9: a', 400],
    ['\r\n\r\nGET /x HTTP/1.1', 400],
    ['', 400],
  ])('%j: %i', (text, status) => {
    expect(fault(() => readRequestHead(text)).status).toBe(status);
  });
});

describe('a response that is none', () => {
  test.each([
    'HTTP/1.1',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 099 OK',
    'HTTP/1.1  200 OK',
    'HTTP/2 200 OK',
    'HTTP/1.1 200 O\0K',
    'HTTP/1.1 200\r\nX: a\r\n b',
    '\r\nHTTP/1.1 200 OK',
    'ICY 200 OK',
    '',
  ])('%j', (text) => {
    expect(fault(() => readResponseHead(text))).toBeDefined();
  });
});

test('property: whatever the text is, it is read or refused with a sentence that has nothing of it', () => {
  const sentences = new Set<string>();
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', 'GET /x HTTP/1.1\r\n', 'HTTP/1.1 200 OK\r\n'),
      (text, start) => {
        for (const read of [readRequestHead, readResponseHead, readTrailers]) {
          try {
            read(start + text);
          } catch (error) {
            expect(error).toBeInstanceOf(MessageFault);
            sentences.add((error as MessageFault).message);
          }
        }
      },
    ),
  );
  expect(sentences.size).toBeLessThan(7);
});

test('a head of a megabyte is read, and refused for its last byte', () => {
  const endless = `GET /x HTTP/1.1\r\nX: ${'a'.repeat(1_000_000)}`;
  const many = `GET /x HTTP/1.1${'\r\nX: a'.repeat(100_000)}`;
  for (const text of [endless, many]) {
    expect(readRequestHead(text).rawHeaders.length).toBeGreaterThan(0);
    // Its last byte is wrong: all that was matched is tried again in vain.
    expect(fault(() => readRequestHead(`${text}\0`)).status).toBe(400);
  }
});
