import { describe, expect, test } from 'vitest';
import { compileNetwork, sourceOf } from '../../src/director/address.ts';

describe('networks', () => {
  test.each([
    ['10.1.0.0/16', '10.1.255.3', true],
    ['10.1.0.0/16', '10.2.0.3', false],
    ['10.1.0.0/16', '::ffff:10.1.2.3', true],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.0/23', '10.1.3.9', true],
    ['10.1.2.0/23', '10.1.4.9', false],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['0.0.0.0/0', 'fd00::1', false],
    ['::/0', 'fd00::1', true],
    ['::/0', '1.2.3.4', false],
    ['fd00::/8', 'fd12::1', true],
    ['fd00::/8', 'fe80::1', false],
    ['fd00::1', 'fd00:0:0::1', true],
    ['::ffff:10.1.0.0/112', '10.1.9.9', true],
    ['10.1.0.0/16', 'not an address', false],
  ])('%s and %s: %s', (network, address, isIn) => {
    expect(compileNetwork(network)(address)).toBe(isIn);
  });

  test.each(['10.1.0.0/33', 'fd00::/129', '10.1.0.0/-1', '10.1.0.0/x', 'pacs', ''])(
    'refuses %j',
    (network) => {
      expect(() => compileNetwork(network)).toThrow(/network|prefix/);
    },
  );
});

describe('sources', () => {
  test.each([
    ['10.1.2.3', undefined, '10.1.2.3'],
    ['::ffff:10.1.2.3', undefined, '10.1.2.3'],
    ['FD00:0::1', undefined, 'fd00::1'],
    ['10.1.2.3', 24, '10.1.2.0'],
    ['10.1.2.3', 20, '10.1.0.0'],
    ['10.1.2.3', 32, '10.1.2.3'],
    ['10.1.2.3', 64, '10.1.2.3'],
    ['fd00:1:2:3:4::5', 24, 'fd00:1:2:3::'],
    ['fd00:1:2:3:4::5', 48, 'fd00:1:2::'],
    ['somewhere', 24, 'somewhere'],
  ])('%s with netmask %s is %s', (address, netmask, source) => {
    expect(sourceOf(address, netmask)).toBe(source);
  });
});
