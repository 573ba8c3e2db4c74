import { describe, expect, test } from 'vitest';
import { type ExtraRequestFacts, requestFacts } from '../../../protocols/http/facts.ts';
import { parseTarget } from '../../../protocols/http/target.ts';

const extra: ExtraRequestFacts = { client: '192.0.2.7', vip: 'PORTAL', port: '8080' };
const source = {
  method: 'GET',
  host: 'Portal.Example:8080',
  target: '/a/../%7ex/?q=1&q=b+c&empty=',
  rawHeaders: [
    'Host',
    'Portal.Example:8080',
    'X-Site',
    'north',
    'x-SITE',
    'south',
    'X-None',
    '',
    'Cookie',
    'a=1; b=2',
    'cookie',
    'a=3; c=',
  ],
};
const facts = requestFacts(source, extra);

describe('a fact', () => {
  test.each([
    ['method', 'GET'],
    ['host', 'portal.example'],
    ['path', '/~x/'],
    ['query.q', ['1', 'b c']],
    ['query.empty', undefined],
    ['query.Q', undefined],
    ['header.x-site', ['north', 'south']],
    ['header.X-Site', ['north', 'south']],
    ['header.x-none', undefined],
    ['header.host', 'Portal.Example:8080'],
    ['cookie.a', ['1', '3']],
    ['cookie.b', '2'],
    ['cookie.c', undefined],
    ['cookie.B', undefined],
    ['client', '192.0.2.7'],
    ['vip', 'PORTAL'],
    ['port', '8080'],
    ['sni', undefined],
    ['tlsSubject', undefined],
    ['serverCookie.SRV', undefined],
    ['header.', undefined],
    ['called', undefined],
    ['constructor', undefined],
  ])('%s is %j', (name, value) => {
    expect(facts.get(name)).toEqual(value);
  });
});

test('an absolute target names the host', () => {
  const { rawHeaders } = source;
  const absolute = { method: 'GET', host: undefined, target: 'http://OTHER.example:1/x', rawHeaders };
  expect(requestFacts(absolute, extra).get('host')).toBe('other.example');
});

test('an IPv6 host keeps its brackets', () => {
  expect(requestFacts({ ...source, host: '[2001:DB8::1]:80' }, extra).get('host')).toBe('[2001:db8::1]');
});

test('a target that was taken apart is not taken apart again', () => {
  const target = parseTarget('/%41', undefined);
  expect(requestFacts({ ...source, target }, extra).get('path')).toBe('/A');
});

test('nothing is worked out before it is asked for', () => {
  const asked: string[] = [];
  const lazy = requestFacts(
    {
      get method(): string {
        throw new Error('asked for the method');
      },
      get host(): string {
        throw new Error('asked for the host');
      },
      get target(): string {
        throw new Error('asked for the target');
      },
      get rawHeaders(): string[] {
        throw new Error('asked for the fields');
      },
    },
    {
      client: '192.0.2.7',
      vip: 'PORTAL',
      get port() {
        asked.push('port');
        return '8080';
      },
      serverCookie(name) {
        asked.push(name);
        return ['web-1', 'web-2'];
      },
    },
  );
  expect(lazy.get('client')).toBe('192.0.2.7');
  expect(asked).toEqual([]);
  expect(lazy.get('port')).toBe('8080');
  expect(lazy.get('serverCookie.SRV')).toEqual(['web-1', 'web-2']);
  expect(asked).toEqual(['port', 'SRV']);
});
