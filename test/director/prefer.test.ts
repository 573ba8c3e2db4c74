import { expect, test } from 'vitest';
import type { BalanceName } from '../../src/pools/pool.ts';
import { makePool, takeDown } from '../pools/make-pool.ts';
import { direct } from './direct.ts';

const FACTS = { client: '10.0.0.1' };
const THREE = { a: {}, b: {}, c: {} };

test.for(['least-busy', 'round-robin'] as const)('by %s', (balance) => {
  const pool = makePool({ balance, servers: THREE });
  const { choose } = direct({ pool });
  const picked = (names: string) =>
    Array.from(names, (name) => choose(FACTS, { prefer: pool.server(name)! }).next()!.server.name).join('');
  expect(picked('cba'), 'in whatever order the preferred come').toBe('cba');
  expect(picked('bbbbbb'), 'nobody is left out for more than a round').toBe('bacbac');
});

test('not before an order or a hash, nor before one that is less busy', () => {
  const chosen = (balance: BalanceName, busy: number) => {
    const pool = makePool({ balance });
    const plain = direct({ pool }).choose(FACTS).next()!.server.name;
    const other = pool.server(plain === 'a' ? 'b' : 'a')!;
    other.load.connections = busy;
    return [direct({ pool }).choose(FACTS, { prefer: other }).next()!.server.name, plain];
  };
  for (const [found, wanted] of [chosen('first', 0), chosen('hash', 0), chosen('least-busy', 9)])
    expect(found).toBe(wanted);
});

test('not when it may have no work, and not where the work is somewhere already', () => {
  const pool = makePool({ balance: 'round-robin' });
  const prefer = pool.server('b')!;
  const { choose } = direct({ pool, by: ['study'] });
  const first = choose({ study: '1.2.3' });
  expect(first.next()?.server.name).toBe('a');
  first.settle();
  expect(choose({ study: '1.2.3' }, { prefer }).next()?.server.name).toBe('a');
  takeDown(prefer);
  expect(choose({ study: '1.2.4' }, { prefer }).next()?.server.name).toBe('a');
});

test('work of a kind takes turns among itself', () => {
  const pool = makePool({ balance: 'round-robin', servers: THREE });
  const { choose } = direct({ pool });
  const next = (kind?: string) => choose(FACTS, { kind }).next()!.server.name;
  expect([next(), next('study'), next(), next('study'), next(), next('study')].join('')).toBe('aabbcc');
});
