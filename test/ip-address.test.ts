import { expect, test } from 'vitest';
import { canonicalAddress, plainAddress } from '../src/ip-address.ts';

test.each([
  ['10.0.0.4', '10.0.0.4', '10.0.0.4'],
  ['FD00:0:0::0004', 'fd00::4', 'fd00::4'],
  ['::ffff:10.0.0.4', '::ffff:10.0.0.4', '10.0.0.4'],
  ['::FFFF:a00:4', '::ffff:10.0.0.4', '10.0.0.4'],
  ['fe80::0001%eth0', 'fe80::0001%eth0', 'fe80::0001%eth0'],
  ['pacs.example', 'pacs.example', 'pacs.example'],
])('%s', (written, canonical, plain) => {
  expect([canonicalAddress(written), plainAddress(written)]).toEqual([canonical, plain]);
});
