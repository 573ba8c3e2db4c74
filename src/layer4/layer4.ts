/** Layer 4: VIPs whose packets the kernel forwards (DR, NAT, SNAT) by nftables rules that are kept up to date here. */
import { GantryError } from '../errors.ts';
import { notice } from '../observe/events.ts';
import { forgetClients, rememberedClients } from './clients.ts';
import { dutyEdits, removal, tableEdits } from './edits.ts';
import { countFlows, FlowCounts, type Tallies, talliesOf } from './flow-counts.ts';
import { judged } from './judge.ts';
import { heldTables, isOurs, planAll } from './kernel.ts';
import type { Lock } from './lock.ts';
import { COMMENT, written } from './names.ts';
import { Missing, Nft } from './nft.ts';
import { LIFETIMES, type Lifetimes, type Placed, type Plan } from './plan.ts';
import { childPrograms, type RunProgram } from './programs.ts';
import { interfacesOf } from './routes.ts';
import { connectionsCounter, trafficCounter } from './ruleset.ts';
import type { PersistenceEntry, ServerTraffic, Service, Target } from './service.ts';
import { type Counted, type KernelTable, readTables } from './tables.ts';

export interface Layer4Options {
  /** How `nft` and `ip` are run; without it, as children of this process. */
  readonly run?: RunProgram;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
  readonly lifetimes?: Partial<Lifetimes>;
  /** Held while there are services; without it, nobody else may have any. */
  readonly lock?: Lock;
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
  /** Forgets clients (`keys` as `persistence` shows them), and says how many of them were there. */
  clearPersistence(name: string, keys: readonly string[]): Promise<number>;
  /**
   * Removes what a run before has left, when no process has it, and says which tables that were. For a process that has
   * no services itself; rejects with GTY_LAYER4.
   */
  removeLeft(): Promise<readonly string[]>;
  /** keep: the rules stay and go on; remove: every table of ours goes. */
  close(onStop: 'keep' | 'remove'): Promise<void>;
}

export function createLayer4(options: Layer4Options = {}): Layer4 {
  return new KernelLayer4(options);
}

const FLUSHED =
  'another program had removed them, and open connections were lost: does a firewall flush all rules when it reloads?';

const TAKEN =
  'another Gantry on this machine has layer 4 VIPs: one process has all of them, or each a network namespace of its own';

const NOTHING: Counted = { packets: 0, bytes: 0 };

class KernelLayer4 implements Layer4 {
  readonly #run: RunProgram;
  readonly #nft: Nft;
  readonly #now: () => number;
  readonly #lifetimes: Lifetimes;
  readonly #lock: Lock | undefined;
  readonly #flows: FlowCounts;
  /** By the service's name. */
  #plans: ReadonlyMap<string, Plan> = new Map();
  /** The interfaces that there were when services were applied. */
  #interfaces: ReadonlyMap<string, number> = new Map();
  /** Mark → the name of its server, the last one that it had. */
  readonly #names = new Map<number, string>();
  /** Mark → when its server was gone the last time. */
  readonly #back = new Map<number, number>();
  /** Changes, one after the other. */
  #changing: Promise<unknown> = Promise.resolve();
  #pending = new Map<string, readonly Target[]>();
  #updating: Promise<void> | undefined;
  /** What was said of rules that could not be put back. */
  #unmended: string | undefined;
  /** By the service's name: new flows that there was no room for. */
  readonly #full = new Map<string, number>();

  constructor({ run = childPrograms(), now = () => performance.now(), lifetimes, lock }: Layer4Options) {
    this.#lock = lock;
    this.#run = run;
    this.#nft = new Nft(run);
    this.#lifetimes = { ...LIFETIMES, ...lifetimes };
    this.#now = now;
    const back = (mark: number) => now() - (this.#back.get(mark) ?? Number.NEGATIVE_INFINITY);
    const count = () => countFlows(this.#nft, [...this.#plans.values()], back);
    this.#flows = new FlowCounts({ now, count });
  }

  apply(services: readonly Service[]): Promise<void> {
    return this.#inOrder(async () => {
      if (services.length > 0 && (await this.#lock?.take()) === false)
        throw new GantryError('GTY_LAYER4', TAKEN);
      try {
        await this.#apply(services);
      } finally {
        if (this.#plans.size === 0) await this.#lock?.release();
      }
    });
  }

  async #apply(services: readonly Service[]): Promise<void> {
    const wanted = services.map(judged);
    const [nft, run, lifetimes] = [this.#nft, this.#run, this.#lifetimes];
    const held = await heldTables(nft);
    const isDirect = wanted.some(({ service }) => service.mode === 'dr');
    const there = isDirect ? await interfacesOf(run) : new Map<string, number>();
    const tallies = talliesOf(held);
    const mayHaveFlows = (mark: number) => !this.#flows.isUnused(mark, tallies);
    const plans = await planAll({ wanted, held, there, nft, run, lifetimes, mayHaveFlows });
    const wantedTables = new Map(plans.map((plan) => [written(plan.table), plan]));
    const isKept = (table: KernelTable) => table.comment === COMMENT && wantedTables.has(written(table));
    const kept = new Map(held.filter(isKept).map((table) => [written(table), table]));
    await nft.change([
      ...held.filter((table) => isOurs(table) && !isKept(table)).map(removal),
      ...plans.flatMap((plan) => tableEdits(plan, kept.get(written(plan.table)))),
    ]);
    this.#plans = new Map(plans.map((plan) => [plan.service.name, plan]));
    for (const { servers } of plans) {
      for (const { mark, name, hasLeft } of servers) if (!hasLeft) this.#names.set(mark, name);
    }
    this.#interfaces = there;
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
      for (const [index, { duty, mark }] of plan.servers.entries()) {
        const { duty: before } = old.servers[index]!;
        if (before === 'gone' && duty !== 'gone') this.#back.set(mark, this.#now());
        // Whoever waits for flows to end, or for room, hears of them at once.
        if (duty !== before) this.#flows.expire();
      }
      return { ...plan, turn: plan.turn + 1 };
    });
    const changed = new Map(plans.map((plan) => [plan.service.name, plan]));
    const all = new Map([...this.#plans].map(([name, plan]) => [name, changed.get(name) ?? plan]));
    try {
      await this.#nft.change(plans.flatMap(dutyEdits));
      this.#plans = all;
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      await this.#restore(all, FLUSHED);
    }
  }

  async #restore(plans: ReadonlyMap<string, Plan>, why: string): Promise<void> {
    await this.#apply([...plans.values()].map(serviceOf));
    notice('warn', 'rules of layer 4 VIPs were put back into the kernel', { reason: why });
  }

  /** Puts back what was lost, unless somebody else was faster. Says why it cannot, once. */
  #mend(plans: ReadonlyMap<string, Plan>, why: string): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#plans !== plans) return;
      try {
        await this.#restore(plans, why);
        this.#unmended = undefined;
      } catch (error) {
        const { message } = error as Error;
        if (message === this.#unmended) return;
        this.#unmended = message;
        notice('error', 'rules of layer 4 VIPs are lost', { reason: `${why}: ${message}` });
      }
    });
  }

  /** Why the rules in the kernel are not what they were. */
  async #lossOf(plans: readonly Plan[], held: ReadonlyMap<string, unknown>): Promise<string | undefined> {
    if (plans.some(({ table }) => !held.has(written(table)))) return FLUSHED;
    const direct = plans.filter(({ service }) => service.mode === 'dr');
    if (direct.length === 0) return undefined;
    const now = await interfacesOf(this.#run);
    const used = direct.flatMap(({ interfaces, servers }) => {
      return [...interfaces, ...servers.flatMap(({ device }) => device ?? [])];
    });
    const other = used.find((one) => now.has(one) && now.get(one) !== this.#interfaces.get(one));
    return other && `the interface ${other} was made anew`;
  }

  async traffic(): Promise<ReadonlyMap<string, ReadonlyMap<string, ServerTraffic>>> {
    const before = this.#plans;
    if (before.size === 0) return new Map();
    const families = new Set([...before.values()].map(({ table }) => table.family));
    const listings = await Promise.all([...families].map((family) => this.#nft.ruleset(family)));
    const held = new Map(listings.flatMap(readTables).map((table) => [written(table), table]));
    const loss = await this.#lossOf([...before.values()], held);
    if (loss !== undefined) await this.#mend(before, loss);
    const plans = [...this.#plans.values()];
    const leaving = plans.flatMap(({ servers }) => servers.filter(leaves).map(({ mark }) => mark));
    const tallies = talliesOf(held.values());
    await this.#flows.refresh(tallies, leaving);
    return new Map(
      plans.map((plan) => [
        plan.service.name,
        this.#trafficOf(plan, held.get(written(plan.table))?.counters, tallies),
      ]),
    );
  }

  #trafficOf(
    { service: { name }, servers }: Plan,
    counters: ReadonlyMap<string, Counted> | undefined,
    tallies: Tallies,
  ): Map<string, ServerTraffic> {
    const counted = (counter: string) => counters?.get(counter) ?? NOTHING;
    this.#noticeFull(name, counted('full').packets);
    // Those that have left go first: one of the same name that is there now goes before them.
    const inOrder = [...servers].sort((one, other) => Number(other.hasLeft) - Number(one.hasLeft));
    return new Map(
      inOrder.flatMap(({ mark }) => {
        const server = this.#names.get(mark);
        if (server === undefined) return [];
        const connections = counted(connectionsCounter(mark)).packets;
        const flows = this.#flows.flowsOf(mark, tallies);
        return [[server, { ...counted(trafficCounter(mark)), connections, flows }]];
      }),
    );
  }

  #noticeFull(vip: string, full: number): void {
    const before = this.#full.get(vip) ?? full;
    this.#full.set(vip, full);
    if (full <= before) return;
    notice('warn', 'there is no room for more flows: new connections were not forwarded', {
      vip,
      connections: full - before,
    });
  }

  async persistence(name: string): Promise<readonly PersistenceEntry[]> {
    const plan = this.#plans.get(name);
    return plan ? rememberedClients(this.#nft, plan) : [];
  }

  async clearPersistence(name: string, keys: readonly string[]): Promise<number> {
    const plan = this.#plans.get(name);
    return plan ? forgetClients(this.#nft, plan, keys, (change) => this.#inOrder(change)) : 0;
  }

  removeLeft(): Promise<readonly string[]> {
    return this.#inOrder(async () => {
      const left = (await heldTables(this.#nft)).filter(isOurs);
      if (left.length === 0 || (await this.#lock?.take()) === false) return [];
      try {
        await this.#nft.change(left.map(removal));
      } finally {
        await this.#lock?.release();
      }
      return left.map(written);
    });
  }

  close(onStop: 'keep' | 'remove'): Promise<void> {
    return this.#inOrder(async () => {
      try {
        if (onStop === 'keep') return;
        const held = await heldTables(this.#nft);
        await this.#nft.change(held.filter(isOurs).map(removal));
        this.#plans = new Map();
      } finally {
        await this.#lock?.release();
      }
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
