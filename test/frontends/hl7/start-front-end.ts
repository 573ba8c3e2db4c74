/** An HL7 front-end in the test's own process, its pools and director real, its events collected. */
import { createDirector, type Director, type Rule } from '../../../src/director/director.ts';
import type { FrontEnd } from '../../../src/frontends/front-end.ts';
import { createHl7FrontEnd, type Hl7FrontEndOptions } from '../../../src/frontends/hl7/front-end.ts';
import type { Hl7Settings } from '../../../src/frontends/hl7/settings.ts';
import { type MessageEvent, type NoticeEvent, onEvent } from '../../../src/observe/events.ts';
import { type BalanceName, Pool, type PoolSettings } from '../../../src/pools/pool.ts';
import type { Entrance } from '../../../src/relay/accept.ts';
import { createDeadlines } from '../../../src/relay/deadlines.ts';
import { listen } from '../../../src/relay/listen.ts';
import type { Address } from '../../peers/test-connection.ts';
import { Journal } from '../../peers/waiting.ts';

export interface PoolSketch {
  readonly servers: readonly (Address & { readonly maxConnections?: number })[];
  readonly balance?: BalanceName;
  readonly connections?: number;
  readonly more?: Partial<PoolSettings>;
}

export interface Sketch {
  /** The VIP's pool is `main`; servers are named `main-1`, `main-2`, … */
  readonly pools?: Readonly<Record<string, PoolSketch>>;
  readonly rules?: (pools: Readonly<Record<string, Pool>>) => readonly Rule[];
  readonly hl7?: Partial<Hl7Settings>;
  readonly entrance?: Partial<Entrance>;
  readonly more?: Partial<Hl7FrontEndOptions>;
}

export interface TestFrontEnd extends AsyncDisposable {
  readonly frontEnd: FrontEnd<Hl7FrontEndOptions>;
  /** It was made of these. */
  readonly options: Hl7FrontEndOptions;
  readonly director: Director;
  readonly address: Address;
  readonly pools: Readonly<Record<string, Pool>>;
  readonly messages: Journal<MessageEvent>;
  readonly notices: Journal<NoticeEvent>;
}

/** A sender timeout of so many milliseconds for every message. */
export const patience = (ms: number) => ({ default: ms, byApplication: {} });
/** The same for those of the application HASTY alone: no other is in a hurry. */
export const hasty = (ms: number) => ({ default: 20_000, byApplication: { HASTY: ms } });

export const SETTINGS: Hl7Settings = {
  order: 'patient',
  senderTimeout: patience(20_000),
  ackTimeout: undefined,
  ackMatch: 'strict',
  onAmbiguous: 'hold',
  whenUnavailable: 'close',
  maxFrame: 64 * 1024 * 1024,
  startBlock: 0x0b,
  endBlock: 0x1c,
  timeouts: { connect: 2000, stall: 60_000, idle: undefined },
};

/** The servers of a pool of that name: `main-1`, `main-2`, … */
export function serversOf(name: string, servers: PoolSketch['servers']): PoolSettings['servers'] {
  return servers.map(({ host, port, maxConnections }, index) => ({
    name: `${name}-${index + 1}`,
    host,
    port,
    ae: undefined,
    weight: 1,
    maxConnections,
    backup: false,
  }));
}

export const UNCHECKED = { isChecked: false, rise: 2, fall: 3, startDown: false } as const;

export async function startHl7(sketch: Sketch): Promise<TestFrontEnd> {
  const now = () => performance.timeOrigin + performance.now();
  const pools = Object.fromEntries(
    Object.entries(sketch.pools ?? {}).map(([name, { servers, balance = 'round-robin', more }]) => [
      name,
      new Pool({ name, balance, servers: serversOf(name, servers), health: UNCHECKED, now, ...more }),
    ]),
  );
  const messages = new Journal<MessageEvent>('message events');
  const notices = new Journal<NoticeEvent>('notices');
  const undo = [
    onEvent('message', (event) => messages.add(event)),
    onEvent('notice', (event) => notices.add(event)),
  ];
  const deadlines = createDeadlines({ tickMs: 10 });
  const vip = 'RIS';
  const director = createDirector({
    vip,
    rules: sketch.rules?.(pools) ?? [],
    pool: pools.main,
    now,
    random: Math.random,
  });
  const connections = Object.fromEntries(
    Object.entries(sketch.pools ?? {}).flatMap(([name, pool]) =>
      pool.connections === undefined ? [] : [[name, pool.connections]],
    ),
  );
  const options: Hl7FrontEndOptions = {
    vip,
    listeners: [await listen({ host: '127.0.0.1', port: 0 })],
    entrance: { handshakeTimeout: 10_000, deadlines, vip, ...sketch.entrance },
    director,
    pools: Object.values(pools),
    hl7: { ...SETTINGS, ...sketch.hl7 },
    links: new Map(),
    connections,
    deadlines,
    now,
    ...sketch.more,
  };
  const frontEnd = createHl7FrontEnd(options);
  return {
    frontEnd,
    options,
    director,
    address: frontEnd.endpoints[0]!,
    pools,
    messages,
    notices,
    async [Symbol.asyncDispose]() {
      await frontEnd.close();
      deadlines.close();
      for (const unsubscribe of undo) unsubscribe();
    },
  };
}
