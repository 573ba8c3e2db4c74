/** A site with servers that echo, a client with several addresses, and services of layer 4 on its balancer. */
import { setTimeout as pause } from 'node:timers/promises';
import { createLayer4, type Layer4, type Layer4Options } from '../../src/layer4/layer4.ts';
import { childPrograms } from '../../src/layer4/programs.ts';
import type { Service, Target } from '../../src/layer4/service.ts';
import { ElementReader, type MapElement, readTables } from '../../src/layer4/tables.ts';
import type { NamespaceAgent } from '../peers/namespace-agent.ts';
import { createSite, type Namespace, type Site, type SiteOptions } from '../peers/namespaces.ts';
import { within } from '../peers/waiting.ts';

/** What a server saw of a connection. */
export interface Seen {
  readonly connection: number;
  readonly server: string;
  /** `host:port`. */
  readonly local: string;
  /** `host:port`. */
  readonly remote: string;
}

export interface Field {
  readonly site: Site;
  readonly client: NamespaceAgent;
  readonly servers: readonly NamespaceAgent[];
  /** A new one, as after a restart. */
  start(options?: Layer4Options): Layer4;
  /** A service with the servers s1, s2, …, one a namespace. */
  service(different?: Partial<Service>): Service;
  target(number: number, different?: Partial<Target>): Target;
  /** Connects and says a word. */
  open(host: string, port: number, from?: string): Promise<Seen>;
  /** Who answers on a connection that is open. */
  ask(connection: number): Promise<string>;
  /** What a map of the kernel has. */
  elements(table: string, map: string): Promise<MapElement[]>;
  /** A counter's packets. */
  count(table: string, counter: string): Promise<number>;
  nft(command: string): Promise<string>;
  /** Without the values of counters: the last packets of connections that a test before left come at any time. */
  ruleset(): Promise<string>;
  close(): Promise<void>;
}

export interface FieldOptions extends SiteOptions {
  readonly ports: readonly number[];
  /** More addresses of the client. */
  readonly sources?: readonly string[];
}

export async function createField({ ports, sources = [], ...options }: FieldOptions): Promise<Field> {
  const site = await createSite(options);
  try {
    const source = site.clients[0]!;
    await source.ip(...sources.map((address) => `address add ${address}/24 dev eth0`));
    const [client, ...servers] = await Promise.all(
      [source, ...site.servers].map((namespace) => namespace.startAgent()),
    );
    await Promise.all(
      servers.map((agent, index) => agent.ask('listenEcho', { name: `s${index + 1}`, ports })),
    );
    return fieldOf(site, client!, servers);
  } catch (error) {
    await site.close();
    throw error;
  }
}

function fieldOf(site: Site, client: NamespaceAgent, servers: readonly NamespaceAgent[]): Field {
  const nft = (command: string) => site.lb.must('nft', ['-n', ...command.split(' ')]);
  const target: Field['target'] = (number, different) => ({
    name: `pool/s${number}`,
    address: site.servers[number - 1]!.address,
    port: undefined,
    weight: 1,
    duty: 'open',
    ...different,
  });
  const exchange = async (connection: number) => {
    return JSON.parse(await client.ask('exchange', { connection, text: 'hello\n' })) as Omit<
      Seen,
      'connection'
    >;
  };
  return {
    site,
    client,
    servers,
    nft,
    ruleset: () => nft('-s list ruleset'),
    target,
    start: (options) => {
      return createLayer4({
        run: childPrograms({ prefix: ['ip', 'netns', 'exec', site.lb.name] }),
        ...options,
      });
    },
    service: (different) => ({
      name: 'eis',
      mode: 'dr',
      listen: [{ host: '10.50.0.10', port: 104 }],
      interfaces: [],
      source: undefined,
      spread: 'round-robin',
      persistence: undefined,
      idle: 3_600_000,
      servers: servers.map((_, index) => target(index + 1)),
      ...different,
    }),
    async open(host, port, from) {
      const { connection } = await client.ask('connect', { host, port, ...(from && { from }) });
      return { connection, ...(await exchange(connection)) };
    },
    ask: async (connection) => (await exchange(connection)).server,
    async elements(table, map) {
      const elements: MapElement[] = [];
      new ElementReader((element) => elements.push(element)).push(await nft(`list map ${table} ${map}`));
      return elements;
    },
    async count(table, counter) {
      const tables = readTables(await nft('-t list ruleset'));
      const held = tables.find(({ family, name }) => `${family} ${name}` === table);
      return held?.counters.get(counter)?.packets ?? 0;
    },
    close: () => site.close(),
  };
}

/** Asks the kernel again and again until it says so: it tells nobody of what it does by itself. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  let isOver = false;
  const look = async () => {
    while (!isOver && !(await holds())) await pause(20);
  };
  try {
    await within(look(), what);
  } finally {
    isOver = true;
  }
}

/** Until a server has so many flows: an answer does not wait long for them to be counted. */
export function untilFlows(layer4: Layer4, server: string, flows: number, service = 'eis'): Promise<void> {
  const counted = async () => (await layer4.traffic()).get(service)!.get(server)?.flows;
  return until(`${server} to have ${flows} flows`, async () => (await counted()) === flows);
}

/**
 * Until a map of verdicts has just these ways: the kernel is told a moment after the balancer itself knows. `map` is
 * `netdev gantry_dr_EIS duties`.
 */
export function untilVerdicts(lb: Namespace, map: string, ...ways: readonly string[]): Promise<void> {
  return until(`${map} to have ${ways.join(', ')}`, async () => {
    const listed = await lb.must('nft', ['list', 'map', ...map.split(' ')]);
    const verdicts = [...listed.matchAll(/ : goto (\w+)/g)].map(([, way]) => way!);
    return verdicts.sort().join() === [...ways].sort().join();
  });
}

export function persistenceOf(different: Partial<NonNullable<Service['persistence']>> = {}) {
  return { ttl: 300_000, netmask: undefined, size: 1000, ...different };
}
