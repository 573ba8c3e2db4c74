import { expect, test } from 'vitest';
import { describeEndpoint } from '../src/endpoint.ts';

test('an address and a port: IPv6 in brackets, all ports as *', () => {
  const ends = [
    { host: '10.0.0.4', port: 80 },
    { host: 'fd00::4', port: 80 },
    { host: '10.0.0.6', port: '*' },
  ] as const;
  expect(ends.map(describeEndpoint)).toEqual(['10.0.0.4:80', '[fd00::4]:80', '10.0.0.6:*']);
});
