import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { createServerCookies } from '../../../src/frontends/http/server-cookie.ts';

vi.mock('node:crypto', { spy: true });

const key = Buffer.from('an invented key of some length!!');
const cookies = createServerCookies({ key });
const secure = { secure: true };

/** The value that a client sends back. */
function sentBack(setCookie: string): string {
  return /^SRV=([^;]*)/.exec(setCookie)![1]!;
}
const read = (value: string) => cookies.read([`theme=dark; SRV=${value}; x=y`], 'SRV');

test('a cookie names its server, and only scripts of ours could read it', () => {
  const setCookie = cookies.write('SRV', 'web-1', [], secure);
  expect(setCookie).toMatch(/^SRV=web-1~[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
  expect(cookies.write('SRV', 'web-1', [], { secure: false })).not.toContain('Secure');
  expect(read(sentBack(setCookie))).toEqual(['web-1']);
});

test('pools that share the name of a cookie keep their servers in it, the newest first, eight at most', () => {
  let servers: readonly string[] = [];
  for (let n = 1; n <= 10; n++) {
    servers = read(sentBack(cookies.write('SRV', `web-${n}`, servers, secure)));
    expect(servers[0]).toBe(`web-${n}`);
  }
  expect(servers).toEqual([10, 9, 8, 7, 6, 5, 4, 3].map((n) => `web-${n}`));
  expect(read(sentBack(cookies.write('SRV', 'web-5', servers, secure)))).toEqual(
    [5, 10, 9, 8, 7, 6, 4, 3].map((n) => `web-${n}`),
  );
});

test('another process with the key reads it, one with another key does not', () => {
  const value = sentBack(cookies.write('SRV', 'web-1', [], secure));
  expect(createServerCookies({ key }).read([`SRV=${value}`], 'SRV')).toEqual(['web-1']);
  const other = createServerCookies({ key: Buffer.from('another invented key of length!!') });
  expect(other.read([`SRV=${value}`], 'SRV')).toEqual([]);
});

describe('a forged cookie is ignored', () => {
  const good = sentBack(cookies.write('SRV', 'web-1', [], secure));
  const code = good.slice('web-1~'.length);

  test.each([
    ['without a code', 'web-1'],
    ['with an empty code', 'web-1~'],
    ["with another server's code", `web-2~${code}`],
    ['of another cookie', sentBack(cookies.write('OTHER', 'web-1', [], secure).replace('OTHER', 'SRV'))],
    ['truncated', good.slice(0, -1)],
    ['with more behind it', `${good}A`],
    [
      'in other letters of the same bytes',
      good.slice(0, -1) + String.fromCharCode(good.charCodeAt(good.length - 1) ^ 1),
    ],
    ['with a code in plain base64', `web-1~${Buffer.from(code, 'base64url').toString('base64')}`],
    ['with a code beyond ASCII', `web-1~${'\xe9'.repeat(22)}`],
    ['in quotation marks', `"${good}"`],
    ['with percent-encoding that is none', `web%-1~${code}`],
    ['without a server', `~${code}`],
    ['of nothing but separators', '!!!~~~!!!'],
  ])('%s', (_how, value) => {
    expect(read(value)).toEqual([]);
  });

  test('an oversized one, even with good entries', () => {
    expect(read(`${'x'.repeat(5000)}!${good}`)).toEqual([]);
  });

  test('beside good entries', () => {
    expect(read(`web-2~${code}!${good}!web-1~${'A'.repeat(22)}`)).toEqual(['web-1']);
  });

  test('beside a good cookie of the same name', () => {
    expect(cookies.read(['SRV=web-9~x', `SRV=${good}`], 'SRV')).toEqual(['web-1']);
  });
});

test('a thousand requests cost no thousand HMACs, and a thousand forgeries no memory', () => {
  const fresh = createServerCookies({ key });
  const value = sentBack(cookies.write('SRV', 'web-1', ['web-2'], secure));
  vi.mocked(createHmac).mockClear();
  for (let n = 0; n < 1000; n++) expect(fresh.read([`SRV=${value}`], 'SRV')).toHaveLength(2);
  expect(createHmac).toHaveBeenCalledTimes(2);
  // However many entries a request brings, eight are looked at.
  fresh.read(
    Array.from({ length: 100 }, (_, n) => `SRV=${`forged-${n}~x!`.repeat(50)}`),
    'SRV',
  );
  expect(createHmac).toHaveBeenCalledTimes(10);
});

test('property: servers of any name come back, in octets that a cookie may have', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .filter((text) => text.isWellFormed());
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 8 }), (servers) => {
      const value = sentBack(cookies.write('SRV', servers[0]!, servers.slice(1), secure));
      // RFC 6265 4.1.1.
      expect(value).toMatch(/^[!#-+\--:<-[\]-~]*$/);
      if (value.length <= 4096) expect(read(value)).toEqual(servers);
    }),
  );
});

test('property: of a cookie in which one character changed, only whole entries are believed', () => {
  const servers = ['web-1', 'web-2', 'web-3'];
  const good = sentBack(cookies.write('SRV', 'web-1', servers, secure));
  const change = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0x21, max: 0x7e }));
  fc.assert(
    fc.property(change, ([at, byte]) => {
      const character = String.fromCharCode(byte);
      if (good[at] === character || character === ';') return;
      const believed = read(good.slice(0, at) + character + good.slice(at + 1));
      expect(servers).toEqual(expect.arrayContaining([...believed]));
      expect(believed.length).toBeLessThan(3);
    }),
    { numRuns: 1000 },
  );
});

test('property: whatever a client sends is no error', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (fields) => {
      expect(cookies.read([...fields, ...fields.map((field) => `SRV=${field}`)], 'SRV')).toEqual([]);
    }),
  );
});
