import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPersistent, upgradeProtocol } from '../../../protocols/http/connection.ts';
import { endToEnd, endToEndTrailers } from '../../../protocols/http/hop-by-hop.ts';

describe('fields that go on', () => {
  test('keep their order, spelling and repetitions', () => {
    const fields = [
      'hOST',
      'a',
      'X-One',
      '1',
      'x-one',
      '2',
      'Accept',
      '*/*',
      'Set-Cookie',
      'a',
      'Set-Cookie',
      'b',
    ];
    expect(endToEnd(fields)).toEqual(fields);
    expect(endToEnd(fields)).not.toBe(fields);
  });

  test.each([
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
    'Expect',
    'Proxy-Authorization',
    'Proxy-Authenticate',
    'Proxy-Authentication-Info',
    ':path',
    ':authority',
    ':method',
    ':x',
  ])('%s does not', (name) => {
    const others = ['Host', 'a', 'X-Note', 'b'];
    for (const spelled of [name, name.toLowerCase(), name.toUpperCase()]) {
      expect(endToEnd([spelled, 'x', ...others])).toEqual(others);
    }
  });

  test('what Connection names does not, in however many fields and spellings', () => {
    const fields = [
      'X-One',
      '1',
      'Connection',
      'x-ONE ,, close',
      'X-Two',
      '2',
      'connection',
      'X-Two,',
      'x-one',
      '3',
      'X-Three',
      '3',
    ];
    expect(endToEnd(fields)).toEqual(['X-Three', '3']);
  });

  test('what is for everyone does, also when Connection names it', () => {
    const fields = [
      'Host',
      'a',
      'Content-Length',
      '5',
      'Authorization',
      'b',
      'Cookie',
      'c',
      'X-Forwarded-For',
      'd',
      'Forwarded',
      'e',
    ];
    const names = fields.filter((_, at) => at % 2 === 0).join(', ');
    expect(endToEnd(['Connection', names, ...fields])).toEqual(fields);
  });

  test('TE goes on when it asks for trailers, and only for these', () => {
    expect(endToEnd(['TE', 'trailers'])).toEqual(['TE', 'trailers']);
    expect(endToEnd(['Connection', 'TE', 'te', 'gzip;q=0.5, Trailers'])).toEqual(['te', 'trailers']);
    expect(endToEnd(['TE', 'gzip'])).toEqual([]);
    expect(endToEnd(['TE', ''])).toEqual([]);
  });

  test('several Cookie fields become one', () => {
    expect(endToEnd(['cookie', 'a=1', 'X', '', 'Cookie', 'b=2', 'cookie', 'c=3'])).toEqual([
      'cookie',
      'a=1; b=2; c=3',
      'X',
      '',
    ]);
  });

  test('Trailer does, and Host unless its sender writes it himself', () => {
    const fields = ['Host', 'a', 'Trailer', 'X-Sum'];
    expect(endToEnd(fields)).toEqual(fields);
    expect(endToEnd(fields, { withoutHost: true })).toEqual(['Trailer', 'X-Sum']);
  });
});

const HOP =
  /^(connection|keep-alive|proxy-connection|transfer-encoding|upgrade|http2-settings|expect|proxy-auth.*|:.*)$/i;

test('property: just what is about the connection is gone, all else is there in its order', () => {
  const name = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'abcxyz-'.split('')), minLength: 1, maxLength: 3 }),
    fc.mixedCase(
      fc.constantFrom(
        'keep-alive',
        'upgrade',
        'transfer-encoding',
        'accept',
        'host',
        'user-agent',
        'content-type',
        'expect',
        'proxy-connection',
      ),
    ),
  );
  const fields = fc.array(fc.tuple(name, fc.constantFrom('1', '2')));
  fc.assert(
    fc.property(fields, fc.array(name), (given, named) => {
      const flat = ['Connection', named.join(', '), ...given.flat()];
      const dropped = new Set(named.map((option) => option.toLowerCase()));
      for (const everyones of ['host', 'accept', 'content-type', 'expect']) dropped.delete(everyones);
      const kept = given.filter(([key]) => !HOP.test(key) && !dropped.has(key.toLowerCase()));
      expect(endToEnd(flat)).toEqual(kept.flat());
    }),
  );
});

test('trailers that would frame, route or authenticate do not go on', () => {
  const trailers = [
    'X-Sum',
    '1',
    'Content-Length',
    '5',
    'transfer-encoding',
    'chunked',
    'Authorization',
    'x',
    'grpc-status',
    '0',
    ':path',
    '/',
    'x_forwarded_for',
    '127.0.0.1',
    'Proxy-Connection',
    'close',
  ];
  expect(endToEndTrailers(trailers)).toEqual(['X-Sum', '1', 'grpc-status', '0']);
});

test('without Host and without Content-Length, for a sender that writes them itself', () => {
  const fields = ['host', 'a', 'content-length', '5', 'X-Note', '1'];
  expect(endToEnd(fields)).toEqual(fields);
  expect(endToEnd(fields, { withoutHost: true, withoutLength: true })).toEqual(['X-Note', '1']);
});

test.each([
  ['1.1', [], true],
  ['1.0', [], false],
  ['1.1', ['Connection', 'close'], false],
  ['1.1', ['Connection', 'X-Hop, CLOSE'], false],
  ['1.1', ['connection', 'te', 'Connection', 'close'], false],
  ['1.0', ['Connection', 'keep-alive'], true],
  ['1.0', ['Connection', 'te', 'Connection', 'Keep-Alive'], true],
  ['1.0', ['Connection', 'keep-alive', 'Connection', 'close'], false],
])('HTTP/%s with %j is followed by another message: %s', (version, fields, isSo) => {
  expect(isPersistent(version, fields)).toBe(isSo);
});

describe('an upgrade', () => {
  const asked = (upgrade: string, connection = 'Upgrade', version = '1.1') =>
    upgradeProtocol(version, ['Host', 'a', 'Connection', connection, 'Upgrade', upgrade]);

  test('is what Upgrade and Connection say together', () => {
    expect(asked('websocket')).toBe('websocket');
    expect(asked('WebSocket', 'keep-alive, upgrade')).toBe('websocket');
    expect(asked('SPDY/3.1')).toBe('spdy/3.1');
    expect(
      upgradeProtocol('1.1', ['upgrade', 'websocket', 'connection', 'close', 'connection', 'upgrade']),
    ).toBe('websocket');
  });

  test('is ignored in HTTP/1.0, without Connection, with a choice, and to HTTP/2 or TLS', () => {
    expect(asked('websocket', 'Upgrade', '1.0')).toBeUndefined();
    expect(asked('websocket', 'keep-alive')).toBeUndefined();
    expect(asked('websocket, h2c')).toBeUndefined();
    expect(asked('h2c', 'Upgrade, HTTP2-Settings')).toBeUndefined();
    expect(asked('TLS/1.0')).toBeUndefined();
    expect(asked('HTTP/2.0')).toBeUndefined();
    expect(asked('')).toBeUndefined();
    expect(upgradeProtocol('1.1', ['Connection', 'upgrade'])).toBeUndefined();
    expect(
      upgradeProtocol('1.1', ['Connection', 'upgrade', 'Upgrade', 'websocket', 'Upgrade', 'h2c']),
    ).toBeUndefined();
  });
});
