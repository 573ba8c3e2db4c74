import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBalance } from '../../../src/director/balance/balance.ts';
import { Turns } from '../../../src/director/balance/turns.ts';
import type { BalanceName, Pool } from '../../../src/pools/pool.ts';
import type { Server } from '../../../src/pools/server.ts';
import { makePool, settings, type TestPoolOptions } from '../../pools/make-pool.ts';

const NOW = 1_000_000;

function withWeights(...weights: number[]): Pool {
  return makePool({
    servers: Object.fromEntries(weights.map((weight, index) => [letter(index), { weight }])),
  });
}

function letter(index: number): string {
  return String.fromCharCode(97 + index);
}

function circumstances(key = '', random = () => 0) {
  return { now: NOW, key, random };
}

/** The names of `count` picks in a row. */
function picks(name: BalanceName | 'urgent', pool: Pool, count: number): string {
  const balance = createBalance(name);
  return Array.from({ length: count }, () => balance.pick(pool.servers, circumstances()).name).join('');
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('round-robin', () => {
  test('takes turns, smoothly by weight', () => {
    expect(picks('round-robin', withWeights(1, 1, 1), 6)).toBe('abcabc');
    expect(picks('round-robin', withWeights(2, 1), 6)).toBe('abaaba');
    expect(picks('round-robin', withWeights(5, 1, 1), 7)).toBe('aabacaa');
  });

  test('spreads by weight, and never far from it (property)', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(weights, (each) => {
        const total = each.reduce((sum, weight) => sum + weight, 0);
        const sequence = picks('round-robin', withWeights(...each), total);
        each.forEach((weight, index) => {
          expect(sequence.split(letter(index)).length - 1).toBe(weight);
        });
      }),
    );
  });

  test('who is gone for good is forgotten, who is only away keeps its turn', () => {
    const pool = makePool({ servers: { a: {}, b: {}, c: {} } });
    const [a, b, c] = pool.servers as [Server, Server, Server];
    const turns = new Turns();
    const weights = (server: Server) => server.weight;
    turns.pick([a, b, c], weights);
    turns.pick([a, b], weights);
    expect(turns.size).toBe(3);
    pool.reconfigure(settings({ servers: { a: {}, b: {} } }));
    turns.pick([a, b], weights);
    expect(turns.size).toBe(2);
  });

  test('a fork looks ahead and leaves the turns alone', () => {
    const pool = withWeights(1, 1);
    const balance = createBalance('round-robin');
    const fork = balance.fork();
    expect(fork.pick(pool.servers, circumstances()).name).toBe('a');
    expect(fork.pick(pool.servers, circumstances()).name).toBe('b');
    expect(balance.pick(pool.servers, circumstances()).name).toBe('a');
  });
});

describe('first', () => {
  test('the first in order gets everything', () => {
    expect(picks('first', withWeights(1, 9), 3)).toBe('aaa');
  });
});

describe('hash', () => {
  const keys = Array.from({ length: 3000 }, (_, index) => `calling=CT${index}`);
  const place = (servers: readonly Server[], key: string) =>
    createBalance('hash').pick(servers, circumstances(key)).name;

  test('the same on every machine and after a restart', () => {
    const pool = withWeights(1, 1, 2);
    expect(
      keys
        .slice(0, 24)
        .map((key) => place(pool.servers, key))
        .join(''),
    ).toBe('ccccccccaaaabcbcacccbbca');
  });

  test('whatever the order of the servers', () => {
    const { servers } = withWeights(1, 2, 3);
    const reversed = [...servers].reverse();
    for (const key of keys) expect(place(reversed, key)).toBe(place(servers, key));
  });

  test('by weight', () => {
    const { servers } = withWeights(1, 2, 3);
    const share = (name: string) => keys.filter((key) => place(servers, key) === name).length / keys.length;
    expect(share('a')).toBeCloseTo(1 / 6, 1);
    expect(share('b')).toBeCloseTo(2 / 6, 1);
    expect(share('c')).toBeCloseTo(3 / 6, 1);
  });

  test('when a server leaves only its keys move (property)', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(weights, fc.nat(), fc.array(fc.string(), { maxLength: 50 }), (each, which, some) => {
        const { servers } = withWeights(...each);
        const gone = servers[which % servers.length]!;
        const left = servers.filter((server) => server !== gone);
        for (const key of some) {
          const before = place(servers, key);
          if (before !== gone.name) expect(place(left, key)).toBe(before);
        }
      }),
    );
  });

  test('live load does not move keys', () => {
    const { servers } = withWeights(1, 1);
    const before = keys.map((key) => place(servers, key));
    servers[0]!.acquire();
    for (let count = 0; count < 5; count++) servers[1]!.load.operationEnded(1, 'refused');
    expect(keys.map((key) => place(servers, key))).toEqual(before);
  });
});

describe('least-busy', () => {
  function loaded(work: number[], options: TestPoolOptions = {}): Pool {
    const servers = Object.fromEntries(work.map((_, index) => [letter(index), {}]));
    const pool = makePool({ servers, ...options });
    work.forEach((connections, index) => {
      pool.servers[index]!.load.connections = connections;
    });
    return pool;
  }

  test('idle servers take turns, by weight', () => {
    expect(picks('least-busy', withWeights(1, 1, 1), 6)).toBe('abcabc');
    expect(picks('least-busy', withWeights(2, 1), 6)).toBe('abaaba');
  });

  test('goes where least is in hand', () => {
    expect(picks('least-busy', loaded([3, 1, 3]), 3)).toBe('bbb');
  });

  test('scores within 25 % tie and take turns', () => {
    expect(picks('least-busy', loaded([8, 10, 20]), 4)).toBe('abab');
    expect(picks('least-busy', loaded([8, 11, 20]), 4)).toBe('aaaa');
  });

  test('operations and bytes in flight count, not associations alone', () => {
    const pool = loaded([3, 3]);
    pool.server('a')!.load.operations = 3;
    expect(picks('least-busy', pool, 2)).toBe('bb');
    pool.server('b')!.load.bytesInFlight = 64 * 1024 * 1024;
    expect(picks('least-busy', pool, 2)).toBe('aa');
  });

  test('work that stays is spread by weight', () => {
    const pool = withWeights(2, 1, 1);
    const balance = createBalance('least-busy');
    for (let count = 0; count < 400; count++) balance.pick(pool.servers, circumstances()).acquire();
    const [a, b, c] = pool.servers.map(({ active }) => active);
    expect(a).toBeGreaterThan(160);
    expect(a).toBeLessThan(240);
    expect(Math.abs(b! - c!)).toBeLessThan(30);
  });

  test('slow answers weigh', () => {
    const pool = loaded([4, 4]);
    for (let count = 0; count < 50; count++) {
      pool.server('a')!.load.operationStarted();
      pool.server('a')!.load.operationEnded(200, 'success');
      pool.server('b')!.load.operationStarted();
      pool.server('b')!.load.operationEnded(20, 'success');
    }
    expect(picks('least-busy', pool, 3)).toBe('bbb');
  });

  test('a full disk answers fast: a server that refuses gets a trickle, idle or not', () => {
    const pool = loaded([0, 0]);
    const a = pool.server('a')!;
    for (let count = 0; count < 3; count++) {
      a.load.operationStarted();
      a.load.operationEnded(1, 'refused');
    }
    const idle = picks('least-busy', pool, 300);
    expect(idle.split('a').length - 1).toBeGreaterThan(0);
    expect(idle.split('a').length - 1).toBeLessThan(15);
    pool.server('b')!.load.connections = 20;
    expect(picks('least-busy', pool, 10)).toBe('bbbbbbbbbb');
  });

  test('urgent: strictly the least busy', () => {
    expect(picks('urgent', loaded([8, 9]), 3)).toBe('aaa');
    expect(picks('urgent', loaded([8, 8]), 4)).toBe('abab');
  });
});

describe('random-two', () => {
  test('the less busy of two drawn: the busiest of three gets nothing', () => {
    const pool = withWeights(1, 1, 1);
    pool.server('b')!.load.connections = 5;
    const balance = createBalance('random-two');
    const draw = random(7);
    const names = Array.from({ length: 200 }, () => balance.pick(pool.servers, circumstances('', draw)).name);
    expect(new Set(names)).toEqual(new Set(['a', 'c']));
  });

  test('draws by weight', () => {
    const pool = withWeights(8, 1, 1);
    const balance = createBalance('random-two');
    const draw = random(7);
    const names = Array.from({ length: 500 }, () => balance.pick(pool.servers, circumstances('', draw)).name);
    expect(names.filter((name) => name === 'a').length).toBeGreaterThan(350);
  });
});

describe('every balance', () => {
  test('picks one of those it is given (property)', () => {
    const names: (BalanceName | 'urgent')[] = [
      'least-busy',
      'urgent',
      'round-robin',
      'hash',
      'first',
      'random-two',
    ];
    const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    const draws = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.constantFrom(...names), weights, fc.string(), draws, (name, each, key, drawn) => {
        const pool = withWeights(...each);
        const balance = createBalance(name);
        for (let from = 0; from < pool.servers.length; from++) {
          const some = pool.servers.slice(from);
          expect(some).toContain(
            balance.pick(
              some,
              circumstances(key, () => drawn),
            ),
          );
        }
      }),
    );
  });
});
