import { expect, test } from 'vitest';
import type { BalanceName } from '../../src/pools/pool.ts';
import { makePool, takeDown } from '../pools/make-pool.ts';
import { direct } from './direct.ts';

const FACTS = { client: '10.0.0.1' };

test.for(['least-busy', 'round-robin', 'random-two'] as const)(
  'the server that was chosen just now goes before those that %s would find as good',
  (balance) => {
    const pool = makePool({ balance });
    const prefer = pool.server('b')!;
    for (let time = 0; time < 4; time++) {
      const choice = direct({ pool }).choose(FACTS, { prefer });
      expect(choice.next()).toMatchObject({
        server: prefer,
        reason: expect.stringContaining('just now') as string,
      });
      expect(choice.next()?.server.name).toBe('a');
    }
  },
);

test('not before an order or a hash, nor before the least busy one for urgent work', () => {
  const named = (balance: BalanceName, facts: Record<string, string>) => {
    const pool = makePool({ balance });
    pool.server('b')!.load.connections = 9;
    const plain = direct({ pool }).choose(facts).next()!.server.name;
    const other = pool.server(plain === 'a' ? 'b' : 'a')!;
    return [direct({ pool }).choose(facts, { prefer: other }).next()!.server.name, plain];
  };
  for (const [found, wanted] of [
    named('first', FACTS),
    named('hash', FACTS),
    named('least-busy', { ...FACTS, urgent: 'true' }),
  ])
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
