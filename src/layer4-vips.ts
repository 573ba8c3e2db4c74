/**
 * The VIPs whose packets the kernel forwards: it is told what pools and servers are like, and asked what it counted.
 * Nothing of their traffic comes through this process.
 */
import type { Entry, Layer4Persistence } from './admin/persistence.ts';
import type { Assembly } from './assemble.ts';
import type { Configuration, Layer4Vip } from './config/schema.ts';
import type { Layer4 } from './layer4/layer4.ts';
import type { ServerTraffic, Service } from './layer4/service.ts';
import { ServerShares } from './layer4-shares.ts';
import { newTarget, splitTarget, targetName, targetsOf } from './layer4-targets.ts';
import { notice } from './observe/events.ts';
import type { Leaving, Pool } from './pools/pool.ts';
import type { Server } from './pools/server.ts';
import type { Deadline, Deadlines } from './relay/deadlines.ts';

/** Milliseconds between two looks at the kernel's counters. */
const LOOK_MS = 2000;

/** Milliseconds that whoever asks for counters waits for the kernel. */
const PATIENCE_MS = 1000;

export interface Layer4VipsOptions {
  readonly layer4: Layer4;
  readonly deadlines: Deadlines;
  readonly now: () => number;
}

/** By the server's name, `POOL/SERVER`. */
export type VipTraffic = ReadonlyMap<string, ServerTraffic>;

/** A VIP that is in force. */
interface Forwarding {
  readonly vip: Layer4Vip;
  readonly pool: Pool;
  readonly remembers: boolean;
  readonly unwatch: () => void;
  /** What the kernel was told last, to tell it only what is new. */
  told: string;
}

export class Layer4Vips {
  readonly #layer4: Layer4;
  readonly #deadlines: Deadlines;
  readonly #now: () => number;
  readonly #shares = new ServerShares();
  #forwarding: readonly Forwarding[] = [];
  /** Servers whose open work has had its time. */
  readonly #cut = new Map<Server, Leaving>();
  /** Servers with flows, as of the last count. */
  readonly #working = new Set<Server>();
  #traffic: ReadonlyMap<string, VipTraffic> = new Map();
  #look: Deadline | undefined;
  /** Why the counters could not be read the last time. */
  #unread: string | undefined;
  #looking: Promise<void> | undefined;
  #isTelling = false;

  constructor({ layer4, deadlines, now }: Layer4VipsOptions) {
    this.#layer4 = layer4;
    this.#deadlines = deadlines;
    this.#now = now;
  }

  /**
   * Tells the kernel what it is to do from now on; `commit` follows. Rejects with GTY_LAYER4, and then nothing has
   * changed.
   */
  async apply(vips: readonly Layer4Vip[], configuration: Configuration, assembly: Assembly): Promise<void> {
    // Who never had anything to do with layer 4 needs no nft.
    if (vips.length === 0 && this.#forwarding.length === 0) return;
    await this.#layer4.apply(vips.map((vip) => this.#serviceOf(vip, configuration, assembly)));
  }

  /**
   * For a start without layer 4 VIPs: the rules of a run that had some would forward for ever, with nobody to watch
   * their servers. Where the kernel cannot be asked, it is nobody's who runs here.
   */
  async tidy(): Promise<void> {
    if (this.#forwarding.length > 0) return;
    const tables = await this.#layer4.removeLeft().catch(() => []);
    if (tables.length === 0) return;
    notice(
      'warn',
      'rules of layer 4 VIPs that the configuration no longer has were removed from the kernel',
      {
        tables: tables.join(', '),
      },
    );
  }

  /** The configuration that was applied is in force, and so are its pools: follows them. */
  commit(vips: readonly Layer4Vip[], configuration: Configuration, assembly: Assembly): void {
    for (const { unwatch } of this.#forwarding) unwatch();
    this.#forwarding = vips.map((vip) => this.#follow(vip, configuration, assembly));
    this.#count();
    this.#tellSoon();
    this.#look?.cancel();
    this.#look = undefined;
    if (vips.length > 0) this.#lookLater();
  }

  /** What the kernel has counted of a VIP, as of now or, when it does not answer soon, of the last look. */
  async trafficOf(vip: string): Promise<VipTraffic> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const patience = this.#deadlines.after(PATIENCE_MS, resolve);
    await Promise.race([this.#lookNow(), late]);
    patience.cancel();
    return this.#traffic.get(vip) ?? new Map();
  }

  /** What the kernel remembers of clients, for the admin API. */
  readonly persistence: Layer4Persistence = {
    entries: async (table) => {
      const vips = this.#forwarding.filter(({ vip, remembers }) => remembers && isIn(table, vip));
      const all = await Promise.all(vips.map(({ vip }) => this.#entriesOf(vip)));
      return all.flat();
    },
    clear: async (entries) => {
      let cleared = 0;
      for (const { vip } of this.#forwarding) {
        const keys = entries.filter(({ table }) => table === tableName(vip)).map(({ entry }) => entry);
        if (keys.length > 0) cleared += await this.#layer4.clearPersistence(vip.name, keys);
      }
      return cleared;
    },
  };

  async #entriesOf(vip: Layer4Vip): Promise<Entry[]> {
    const entries = await this.#layer4.persistence(vip.name);
    return entries.map(({ key, server: target, expires }) => {
      const [pool, server] = splitTarget(target);
      const of = { table: tableName(vip), entry: key, pool };
      return { ...of, by: 'source-ip', value: key, server, remaining: expires };
    });
  }

  async close(onStop: 'keep' | 'remove'): Promise<void> {
    this.#look?.cancel();
    for (const { unwatch } of this.#forwarding) unwatch();
    const had = this.#forwarding.length > 0;
    this.#forwarding = [];
    if (had) await this.#layer4.close(onStop);
  }

  #serviceOf(vip: Layer4Vip, { pools }: Configuration, assembly: Assembly): Service {
    const { balance, servers } = pools.find(({ name }) => name === vip.pool)!;
    const pool = assembly.pools.get(vip.pool)!;
    // The pool may not have the servers of this configuration yet: what is known of those that stay holds already.
    const known = new Map(this.#targetsOf(vip, pool).map((target) => [target.name, target]));
    return {
      name: vip.name,
      mode: vip.mode,
      listen: vip.listen,
      interfaces: vip.interfaces,
      source: vip.source,
      spread: balance === 'hash' ? 'hash' : balance === 'random-two' ? 'random' : 'round-robin',
      persistence: sourcePersistence(vip, pools),
      idle: vip.idle,
      servers: servers.map((server) => {
        const fresh = newTarget(vip.pool, server);
        const target = known.get(fresh.name);
        return target?.address === fresh.address && target.port === fresh.port ? target : fresh;
      }),
    };
  }

  #targetsOf({ name }: Layer4Vip, pool: Pool) {
    return targetsOf(pool, {
      now: this.#now(),
      isCut: (server) => this.#isCut(server, pool),
      share: (server) => (pool.balance === 'least-busy' ? this.#shares.of(shareName(name, server)) : 1),
    });
  }

  /** A halt ends when the server is put online, a failover when the server takes the work again. */
  #isCut(server: Server, pool: Pool): boolean {
    const why = this.#cut.get(server);
    if (why === undefined) return false;
    const isOver = why === 'halted' ? !server.isHalted : pool.takers.includes(server);
    if (isOver) this.#cut.delete(server);
    return !isOver;
  }

  #follow(vip: Layer4Vip, { pools }: Configuration, assembly: Assembly): Forwarding {
    const pool = assembly.pools.get(vip.pool)!;
    const unwatch = pool.watch(() => this.#tellSoon());
    const unwatchLeaving = pool.watchLeaving((server, why) => {
      const { since } = server;
      const cut = () => {
        if (server.since !== since) return;
        this.#cut.set(server, why);
        this.#tellSoon();
      };
      // An open flow has no safe point: it has the time that a halt leaves it.
      if (why === 'halted') this.#deadlines.after(pool.drain, cut);
      else cut();
    });
    const stop = () => {
      unwatch();
      unwatchLeaving();
    };
    const remembers = sourcePersistence(vip, pools) !== undefined;
    return { vip, pool, remembers, unwatch: stop, told: '' };
  }

  /** Pools change many times in one go: they are asked once it is over. */
  #tellSoon(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    setImmediate(() => {
      this.#isTelling = false;
      for (const forwarding of this.#forwarding) this.#tell(forwarding);
    });
  }

  #tell(forwarding: Forwarding): void {
    const { vip, pool } = forwarding;
    const targets = this.#targetsOf(vip, pool);
    const told = JSON.stringify(targets);
    if (told === forwarding.told) return;
    forwarding.told = told;
    this.#layer4.update(vip.name, targets).catch((error: Error) => {
      // The next look tells it again.
      if (forwarding.told === told) forwarding.told = '';
      notice('error', 'the kernel was not told of a change', { vip: vip.name, reason: error.message });
    });
  }

  #lookLater(): void {
    this.#look = this.#deadlines.after(LOOK_MS, () => {
      void this.#lookNow().then(() => {
        if (this.#forwarding.length === 0) return;
        // Slow starts and shares go on by themselves.
        this.#tellSoon();
        this.#lookLater();
      });
    });
  }

  /** Whoever asks while the kernel is asked gets the same answer. */
  #lookNow(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    try {
      this.#traffic = await this.#layer4.traffic();
    } catch (error) {
      const reason = (error as Error).message;
      if (reason !== this.#unread) notice('warn', 'the counters of the kernel could not be read', { reason });
      this.#unread = reason;
      return;
    }
    if (this.#unread !== undefined) notice('info', 'the counters of the kernel can be read again');
    this.#unread = undefined;
    for (const { vip, pool } of this.#forwarding) {
      if (pool.balance === 'least-busy') this.#shares.counted(this.#countedOf(vip, pool), this.#now());
    }
    this.#count();
  }

  #countedOf({ name: vip }: Layer4Vip, { servers }: Pool) {
    return servers.flatMap((server) => {
      const traffic = this.#traffic.get(vip)?.get(targetName(server));
      return traffic ? [{ name: shareName(vip, server), weight: server.weight, traffic }] : [];
    });
  }

  /** Flows are work of their servers, also of those that the configuration no longer has. */
  #count(): void {
    const current = new Map(
      this.#forwarding.flatMap(({ pool }) => pool.servers.map((server) => [targetName(server), server])),
    );
    const flows = new Map<Server, number>(
      [...this.#working, ...current.values()].map((server) => [server, 0]),
    );
    const gone = new Map([...this.#working].map((server) => [targetName(server), server]));
    for (const traffic of this.#traffic.values()) {
      for (const [name, { flows: count = 0 }] of traffic) {
        const server = current.get(name) ?? gone.get(name);
        if (server) flows.set(server, flows.get(server)! + count);
      }
    }
    this.#working.clear();
    for (const [server, count] of flows) {
      server.forwarded = count;
      if (count > 0) this.#working.add(server);
    }
  }
}

/** As that of a proxy is called. */
function tableName({ name }: Layer4Vip): string {
  return `vip ${name}`;
}

/** `table`: undefined is every table. */
function isIn(table: string | undefined, vip: Layer4Vip): boolean {
  return table === undefined || table === tableName(vip);
}

function shareName(vip: string, server: Server): string {
  return `${vip} ${targetName(server)}`;
}

/** What layer 4 makes of persistence, the pool's own or the VIP's: by the client's address, or none. */
function sourcePersistence(
  { pool, persistence: own }: Layer4Vip,
  pools: Configuration['pools'],
): Service['persistence'] {
  const persistence = pools.find(({ name }) => name === pool)!.persistence ?? own;
  if (!persistence?.by.includes('source-ip')) return undefined;
  const { ttl, netmask, size } = persistence;
  return { ttl, netmask, size };
}
