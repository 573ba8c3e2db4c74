/** Layer 4: VIPs whose packets the kernel forwards (DR, NAT, SNAT) by nftables rules that are kept up to date here. */
import { isIP } from 'node:net';
import { GantryError } from '../errors.ts';
import { notice } from '../observe/events.ts';
import { dutyEdits, removal, tableEdits } from './edits.ts';
import { canonical } from './families.ts';
import { countFlows, FlowCounts, type FlowsByMark } from './flow-counts.ts';
import { judged } from './judge.ts';
import { heldTables, isOurs, planAll } from './kernel.ts';
import { COMMENT, written } from './names.ts';
import { Missing, Nft } from './nft.ts';
import { LIFETIMES, type Lifetimes, type Placed, type Plan } from './plan.ts';
import { childPrograms, type RunProgram } from './programs.ts';
import { connectionsCounter, stickyMap, trafficCounter } from './ruleset.ts';
import type { PersistenceEntry, ServerTraffic, Service, Target } from './service.ts';
import { type Counted, ElementReader, type KernelTable, readCounters } from './tables.ts';

export interface Layer4Options {
  /** How `nft` and `ip` are run; without it, as children of this process. */
  readonly run?: RunProgram;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
  readonly lifetimes?: Partial<Lifetimes>;
}

export interface Layer4 {
  /**
   * Goes over to these services, all or nothing, in one transaction. Tables of a run before are adopted: no flow is cut.
   * Rejects with GTY_LAYER4 and a sentence (no nft, no privilege, an interface that is not there, a table of the same
   * name that is not ours, forwarding that is off, …); then nothing has changed.
   */
  apply(services: readonly Service[]): Promise<void>;
  /** New duties and weights of one service's servers, in one transaction; the latest when many come at once. */
  update(name: string, servers: readonly Target[]): Promise<void>;
  /** As of now, by the service's and the server's name. */
  traffic(): Promise<ReadonlyMap<string, ReadonlyMap<string, ServerTraffic>>>;
  /** The clients that a service remembers. */
  persistence(name: string): Promise<readonly PersistenceEntry[]>;
  /** Forgets a client (`key` as `persistence` shows it). false: there was none. */
  clearPersistence(name: string, key: string): Promise<boolean>;
  /** keep: the rules stay and go on; remove: every table of ours goes. */
  close(onStop: 'keep' | 'remove'): Promise<void>;
}

export function createLayer4(options: Layer4Options = {}): Layer4 {
  return new KernelLayer4(options);
}

const NOTHING: Counted = { packets: 0, bytes: 0 };

class KernelLayer4 implements Layer4 {
  readonly #run: RunProgram;
  readonly #nft: Nft;
  readonly #lifetimes: Lifetimes;
  readonly #flows: FlowCounts;
  /** By the service's name. */
  #plans: ReadonlyMap<string, Plan> = new Map();
  /** Changes, one after the other. */
  #changing: Promise<unknown> = Promise.resolve();
  #pending = new Map<string, readonly Target[]>();
  #updating: Promise<void> | undefined;
  /** By the service's name: new flows that there was no room for. */
  readonly #full = new Map<string, number>();

  constructor({ run = childPrograms(), now = () => performance.now(), lifetimes }: Layer4Options) {
    this.#run = run;
    this.#nft = new Nft(run);
    this.#lifetimes = { ...LIFETIMES, ...lifetimes };
    this.#flows = new FlowCounts({ now, count: () => countFlows(this.#nft, [...this.#plans.values()]) });
  }

  apply(services: readonly Service[]): Promise<void> {
    return this.#inOrder(() => this.#apply(services));
  }

  async #apply(services: readonly Service[]): Promise<void> {
    const wanted = services.map(judged);
    const held = await heldTables(this.#nft);
    const plans = await planAll({ wanted, held, nft: this.#nft, run: this.#run, lifetimes: this.#lifetimes });
    const wantedTables = new Map(plans.map((plan) => [written(plan.table), plan]));
    const isKept = (table: KernelTable) => table.comment === COMMENT && wantedTables.has(written(table));
    const kept = new Map(held.filter(isKept).map((table) => [written(table), table]));
    await this.#nft.change([
      ...held.filter((table) => isOurs(table) && !isKept(table)).map(removal),
      ...plans.flatMap((plan) => tableEdits(plan, kept.get(written(plan.table)))),
    ]);
    this.#plans = new Map(plans.map((plan) => [plan.service.name, plan]));
    this.#flows.expire();
  }

  update(name: string, servers: readonly Target[]): Promise<void> {
    if (!this.#plans.has(name)) return Promise.reject(notThere(name));
    this.#pending.set(name, servers);
    this.#updating ??= this.#inOrder(() => {
      const pending = this.#pending;
      this.#pending = new Map();
      this.#updating = undefined;
      return this.#tell(pending);
    });
    return this.#updating;
  }

  async #tell(pending: ReadonlyMap<string, readonly Target[]>): Promise<void> {
    const plans = [...this.#plans.values()].flatMap((old) => {
      const targets = pending.get(old.service.name);
      const plan = targets && withTargets(old, targets);
      if (!plan || dutyEdits(plan).join() === dutyEdits(old).join()) return [];
      if (plan.servers.some((one, index) => leaves(one) && one.duty !== old.servers[index]!.duty)) {
        this.#flows.expire();
      }
      return plan;
    });
    const changed = new Map(plans.map((plan) => [plan.service.name, plan]));
    const all = new Map([...this.#plans].map(([name, plan]) => [name, changed.get(name) ?? plan]));
    try {
      await this.#nft.change(plans.flatMap(dutyEdits));
      this.#plans = all;
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      await this.#restore(all);
    }
  }

  /** Another program has flushed all rules, or removed ours. Flows are lost; services are not. */
  async #restore(plans: ReadonlyMap<string, Plan>): Promise<void> {
    await this.#apply([...plans.values()].map(serviceOf));
    notice(
      'warn',
      'rules of layer 4 VIPs had been removed from the kernel by another program: they are back',
      {
        advice: 'open connections were lost: does a firewall flush all rules when it is reloaded?',
      },
    );
  }

  async traffic(): Promise<ReadonlyMap<string, ReadonlyMap<string, ServerTraffic>>> {
    const plans = [...this.#plans.values()];
    if (plans.length === 0) return new Map();
    const counters = readCounters(await this.#nft.list(['list counters']));
    if (plans.some(({ table }) => !counters.has(written(table)))) {
      await this.#inOrder(() => this.#restore(this.#plans));
      return this.traffic();
    }
    const leaving = plans.flatMap(({ servers }) => servers.filter(leaves).map(({ mark }) => mark));
    const flows = await this.#flows.latest(leaving);
    return new Map(
      plans.map((plan) => [
        plan.service.name,
        this.#trafficOf(plan, counters.get(written(plan.table)), flows),
      ]),
    );
  }

  #trafficOf(
    { service: { name }, servers }: Plan,
    counters: ReadonlyMap<string, Counted> | undefined,
    flows: FlowsByMark | undefined,
  ): Map<string, ServerTraffic> {
    const counted = (counter: string) => counters?.get(counter) ?? NOTHING;
    this.#noticeFull(name, counted('full').packets);
    return new Map(
      servers
        .filter(({ hasLeft }) => !hasLeft)
        .map(({ name: server, mark }) => {
          const connections = counted(connectionsCounter(mark)).packets;
          return [
            server,
            { ...counted(trafficCounter(mark)), connections, flows: flows && (flows.get(mark) ?? 0) },
          ];
        }),
    );
  }

  #noticeFull(vip: string, full: number): void {
    const before = this.#full.get(vip) ?? full;
    this.#full.set(vip, full);
    if (full <= before) return;
    notice('warn', 'there is no room for more flows: new connections were not forwarded', {
      vip,
      attempts: full - before,
    });
  }

  async persistence(name: string): Promise<readonly PersistenceEntry[]> {
    const plan = this.#plans.get(name);
    const sticky = plan && stickyMap(plan);
    if (!sticky) return [];
    const servers = new Map(plan.servers.map((server) => [server.mark, server.name]));
    const entries: PersistenceEntry[] = [];
    const { push: onOutput } = new ElementReader(({ key, value, expires }) => {
      const server = servers.get(Number(value));
      if (server !== undefined) entries.push({ key, server, expires: expires ?? 0 });
    });
    await this.#nft.list([`list map ${written(plan.table)} ${sticky}`], { onOutput });
    return entries;
  }

  async clearPersistence(name: string, key: string): Promise<boolean> {
    const plan = this.#plans.get(name);
    const sticky = plan && stickyMap(plan);
    if (!sticky || isIP(key) === 0 || key.includes('%')) return false;
    const edit = `delete element ${written(plan.table)} ${sticky} { ${canonical(key)} }`;
    return this.#inOrder(async () => {
      try {
        await this.#nft.change([edit]);
        return true;
      } catch (error) {
        if (error instanceof Missing) return false;
        throw error;
      }
    });
  }

  close(onStop: 'keep' | 'remove'): Promise<void> {
    return this.#inOrder(async () => {
      if (onStop === 'keep') return;
      const held = await heldTables(this.#nft);
      await this.#nft.change(held.filter(isOurs).map(removal));
      this.#plans = new Map();
    });
  }

  #inOrder<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#changing.then(change);
    this.#changing = done.catch(() => {});
    return done;
  }
}

/** Is somebody waiting for its flows to end? */
function leaves({ duty }: Placed): boolean {
  return duty === 'sticky' || duty === 'flows';
}

function withTargets(plan: Plan, targets: readonly Target[]): Plan {
  const servers = plan.servers.map((server) => {
    const target = server.hasLeft ? undefined : targets.find(({ name }) => name === server.name);
    return target ? { ...server, weight: Math.round(target.weight), duty: target.duty } : server;
  });
  return { ...plan, servers };
}

function serviceOf({ service, servers }: Plan): Service {
  return { ...service, servers: servers.filter(({ hasLeft }) => !hasLeft) };
}

function notThere(name: string): GantryError {
  return new GantryError('GTY_LAYER4', `VIP "${name}" is not forwarded by the kernel`);
}
