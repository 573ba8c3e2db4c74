/** A DICOM front-end in the test's own process, its pool and director real, its events collected. */
import { onTestFinished } from 'vitest';
import { createDirector, type Rule } from '../../../src/director/director.ts';
import { createDicomFrontEnd, type DicomFrontEndOptions } from '../../../src/frontends/dicom/front-end.ts';
import type { FrontEnd } from '../../../src/frontends/front-end.ts';
import { type AssociationEvent, onEvent } from '../../../src/observe/events.ts';
import { Pool, type PoolSettings } from '../../../src/pools/pool.ts';
import type { Server } from '../../../src/pools/server.ts';
import { createDeadlines } from '../../../src/relay/deadlines.ts';
import { listen } from '../../../src/relay/listen.ts';
import { now } from '../../peers/lived-time.ts';
import type { Address } from '../../peers/test-connection.ts';
import { Journal } from '../../peers/waiting.ts';

export interface Sketch {
  readonly pool?: Partial<PoolSettings>;
  readonly more?: Partial<DicomFrontEndOptions>;
}

export interface TestFrontEnd {
  readonly frontEnd: FrontEnd<DicomFrontEndOptions>;
  /** It was made of these. */
  readonly options: DicomFrontEndOptions;
  readonly address: Address;
  readonly pool: Pool;
  /** `s1`, `s2`, … */
  readonly servers: readonly Server[];
  readonly associations: Journal<AssociationEvent>;
}

/** Nobody is given up for being slow, unless a test means that. */
export const TIMEOUTS = {
  request: 30_000,
  connect: 30_000,
  accept: 30_000,
  stall: 60_000,
  idle: 1_800_000,
  release: 5000,
};

export const UNCHECKED = { isChecked: false, rise: 2, fall: 3, startDown: false } as const;

export function serversOf(addresses: readonly Address[]): PoolSettings['servers'] {
  return addresses.map(({ host, port }, index) => ({
    name: `s${index + 1}`,
    host,
    port,
    ae: undefined,
    weight: 1,
    maxConnections: undefined,
    backup: false,
  }));
}

/** A pool whose first server that can be had gets everything, unless `settings` say otherwise. */
export function poolOf(
  name: string,
  addresses: readonly Address[],
  settings: Partial<PoolSettings> = {},
): Pool {
  return new Pool({
    name,
    balance: 'first',
    servers: serversOf(addresses),
    health: UNCHECKED,
    now,
    ...settings,
  });
}

/** Everything goes to `pool`, unless a rule says otherwise. */
export function directorTo(pool: Pool, rules: readonly Rule[] = []) {
  return createDirector({ vip: 'V', rules, pool, now, random: Math.random });
}

/** Ends with the test. */
export async function startDicom(addresses: readonly Address[], sketch: Sketch = {}): Promise<TestFrontEnd> {
  const pool = poolOf('P', addresses, sketch.pool);
  const associations = new Journal<AssociationEvent>('association events');
  const unsubscribe = onEvent('association', (event) => associations.add(event));
  const deadlines = createDeadlines({ tickMs: 10, now });
  const options: DicomFrontEndOptions = {
    vip: 'V',
    listeners: [await listen({ host: '127.0.0.1', port: 0 })],
    entrance: { handshakeTimeout: 10_000, deadlines, vip: 'V' },
    director: directorTo(pool),
    pools: [pool],
    links: new Map(),
    pool,
    whenUnavailable: 'reject',
    limits: { associations: undefined, perCalling: undefined, perServer: undefined },
    wait: 0,
    ignoreCase: false,
    timeouts: TIMEOUTS,
    deadlines,
    now,
    ...sketch.more,
  };
  const frontEnd = createDicomFrontEnd(options);
  onTestFinished(async () => {
    await frontEnd.close();
    deadlines.close();
    unsubscribe();
  });
  return { frontEnd, options, address: frontEnd.endpoints[0]!, pool, servers: pool.servers, associations };
}
