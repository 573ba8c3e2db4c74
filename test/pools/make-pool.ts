/** Pools for tests: a clock that stands still until told, servers by their letters. */
import { Pool, type PoolOptions, type PoolSettings } from '../../src/pools/pool.ts';
import type { Server, ServerOptions } from '../../src/pools/server.ts';

export interface TestClock {
  ms: number;
  readonly now: () => number;
}

export function createClock(ms = 1_000_000): TestClock {
  const clock: TestClock = { ms, now: () => clock.ms };
  return clock;
}

export interface TestPoolOptions extends Partial<Omit<PoolOptions, 'servers' | 'health'>> {
  readonly servers?: Readonly<Record<string, Partial<ServerOptions>>>;
  readonly health?: Partial<PoolOptions['health']>;
}

/** Two servers, `a` and `b`, at weight 1 unless said otherwise. */
export function makePool(options: TestPoolOptions = {}): Pool {
  return new Pool({ name: 'archive', now: () => 1_000_000, ...options, ...settings(options) });
}

/** What `makePool` makes its pool of, to reconfigure one. */
export function settings({ servers = { a: {}, b: {} }, health, ...options }: TestPoolOptions): PoolSettings {
  return {
    balance: 'least-busy',
    health: { isChecked: true, rise: 2, fall: 3, startDown: false, ...health },
    servers: Object.entries(servers).map(([name, server], index) => ({
      name,
      host: `10.0.0.${index + 11}`,
      port: 104,
      ae: undefined,
      weight: 1,
      maxConnections: undefined,
      backup: false,
      ...server,
    })),
    ...options,
  };
}

export function takeDown(server: Server): void {
  for (let count = 0; count < 3; count++) server.checked('down', 'refused');
}

export function bringUp(server: Server): void {
  for (let count = 0; count < 2; count++) server.checked('up', 'answers');
}
