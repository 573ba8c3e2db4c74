/** An HTTP front-end in the test's own process, its pools and director real, between scripted clients and servers. */
import { afterEach } from 'vitest';
import { createDirector, type Rule, type When } from '../../../src/director/director.ts';
import { Persistence, type PersistenceOptions } from '../../../src/director/persistence.ts';
import type { FrontEnd } from '../../../src/frontends/front-end.ts';
import { createHttpFrontEnd } from '../../../src/frontends/http/front-end.ts';
import type { HttpFrontEndOptions, RouteAction } from '../../../src/frontends/http/settings.ts';
import { onEvent, type RequestEvent } from '../../../src/observe/events.ts';
import { Pool, type PoolOptions } from '../../../src/pools/pool.ts';
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
import { type Message, readRequest } from './messages.ts';

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of cleanUp.splice(0).reverse()) await stop();
});

/** Does `stop` after the test. */
export function later(stop: () => unknown): void {
  cleanUp.push(stop);
}

/** A server in the test's hands. */
export interface TestServer {
  readonly listener: TestListener;
  readonly address: Address;
  readonly connections: Journal<TestConnection>;
  /** What a `webServer` was asked. */
  readonly requests: Journal<Message>;
}

/** `script` is run for each connection. */
export async function server(
  script: (connection: TestConnection, requests: Journal<Message>) => unknown,
): Promise<TestServer> {
  const connections = new Journal<TestConnection>('connections of a server');
  const requests = new Journal<Message>('requests at a server');
  const listener = new TestListener((connection) => {
    connections.add(connection);
    // As servers do: what was closed on one side closes on the other.
    void connection.ending.then(() => connection.end());
    // A script that is waiting when its connection ends is over.
    void Promise.resolve(script(connection, requests)).catch(() => {});
  });
  await listener.start();
  later(() => listener.stop());
  return { listener, address: listener.address, connections, requests };
}

/** Answers each request with the bytes that `answer` returns (as Latin-1); without any it says no more. */
export function webServer(
  answer: (request: Message, connection: TestConnection) => string | undefined | Promise<string | undefined>,
): Promise<TestServer> {
  return server(async (connection, requests) => {
    for (;;) {
      const request = await readRequest(connection);
      requests.add(request);
      const bytes = await answer(request, connection);
      if (bytes === undefined) return;
      await connection.write(Buffer.from(bytes, 'latin1'));
    }
  });
}

/** A response with a length. */
export function ok(body = '', ...fields: string[]): string {
  const lines = ['HTTP/1.1 200 OK', ...fields, `Content-Length: ${Buffer.byteLength(body)}`];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** Says its name to whatever it is asked. */
export function named(name: string): Promise<TestServer> {
  return webServer(() => ok(name));
}

export interface PoolSketch extends Partial<Omit<PoolOptions, 'servers' | 'name' | 'now'>> {
  /** Named `NAME-1`, `NAME-2`, … */
  readonly servers: readonly {
    readonly host: string;
    readonly port?: number | undefined;
    readonly maxConnections?: number;
    readonly backup?: boolean;
  }[];
}

export interface RuleSketch {
  /** Fact → patterns. */
  readonly when: Readonly<Record<string, string | readonly string[]>>;
  readonly pool?: string;
  readonly reject?: string;
  readonly action?: RouteAction;
}

export interface Sketch {
  /** The VIP's pool is `main`. */
  readonly pools: Readonly<Record<string, PoolSketch>>;
  readonly rules?: readonly RuleSketch[];
  readonly persistence?: Omit<PersistenceOptions, 'table'>;
  /** Of persistence entries, milliseconds. */
  readonly ttl?: number;
  readonly listeners?: number;
  readonly limits?: Partial<HttpFrontEndOptions['limits']>;
  readonly timeouts?: Partial<HttpFrontEndOptions['timeouts']>;
  readonly more?: Partial<HttpFrontEndOptions>;
  readonly entrance?: Partial<Entrance>;
}

export interface TestVip {
  readonly frontEnd: FrontEnd<HttpFrontEndOptions>;
  readonly options: HttpFrontEndOptions;
  readonly address: Address;
  readonly pools: Readonly<Record<string, Pool>>;
  readonly table: Table;
  readonly events: Journal<RequestEvent>;
  /** `NAME-1` of `NAME`. */
  server(name: string): Server;
  /** A client. */
  open(localAddress?: string): Promise<TestConnection>;
}

export function makePool(name: string, { servers, ...options }: PoolSketch): Pool {
  return new Pool({
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
  });
}

/** One pool `main` of these servers; the first that can be had gets all. */
export function main(...servers: readonly TestServer[]): Sketch['pools'] {
  return { main: { balance: 'first', servers: servers.map(({ address }) => address) } };
}

function whenOf(when: RuleSketch['when']): When {
  const facts = Object.entries(when).map(([name, patterns]) => ({ name, patterns: [patterns].flat() }));
  return { facts };
}

export async function startHttp(sketch: Sketch): Promise<TestVip> {
  const pools = Object.fromEntries(
    Object.entries(sketch.pools).map(([name, pool]) => [name, makePool(name, pool)]),
  );
  const rules = (sketch.rules ?? []).map(
    ({ when, pool, reject }): Rule => ({
      when: whenOf(when),
      pool: pool === undefined ? undefined : pools[pool]!,
      reject,
    }),
  );
  const events = new Journal<RequestEvent>('request events');
  later(onEvent('request', (event) => events.add(event)));
  const deadlines = createDeadlines({ tickMs: 10, now });
  later(() => deadlines.close());
  const vip = 'PORTAL';
  const table = new Table(createMemoryStore({ ttl: sketch.ttl ?? 60_000, size: 10_000, now }));
  const listeners: Listener[] = [];
  for (let count = sketch.listeners ?? 1; count > 0; count--)
    listeners.push(await listen({ host: '127.0.0.1', port: 0 }));
  const options: HttpFrontEndOptions = {
    vip,
    listeners,
    entrance: { vip, handshakeTimeout: 10_000, deadlines, ...sketch.entrance },
    director: createDirector({
      vip,
      rules,
      pool: pools.main,
      persistence: sketch.persistence && new Persistence({ ...sketch.persistence, table }),
      now,
      random: Math.random,
    }),
    pools: Object.values(pools),
    links: new Map(),
    actions: (sketch.rules ?? []).map(({ action }) => action),
    headers: {},
    forwarded: 'off',
    trusts: () => false,
    cookieKey: Buffer.from('a key that is for tests only'),
    limits: { headers: 32 * 1024, ...sketch.limits },
    timeouts: {
      request: 30_000,
      stall: 30_000,
      response: 30_000,
      idle: 30_000,
      connect: 2_000,
      queue: 5_000,
      tunnel: 3_600_000,
      ...sketch.timeouts,
    },
    deadlines,
    now,
    ...sketch.more,
  };
  const frontEnd = createHttpFrontEnd(options);
  later(() => frontEnd.close());
  const address = listeners[0]!.endpoint;
  return {
    frontEnd,
    options,
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

/** Nothing is left of any request: no slot taken, no operation under way. */
export function isIdle({ pools }: TestVip): boolean {
  const servers = Object.values(pools).flatMap((pool) => pool.servers);
  return servers.every(({ active, load }) => active === 0 && load.operations === 0 && load.connections === 0);
}

/** The next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((next) => setImmediate(next));
}

/** Resolves when `value` has not changed for many turns of the event loop: what is on its way lies in buffers. */
export async function standsStill(value: () => number): Promise<void> {
  let before = value();
  for (let turns = 0; turns < 5000; turns++) {
    await nextTurn();
    if (value() === before) continue;
    before = value();
    turns = 0;
  }
}
