/** A TCP front-end in the test's own process, its pools and director real, its events collected. */
import { afterEach } from 'vitest';
import { createDirector, type Rule } from '../../../src/director/director.ts';
import { Persistence } from '../../../src/director/persistence.ts';
import type { FrontEnd } from '../../../src/frontends/front-end.ts';
import { createTcpFrontEnd, type TcpFrontEndOptions } from '../../../src/frontends/tcp/front-end.ts';
import { type ConnectionEvent, onEvent } from '../../../src/observe/events.ts';
import { type BalanceName, Pool, type PoolOptions } from '../../../src/pools/pool.ts';
import type { Server } from '../../../src/pools/server.ts';
import type { Entrance } from '../../../src/relay/accept.ts';
import { createDeadlines } from '../../../src/relay/deadlines.ts';
import { type Listener, listen } from '../../../src/relay/listen.ts';
import { createMemoryStore } from '../../../src/tables/memory.ts';
import { Table } from '../../../src/tables/table.ts';
import { now } from '../../peers/lived-time.ts';
import {
  type Address,
  openConnection,
  type TestConnection,
  TestListener,
} from '../../peers/test-connection.ts';
import { Journal } from '../../peers/waiting.ts';

const cleanUp: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const stop of cleanUp.splice(0).reverse()) await stop();
});

/** Does `stop` after the test. */
export function later(stop: () => Promise<void> | void): void {
  cleanUp.push(stop);
}

/** A server in the test's hands: what it was sent, as connections. */
export interface TestServer {
  readonly listener: TestListener;
  readonly address: Address;
  readonly connections: Journal<TestConnection>;
}

/** `script` is run for each connection. */
export async function server(script?: (connection: TestConnection) => unknown): Promise<TestServer> {
  const connections = new Journal<TestConnection>('connections of a server');
  const listener = new TestListener((connection) => {
    connections.add(connection);
    script?.(connection);
  });
  await listener.start();
  later(() => listener.stop());
  return { listener, address: listener.address, connections };
}

/** Sends back what it gets, and FIN upon FIN. */
export function echo(connection: TestConnection): void {
  connection.socket.pipe(connection.socket);
}

/** Says who it is, then closes. */
export function greet(name: string): (connection: TestConnection) => void {
  return (connection) => {
    connection.socket.end(name);
  };
}

export interface PoolSketch extends Partial<Omit<PoolOptions, 'servers' | 'name' | 'now'>> {
  /** Named `NAME-1`, `NAME-2`, … */
  readonly servers: readonly {
    readonly host: string;
    readonly port?: number | undefined;
    readonly maxConnections?: number;
    readonly backup?: boolean;
  }[];
  readonly balance?: BalanceName;
}

export interface Sketch {
  /** The VIP's pool is `main`. */
  readonly pools: Readonly<Record<string, PoolSketch>>;
  readonly rules?: (pools: Readonly<Record<string, Pool>>) => readonly Rule[];
  /** Persistence of the VIP. */
  readonly by?: readonly string[];
  readonly ttl?: number;
  /** How many addresses it listens on; 1. */
  readonly listeners?: number;
  readonly timeouts?: Partial<TcpFrontEndOptions['timeouts']>;
  readonly more?: Partial<TcpFrontEndOptions>;
  readonly entrance?: Partial<Entrance>;
}

export interface TestVip {
  readonly frontEnd: FrontEnd<TcpFrontEndOptions>;
  readonly options: TcpFrontEndOptions;
  readonly listeners: readonly Listener[];
  /** Where it listens first. */
  readonly address: Address;
  readonly pools: Readonly<Record<string, Pool>>;
  readonly table: Table;
  readonly events: Journal<ConnectionEvent>;
  /** `NAME-1` of `NAME`. */
  server(name: string): Server;
  /** A client. */
  open(localAddress?: string): Promise<TestConnection>;
}

export function makePools(sketches: Sketch['pools']): Readonly<Record<string, Pool>> {
  return Object.fromEntries(
    Object.entries(sketches).map(([name, { servers, ...options }]) => [
      name,
      new Pool({
        name,
        balance: 'round-robin',
        servers: servers.map(({ host, port, maxConnections, backup = false }, index) => ({
          name: `${name}-${index + 1}`,
          host,
          port,
          ae: undefined,
          weight: 1,
          maxConnections,
          backup,
        })),
        health: { isChecked: false, rise: 2, fall: 3, startDown: false },
        now,
        ...options,
      }),
    ]),
  );
}

export async function startTcp(sketch: Sketch): Promise<TestVip> {
  const pools = makePools(sketch.pools);
  const events = new Journal<ConnectionEvent>('connection events');
  later(onEvent('connection', (event) => events.add(event)));
  const deadlines = createDeadlines({ tickMs: 10, now });
  later(() => deadlines.close());
  const vip = 'CLIENT';
  const table = new Table(createMemoryStore({ ttl: sketch.ttl ?? 60_000, size: 10_000, now }));
  const listeners: Listener[] = [];
  for (let count = sketch.listeners ?? 1; count > 0; count--)
    listeners.push(await listen({ host: '127.0.0.1', port: 0 }));
  const options: TcpFrontEndOptions = {
    vip,
    listeners,
    entrance: { vip, handshakeTimeout: 10_000, deadlines, ...sketch.entrance },
    director: createDirector({
      vip,
      rules: sketch.rules?.(pools) ?? [],
      pool: pools.main,
      persistence: sketch.by && new Persistence({ by: sketch.by, table }),
      now,
      random: Math.random,
    }),
    pools: Object.values(pools),
    links: new Map(),
    peeksSni: false,
    limits: {},
    timeouts: { connect: 2_000, queue: 5_000, idle: 3_600_000, ...sketch.timeouts },
    deadlines,
    now,
    ...sketch.more,
  };
  const frontEnd = createTcpFrontEnd(options);
  later(() => frontEnd.close());
  const address = listeners[0]!.endpoint;
  return {
    frontEnd,
    options,
    listeners,
    address,
    pools,
    table,
    events,
    server(name) {
      const found = Object.values(pools).flatMap((pool) => pool.server(name) ?? []);
      return found[0]!;
    },
    async open(localAddress) {
      const connection = await openConnection(address, localAddress);
      later(() => connection.reset());
      return connection;
    },
  };
}

/** Nothing is left of any connection: no view, no slot taken. */
export function isIdle({ frontEnd, pools }: TestVip): boolean {
  const servers = Object.values(pools).flatMap((pool) => pool.servers);
  return [...frontEnd.connections()].length === 0 && servers.every(({ active }) => active === 0);
}
