/** Wires every room together. Starting is the difference from nothing; reloading is the same code. */
import { type Admin, createAdmin } from './admin/admin.ts';
import type { ReloadResult } from './admin/changes.ts';
import { type Assembly, assemble } from './assemble.ts';
import { type Checks, startChecks } from './checks.ts';
import type { Loaded } from './config/load.ts';
import { type Configuration, isProxy, layer4Vips } from './config/schema.ts';
import { type Change, differenceOf, touchedVips } from './difference.ts';
import { listening } from './egress.ts';
import { describeEndpoint } from './endpoint.ts';
import { type PreparedFrontEnd, prepareFrontEnd } from './front-ends.ts';
import type { FrontEnd } from './frontends/front-end.ts';
import { createLayer4, type Layer4 } from './layer4/layer4.ts';
import { createLock } from './layer4/lock.ts';
import { createTransparency, type Transparency } from './layer4/transparency.ts';
import { Layer4Vips } from './layer4-vips.ts';
import { Listeners } from './listeners.ts';
import { notice } from './observe/events.ts';
import { createKeyedHash, type KeyedHash } from './observe/privacy.ts';
import { type Probes, startProbes } from './probes.ts';
import type { Queue } from './queue/queue.ts';
import { createQueueControl, type QueueControl } from './queue-control.ts';
import { type OpenedQueues, Queues } from './queues.ts';
import type { Endpoint } from './relay/channel.ts';
import { createDeadlines, type Deadlines } from './relay/deadlines.ts';
import { resetDismissed } from './relay/dismiss.ts';
import { createReports } from './report.ts';
import { createServerControl } from './server-control.ts';
import { openSnapshot, type Snapshot } from './tables/snapshot.ts';

/** What a machine that loses its power may forget. */
const SNAPSHOT_INTERVAL_MS = 5000;

export interface Balancer {
  /** VIP → what it listens on; a port 0 of the configuration is the system's choice here. */
  readonly endpoints: Readonly<Record<string, readonly Endpoint[]>>;
  /** Where the admin API is, if there is one. */
  readonly admin: Endpoint | undefined;
  /**
   * Goes over to another configuration, touching only what is different. Rejects when this machine cannot do what it
   * says (GTY_LISTEN, GTY_QUEUE); then nothing has changed.
   */
  apply(configuration: Configuration): Promise<readonly Change[]>;
  /** Loads the configuration anew, as `BalancerOptions.load` does it, and goes over to it. Says so in the log. */
  reload(): Promise<ReloadResult>;
  /** Stops: takes no more work, lets the work in hand finish (`drain`, as long as the configuration says), ends the rest. */
  stop(options?: { readonly drain?: boolean }): Promise<void>;
}

export interface BalancerOptions {
  /** Hides facts that are not to be seen; the log's, so that hashes of both compare. */
  readonly hash?: KeyedHash;
  /** For `reload`. */
  readonly load?: (() => Loaded) | undefined;
  /** Rules that a run before has left in the kernel go when the configuration has no layer 4 VIPs. */
  readonly tidies?: boolean;
  /** What forwards in the kernel; default: nftables. */
  readonly layer4?: Layer4;
  /** Milliseconds since 1970 by a clock that never goes back; all that takes time goes by it. Default: the system's. */
  readonly now?: () => number;
}

/** Starts everything that the configuration says; rejects when an address (GTY_LISTEN) or a queue's file (GTY_QUEUE) cannot be had. */
export async function startBalancer(
  configuration: Configuration,
  options: BalancerOptions = {},
): Promise<Balancer> {
  const balancer = new RunningBalancer(options);
  try {
    await balancer.apply(configuration);
    if (options.tidies) await balancer.tidy();
  } catch (error) {
    await balancer.stop();
    throw error;
  }
  return balancer;
}

/** What is running under a VIP's name. */
interface Running {
  readonly prepared: PreparedFrontEnd;
  readonly frontEnd: FrontEnd;
}

/** Can a front-end made of one be reconfigured to the other? */
function isSameKind(one: PreparedFrontEnd, other: PreparedFrontEnd): boolean {
  return one.protocol === other.protocol && one.queue === other.queue;
}

function systemClock(): () => number {
  // Read once: the origin is a slow getter, and it does not move.
  const origin = performance.timeOrigin;
  return () => origin + performance.now();
}

class RunningBalancer implements Balancer {
  readonly #load: (() => Loaded) | undefined;
  readonly #hash: KeyedHash;
  readonly #now: () => number;
  readonly #started: number;
  readonly #deadlines: Deadlines;
  readonly #listeners = new Listeners();
  readonly #queues = new Queues();
  readonly #running = new Map<string, Running>();
  /** Of VIPs that are no more, or not in this form: their open work goes on. */
  readonly #leaving = new Set<Running>();
  #configuration: Configuration | undefined;
  #assembly: Assembly | undefined;
  #checks: Checks | undefined;
  #probes: Probes | undefined;
  #admin: Admin | undefined;
  #snapshot: Snapshot | undefined;
  readonly #queueControl: QueueControl;
  readonly #layer4: Layer4Vips;
  readonly #transparency: Transparency;
  #ready = false;
  /** One change of configuration after the other. */
  #applying: Promise<unknown> = Promise.resolve();

  constructor({
    hash = createKeyedHash(),
    load,
    layer4 = createLayer4({ lock: createLock() }),
    now = systemClock(),
  }: BalancerOptions) {
    this.#hash = hash;
    this.#load = load;
    this.#now = now;
    this.#deadlines = createDeadlines({ now });
    this.#started = this.#now();
    this.#transparency = createTransparency({ now: this.#now });
    this.#layer4 = new Layer4Vips({ layer4, deadlines: this.#deadlines, now: this.#now });
    this.#queueControl = createQueueControl({
      queues: () => this.#queuesByVip(),
      isVip: (name) => this.#running.has(name),
      now: this.#now,
      later: (ms, run) => this.#deadlines.after(ms, run),
    });
  }

  get endpoints(): Readonly<Record<string, readonly Endpoint[]>> {
    return Object.fromEntries([...this.#running].map(([name, { frontEnd }]) => [name, frontEnd.endpoints]));
  }

  get admin(): Endpoint | undefined {
    return this.#admin?.endpoint;
  }

  /** Removes what a run with layer 4 VIPs has left in the kernel, if there are none now. */
  tidy(): Promise<void> {
    return this.#layer4.tidy();
  }

  apply(configuration: Configuration): Promise<readonly Change[]> {
    const applied = this.#applying.then(() => this.#apply(configuration));
    this.#applying = applied.catch(() => {});
    return applied;
  }

  async #apply(next: Configuration): Promise<readonly Change[]> {
    const surroundings = { now: this.#now, random: Math.random };
    const changes = differenceOf(this.#configuration, next);
    // All that can go wrong goes first, and leaves no trace when it does.
    const assembly = assemble(next, surroundings, this.#assembly);
    const binding = await this.#listeners.bind(listening(next.vips.filter(isProxy)));
    let queues: OpenedQueues | undefined;
    let admin: Admin | undefined;
    let prepared: readonly PreparedFrontEnd[];
    try {
      queues = await this.#queues.open(next.vips);
      const { of: queueOf } = queues;
      prepared = touchedVips(changes, this.#configuration, next).map((vip) =>
        prepareFrontEnd(vip, (name) => binding.of(name), {
          configuration: next,
          assembly,
          queueOf,
          clientSource: this.#transparency,
          deadlines: this.#deadlines,
          now: this.#now,
        }),
      );
      admin = await this.#nextAdmin(next);
      if (next.vips.some(({ source }) => source === 'client')) await this.#transparency.open();
      // Last: what the kernel was told is in force at once.
      await this.#layer4.apply(layer4Vips(next), next, assembly);
    } catch (error) {
      if (admin !== this.#admin) await admin?.close();
      binding.rollback();
      queues?.rollback();
      this.#closeQueues();
      throw error;
    }
    const isStart = !this.#configuration;
    const before = this.#admin;
    this.#configuration = next;
    this.#assembly = assembly;
    if (isStart) await this.#openSnapshot(next);
    assembly.commit();
    this.#snapshot?.follow();
    this.#layer4.commit(layer4Vips(next), next, assembly);
    // Who leaves goes first: what was theirs alone, such as a queue, may be another's now.
    this.#retire(next, prepared);
    for (const one of prepared) this.#serve(one);
    binding.commit();
    queues.commit();
    this.#closeQueues();
    this.#admin = admin;
    this.#admin?.setToken(next.admin?.token);
    if (this.#checks) this.#checks.reconfigure(next, assembly);
    else this.#checks = startChecks(next, assembly, this.#deadlines, surroundings);
    if (this.#probes) this.#probes.reconfigure(next, assembly);
    else this.#probes = startProbes(next, assembly, this.#deadlines);
    this.#ready = true;
    if (isStart) this.#sayReady();
    // It may be answering the very call that asked for this.
    if (before !== admin) setImmediate(() => void before?.close());
    return changes;
  }

  /** Persistence goes on where the run before left it. */
  async #openSnapshot({ table: { file } }: Configuration): Promise<void> {
    if (file === undefined) return;
    const deadlines = this.#deadlines;
    const current = () => this.#assembly!.tables;
    this.#snapshot = await openSnapshot({
      file,
      tables: { [Symbol.iterator]: () => current()[Symbol.iterator]() },
      now: this.#now,
      interval: SNAPSHOT_INTERVAL_MS,
      later: (ms, run) => deadlines.after(ms, run),
    });
  }

  /** VIPs that are no more, and front-ends that cannot become what they are wanted as, take nothing new. */
  #retire({ vips }: Configuration, prepared: readonly PreparedFrontEnd[]): void {
    const wanted = new Set(vips.map(({ name }) => name));
    const successors = new Map(prepared.map((one) => [one.name, one]));
    for (const [name, running] of this.#running) {
      const successor = successors.get(name) ?? running.prepared;
      if (wanted.has(name) && isSameKind(successor, running.prepared)) continue;
      this.#running.delete(name);
      this.#leave(running);
    }
  }

  #serve(prepared: PreparedFrontEnd): void {
    const { name } = prepared;
    const frontEnd = this.#running.get(name)?.frontEnd;
    if (frontEnd) prepared.reconfigure(frontEnd);
    this.#running.set(name, { prepared, frontEnd: frontEnd ?? prepared.create() });
  }

  #leave(running: Running): void {
    const { prepared, frontEnd } = running;
    this.#leaving.add(running);
    // Its listeners may belong to another VIP by now.
    prepared.disown(frontEnd);
    void frontEnd.drain().then(() => {
      this.#leaving.delete(running);
      this.#closeQueues();
    });
  }

  #queuesByVip(): ReadonlyMap<string, Queue> {
    const all = [...this.#running].flatMap(
      ([
        name,
        {
          prepared: { queue },
        },
      ]) => (queue ? [[name, queue] as const] : []),
    );
    return new Map(all);
  }

  /** But those in whose messages somebody still has a hand. */
  #closeQueues(): void {
    const running = [...this.#running.values(), ...this.#leaving];
    this.#queues.closeAllBut(new Set(running.map(({ prepared }) => prepared.queue)));
  }

  /** The API of the next configuration: the one that is there, unless its address changed. */
  async #nextAdmin({ admin: wanted, log }: Configuration): Promise<Admin | undefined> {
    const before = this.#configuration?.admin;
    if (!wanted) return undefined;
    const { listen, token } = wanted;
    if (before && before.listen.host === listen.host && before.listen.port === listen.port)
      return this.#admin;
    const reports = createReports(() => this.#state(), {
      started: this.#started,
      now: this.#now,
      queueOf: (vip) => this.#queueControl.depth(vip),
      trafficOf: (vip) => this.#layer4.trafficOf(vip),
    });
    const control = createServerControl(() => this.#assembly!);
    const source = {
      ...reports,
      ...control,
      ...this.#queueControl,
      layer4: this.#layer4.persistence,
      ready: () => this.#ready,
      reload: () => this.reload(),
    };
    return createAdmin({ listen, token, hash: this.#hash, hashUids: log.hashUids, source });
  }

  #state() {
    const frontEnds = new Map([...this.#running].map(([name, { frontEnd }]) => [name, frontEnd]));
    return { configuration: this.#configuration!, assembly: this.#assembly!, frontEnds };
  }

  async reload(): Promise<ReloadResult> {
    const loaded = this.#load?.();
    if (!loaded) return refused('This balancer was not started from a file.', []);
    if (!loaded.configuration) {
      const { faults } = loaded;
      const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
      return refused(`The configuration has ${count}; nothing was changed.`, faults);
    }
    try {
      const changes = await this.apply(loaded.configuration);
      notice('info', 'reloaded', { changes: changes.map(changeText).join(', ') || 'none' });
      return {
        done: { changes: changes.map((change) => ({ ...change, nextStart: change.nextStart ?? false })) },
      };
    } catch (error) {
      return refused(`${(error as Error).message}; nothing was changed.`, []);
    }
  }

  async stop({ drain = false } = {}): Promise<void> {
    this.#ready = false;
    await this.#applying;
    const all = [...this.#running.values(), ...this.#leaving].map(({ frontEnd }) => frontEnd);
    if (drain && this.#configuration) {
      await within(
        this.#configuration.drain,
        all.map((frontEnd) => frontEnd.drain()),
        this.#deadlines,
      );
    }
    await Promise.all(all.map((frontEnd) => frontEnd.close()));
    await this.#queues.close();
    this.#checks?.close();
    this.#probes?.close();
    await this.#transparency.close();
    await this.#layer4.close(this.#configuration?.layer4.onStop ?? 'keep');
    this.#queueControl.close();
    await this.#snapshot?.close();
    await this.#admin?.close();
    resetDismissed(this.#deadlines);
    this.#deadlines.close();
  }

  #sayReady(): void {
    const forwarded = layer4Vips(this.#configuration!).map(({ name, listen }) => [name, listen] as const);
    notice('info', 'ready', {
      vips: [...Object.entries(this.endpoints), ...forwarded]
        .map(([name, bound]) => `${name} ${bound.map(describeEndpoint).join(' ')}`)
        .join(', '),
      admin: this.admin ? `${this.admin.host}:${this.admin.port}` : 'off',
    });
  }
}

type Faults = Extract<ReloadResult, { readonly detail: string }>['faults'];

function refused(detail: string, faults: Faults): ReloadResult {
  notice('error', 'not reloaded', { reason: detail });
  for (const { file, line, column, path, message } of faults)
    notice('error', 'a fault of the configuration', {
      at: `${file}:${line}:${column}`,
      path,
      fault: message,
    });
  return { detail, faults };
}

function changeText({ kind, name, what }: Change): string {
  return kind === name ? `${name} ${what}` : `${kind} ${name} ${what}`;
}

/** Resolves when all have, or after `ms` milliseconds. */
async function within(ms: number, all: readonly Promise<void>[], deadlines: Deadlines): Promise<void> {
  await new Promise<void>((resolve) => {
    const deadline = deadlines.after(ms, resolve);
    void Promise.all(all).then(() => {
      deadline.cancel();
      resolve();
    });
  });
}
