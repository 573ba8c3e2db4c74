import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  aeTitle,
  duration,
  flag,
  integer,
  isNetwork,
  listenAddress,
  serverAddress,
  share,
  size,
} from '../../src/config/scalars.ts';

const value = (
  schema: { safeParse(text: string): { success: boolean; data?: unknown } },
  text: string,
): unknown => schema.safeParse(text).data;

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['5s', 5000],
    ['1.5s', 1500],
    ['30m', 1_800_000],
    ['72h', 259_200_000],
  ])('%s is %i ms', (text, ms) => expect(value(duration(), text)).toBe(ms));

  it.each(['5', '', 's', '5 s', '-5s', '5S', '1d', '0s', '0.1ms', '87601h', '1e3s', '٥s'])(
    '"%s" is none',
    (text) => {
      expect(value(duration(), text)).toBeUndefined();
    },
  );

  it('0 only where it means none', () => {
    expect(value(duration({ zero: true }), '0')).toBe(0);
    expect(value(duration({ zero: true }), '0s')).toBe(0);
  });
});

describe('sizes', () => {
  it.each([
    ['1024B', 1024],
    ['64KiB', 65_536],
    ['16MiB', 16_777_216],
  ])('%s is %i bytes', (text, bytes) => expect(value(size(1024, 2 ** 30), text)).toBe(bytes));

  it.each(['64KB', '64', '1B', '2GiB', '1.5MiB', '-1KiB'])('"%s" is none', (text) => {
    expect(value(size(1024, 2 ** 30), text)).toBeUndefined();
  });
});

describe('addresses', () => {
  it.each([
    ['10.0.0.4:104', '10.0.0.4', 104],
    ['0.0.0.0:0', '0.0.0.0', 0],
    ['[::]:65535', '::', 65_535],
    ['[fe80::1%eth0]:104', 'fe80::1%eth0', 104],
  ])('%s can be listened on', (text, host, port) =>
    expect(value(listenAddress, text)).toEqual({ host, port }),
  );

  it.each([
    ['10.0.0.4', '10.0.0.4', undefined],
    ['pacs-1.example:104', 'pacs-1.example', 104],
    ['fd00::1', 'fd00::1', undefined],
    ['[fd00::1]', 'fd00::1', undefined],
  ])('%s can be a server', (text, host, port) => {
    expect(value(serverAddress, text)).toEqual({ written: text, host, port });
  });

  it.each(['', ':104', '10.0.0:104', 'a..b', '-a', 'a b', 'http://a', '[::1:104', '1.2.3.4:', 'a:b'])(
    '"%s" can be neither',
    (text) => {
      expect(value(listenAddress, text)).toBeUndefined();
      expect(value(serverAddress, text)).toBeUndefined();
    },
  );

  it.each(['10.0.0.0/8', '10.0.0.1', 'fd00::/8', '::ffff:10.0.0.0/104'])('%s is a network', (text) => {
    expect(isNetwork(text)).toBe(true);
  });

  it.each([
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '10.0.0.0/a',
    '::/129',
    '::ffff:10.0.0.0/8',
  ])('"%s" is none', (text) => expect(isNetwork(text)).toBe(false));
});

it('numbers, shares, flags and AE titles', () => {
  expect(['1', '10', '11', '1.5', '0x1', ' 1', ''].map((text) => value(integer(1, 10), text))).toEqual([
    1,
    10,
    ...Array(5).fill(undefined),
  ]);
  expect(['0', '0.25', '25%', '1', '1.1', '101%', ''].map((text) => value(share, text))).toEqual([
    0,
    0.25,
    0.25,
    1,
    ...Array(3).fill(undefined),
  ]);
  expect(['true', 'false', 'yes', 'True'].map((text) => value(flag, text))).toEqual([
    true,
    false,
    undefined,
    undefined,
  ]);
  expect(
    ['CT1', ' CT 1 ', '0012', '   ', 'A\\B', 'SEVENTEENLETTERS1', 'É'].map((text) => value(aeTitle, text)),
  ).toEqual(['CT1', 'CT 1', '0012', ...Array(4).fill(undefined)]);
});

it('no text makes a kind of scalar throw', () => {
  const kinds = [
    duration(),
    size(1, 2 ** 30),
    integer(0, 9),
    share,
    flag,
    aeTitle,
    listenAddress,
    serverAddress,
  ];
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const kind of kinds) kind.safeParse(text);
    }),
  );
});
