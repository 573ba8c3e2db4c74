import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadCollector } from '../../../protocols/http/head-collector.ts';
import { MessageFault } from '../../../protocols/http/message-head.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const HEAD = 'GET /x HTTP/1.1\r\nHost: portal.example';

/** The status that pushing these pieces is refused with, or the head, and how much of the last piece it took. */
function collect(pieces: readonly string[], most = 200): number | { head: string | undefined; used: number } {
  const collector = new HeadCollector(most);
  let head: string | undefined;
  try {
    for (const piece of pieces) head = collector.push(latin1(piece));
  } catch (error) {
    if (error instanceof MessageFault) return error.status;
    throw error;
  }
  return { head, used: collector.used };
}

test('property: a head ends at its empty line, wherever it is cut, and what follows is left', () => {
  fc.assert(
    fc.property(fc.nat(HEAD.length + 3), fc.string({ unit: 'binary-ascii' }), (cut, body) => {
      const message = `${HEAD}\r\n\r\n${body}`;
      expect(collect([message])).toEqual({ head: HEAD, used: HEAD.length + 4 });
      expect(collect([message.slice(0, cut), message.slice(cut)])).toEqual({
        head: HEAD,
        used: HEAD.length + 4 - cut,
      });
    }),
  );
});

test('one byte at a time it waits for the last', () => {
  const bytes = `${HEAD}\r\n\r\n`.split('');
  for (let count = 1; count < bytes.length; count++) {
    expect(collect(bytes.slice(0, count))).toEqual({ head: undefined, used: 1 });
  }
  expect(collect(bytes)).toEqual({ head: HEAD, used: 1 });
});

test('one collector collects one head after the other', () => {
  const collector = new HeadCollector(200);
  for (let n = 0; n < 3; n++) {
    expect(collector.isEmpty).toBe(true);
    expect(collector.push(latin1(HEAD))).toBeUndefined();
    expect(collector.isEmpty).toBe(false);
    expect(collector.push(latin1('\r\n\r\nbody'))).toBe(HEAD);
    expect(collector.push(latin1(`${HEAD}\r\n\r\n`))).toBe(HEAD);
  }
});

describe('a head that is too long is refused as soon as it is, whole or in pieces', () => {
  const long = `${HEAD}\r\nX-Long: ${'x'.repeat(200)}`;
  test.each([
    ['fields', 431, long],
    ['fields, whole', 431, `${long}\r\n\r\n`],
    ['a request line', 414, `GET /${'x'.repeat(300)}`],
  ])('%s: %i', (_what, status, text) => {
    expect(collect([text])).toBe(status);
    expect(collect(text.split(''))).toBe(status);
    expect(collect([text.slice(0, 5), text.slice(5)])).toBe(status);
  });

  test('but not before', () => {
    expect(collect([`${HEAD}\r\n\r\n`], HEAD.length + 4)).toMatchObject({ head: HEAD });
    expect(collect([`${HEAD}\r\n\r\n${'x'.repeat(500)}`], HEAD.length + 4)).toMatchObject({ head: HEAD });
    expect(collect([HEAD, `\r\n\r\n${'x'.repeat(500)}`], HEAD.length + 4)).toMatchObject({ head: HEAD });
    expect(collect([`${HEAD}\r\n\r\n`], HEAD.length + 3)).toBe(431);
    expect(collect(`${HEAD}\r\n\r\n`.split(''), HEAD.length + 3)).toBe(431);
  });
});

describe('what can become no head is refused before an empty line', () => {
  test.each([
    ['bare LF behind the first line', 'GET /x HTTP/1.1\n'],
    ['bare LF behind a field', `${HEAD}\n`],
    ['bare LF at the beginning', '\nGET'],
    ['a first line of HTTP/0.9', 'GET /x\r\n'],
    ['a first line of HTTP/0.9 behind an empty one', '\r\nGET /x\r\n'],
    ['a first line of another protocol', 'EHLO portal.example\r\n'],
  ])('%s', (_what, text) => {
    expect(collect([text])).toBe(400);
    expect(collect(text.split(''))).toBe(400);
  });

  test('an empty line before the first may be', () => {
    expect(collect([`\r\n${HEAD}\r\n`])).toMatchObject({ head: undefined });
    expect(collect(`\r\n${HEAD}\r\n`.split(''))).toMatchObject({ head: undefined });
  });
});
