/** Every row of a vendor's table in traffic: the right pool answers, persistence holds, the check notices what it is to notice. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PoolStatus, StatusDocument } from '../../src/admin/documents.ts';
import { namespacesOrSkip } from '../peers/namespaces.ts';
import { describeWith, type PeerPackage } from '../peers/processes.ts';
import { type Exercise, exercise } from './exercise.ts';
import { type Ailment, type Layout, NOTICED, type PlanOptions, planRow, type RowPlan } from './plan.ts';
import type { VendorServer } from './servers.ts';
import { converse, echoAndFind } from './speakers.ts';
import { isComplete, type Seen, tableOf, vendorTables } from './table.ts';
import { startVendor, type VendorOptions, type VendorSite } from './vendor-site.ts';

export interface RowsOptions {
  readonly profile: string;
  /** What the servers have at their ports. */
  readonly layout: Layout;
  /** How many addresses the profile needs. */
  readonly addresses: number;
  /** The ports that are tried of VIPs with all ports. */
  readonly sampled?: readonly number[];
  /** Where a pool that only rules reach is. */
  readonly pathOf?: PlanOptions['pathOf'];
  /** Rows whose path is also for WebSockets. */
  readonly webSockets?: readonly string[];
  /** Also with these choices of `gantry init`. */
  readonly also?: Pick<VendorOptions, 'isProtocolAware' | 'endsTls'>;
}

const NEEDED: readonly PeerPackage[] = [
  'iproute2',
  'nftables',
  'procps',
  'nginx-light',
  'dcmtk',
  'python3-hl7',
  'iputils-ping',
];
/** For what many servers have to do on a small machine. */
const PATIENCE_MS = 180_000;
/** Rows at once. */
const AT_ONCE = 4;

export function testRows(options: RowsOptions): void {
  const { profile, also } = options;
  describeWith(NEEDED, profile, () => {
    namespacesOrSkip('as it is', () => testEveryRow(options, {}));
    if (also) namespacesOrSkip(`with ${Object.keys(also).join(' and ')}`, () => testEveryRow(options, also));
  });
}

function testEveryRow(
  { profile, layout, addresses, sampled = [], pathOf = String, webSockets = [] }: RowsOptions,
  choices: NonNullable<RowsOptions['also']>,
): void {
  const rows = vendorTables().get(profile)!;
  const all: Seen[] = rows.map((row) => ({ row }));
  let vendor: VendorSite;
  let plans: readonly RowPlan[];

  beforeAll(async () => {
    const vips = Array.from({ length: addresses }, (_, index) => `10.50.0.${index + 201}`);
    vendor = await startVendor({ profile, layout, vips, ...choices });
    const { configuration } = vendor;
    plans = rows.map((row) => planRow(row, { configuration, rows, layout, sampled, pathOf }));
    for (const [index, { row, vip }] of plans.entries()) {
      if (row.mode === 'dr' && vip.mode !== 'dr') all[index]!.mode = vip.mode;
    }
  }, PATIENCE_MS);
  afterAll(async () => {
    console.log(tableOf([profile, ...Object.keys(choices)].join(', '), all));
    await vendor?.close();
  });

  test('gantry check finds nothing, gantry status shows every server up by its first check', async () => {
    expect(await vendor.gantryCheck()).toBe('');
    await vendor.untilPools(areUp, 'every server to be up');
    const { pools } = await vendor.gantryStatus();
    expect(areUp(pools)).toBe(true);
    expect(pools.every(({ servers }) => servers.length === 2)).toBe(true);
  });

  test(
    'every row: the right pool answers, at its real ports, and persistence is that of the table',
    async () => {
      const before = await vendor.status();
      const spoken = await eachRow(plans, (plan) =>
        exercise(plan, vendor, webSockets.includes(plan.row.name)),
      );
      const isCounted = (after: StatusDocument, plan: RowPlan, { conversations }: Exercise) =>
        workOf(after, plan) - workOf(before, plan) === conversations;
      // What the kernel forwarded is counted now and then.
      const after = await vendor.untilStatus((status) =>
        plans.every((plan) => {
          const seen = spoken.get(plan)!;
          return typeof seen === 'string' || isCounted(status, plan, seen);
        }),
      );
      for (const [index, plan] of plans.entries()) {
        const seen = spoken.get(plan)!;
        if (typeof seen === 'string') continue;
        const { conversations, traffic, persistence } = seen;
        if (isCounted(after, plan, seen)) {
          Object.assign(all[index]!, { traffic: `${conversations} by ${traffic}`, persistence });
        } else {
          const counted = workOf(after, plan) - workOf(before, plan);
          spoken.set(plan, `its pool had ${counted} of ${conversations} conversations`);
        }
      }
      expect(complaints(spoken)).toEqual([]);
    },
    PATIENCE_MS,
  );

  test('every path leads to its own pool', async () => {
    const [client] = vendor.clients;
    const connections = async () => {
      const { pools } = await vendor.status();
      return new Map(pools.map(({ name, servers }) => [name, connectionsOf(servers)]));
    };
    for (const { row, pool, ways } of plans) {
      if (row.mode !== 'backend') continue;
      const before = await connections();
      await converse(client!, ways[0]!, vendor);
      const after = await connections();
      const grown = [...after].filter(([name, count]) => count !== before.get(name)).map(([name]) => name);
      expect(grown).toEqual([pool.name]);
    }
  });

  if (Object.values(layout).includes('archive')) {
    test('archives answer C-ECHO, and find what was stored', async () => {
      for (const way of plans.flatMap(({ ways }) => ways)) {
        if (way.service === 'archive') await echoAndFind(vendor.clients[0]!, way, vendor);
      }
    });
  }

  test(
    'every check notices what it looks at, and nothing else',
    async () => {
      const [sick] = vendor.servers;
      const ills = new Set<Ailment>();
      const fallIll = async (ailment: Ailment, how: () => Promise<void> | void) => {
        await how();
        ills.add(ailment);
        await untilNoticed(`${ailment} to be noticed by those who look at it`, ills);
      };
      await fallIll('http', () => sick.setPages('http', false));
      await fallIll('https', () => sick.setPages('https', false));
      await fallIll('ping', () => sick.setPing(false));
      await fallIll('script', () => vendor.setScript(sick, false));
      await fallIll('process', () => sick.kill());
      for (const { vip } of plans) if (vip.mode === 'dr') await vendor.untilKernelLeavesOut(vip.name);
    },
    PATIENCE_MS,
  );

  /** Waits until the sick server is down where the table's check sees its ills, and up where not; the other is up. */
  const untilNoticed = async (what: string, ills: ReadonlySet<Ailment>) => {
    const [sick] = vendor.servers;
    const isDown = ({ row }: RowPlan) => NOTICED[row.health].some((ailment) => ills.has(ailment));
    const sickOf = (pools: readonly PoolStatus[], { pool }: RowPlan) =>
      pools.find(({ name }) => name === pool.name)!.servers.find(({ address }) => isAt(address, sick))!;
    const { pools } = await vendor.untilPools(
      (found) =>
        plans.every((plan) => sickOf(found, plan).state === (isDown(plan) ? 'down' : 'up')) &&
        found.every(({ servers }) =>
          servers.every(({ address, state }) => isAt(address, sick) || state === 'up'),
        ),
      what,
    );
    for (const [index, plan] of plans.entries()) {
      const { state, reason } = sickOf(pools, plan);
      if (plan.row.health === 'none') all[index]!.check = 'never down';
      else if (state === 'down') all[index]!.check ??= shortened(reason, vendor);
    }
  };

  test(
    'new work of every row goes to the other server',
    async () => {
      const faults = await eachRow(plans, async (plan) => {
        for (const client of vendor.clients.slice(0, 2)) {
          const { server } = await converse(client, plan.ways[0]!, vendor);
          if (server !== 'b') throw new Error(`${server} answered`);
        }
      });
      expect(complaints(faults)).toEqual([]);
    },
    PATIENCE_MS,
  );

  test(
    'the server that comes back is up again in every row',
    async () => {
      const [sick] = vendor.servers;
      for (const scheme of ['http', 'https'] as const) sick.setPages(scheme, true);
      await sick.setPing(true);
      vendor.setScript(sick, true);
      await sick.start();
      await untilNoticed('every server to be up', new Set());
    },
    PATIENCE_MS,
  );

  test(`${rows.length} of ${rows.length} rows, and nothing to warn of but servers`, () => {
    expect(vendor.warnings()).toEqual([]);
    expect(all.filter((one) => !isComplete(one)).map(({ row }) => row.name)).toEqual([]);
  });
}

function areUp(pools: readonly PoolStatus[]): boolean {
  return pools.every(({ servers }) => servers.every(({ state }) => state === 'up'));
}

function isAt(address: string, server: VendorServer): boolean {
  return address.split(':', 1)[0] === server.namespace.address;
}

function shortened(reason: string, { folder }: VendorSite): string {
  return reason.split(';', 1)[0]!.replace(`${folder}/`, '');
}

/** Connections that the row's servers were given so far; of HL7, whose connections to servers are kept, messages. */
function workOf({ vips, pools }: StatusDocument, { vip, pool }: RowPlan): number {
  if (vip.mode !== 'proxy' || vip.protocol === 'hl7') {
    const { totals } = vips.find(({ name }) => name === vip.name)!;
    return totals[vip.protocol === 'hl7' ? 'messages' : 'connections'] ?? 0;
  }
  return connectionsOf(pools.find(({ name }) => name === pool.name)!.servers);
}

function connectionsOf(servers: PoolStatus['servers']): number {
  return servers.reduce((sum, { totals }) => sum + (totals.connections ?? 0), 0);
}

/** Runs `work` for every row, some at once; what each came to: its result, or a sentence. */
async function eachRow<T>(
  plans: readonly RowPlan[],
  work: (plan: RowPlan) => Promise<T>,
): Promise<Map<RowPlan, T | string>> {
  const results = new Map<RowPlan, T | string>();
  const waiting = [...plans];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let plan = waiting.shift(); plan; plan = waiting.shift()) {
        results.set(plan, await work(plan).catch((error: Error) => error.message));
      }
    }),
  );
  return results;
}

function complaints(results: ReadonlyMap<RowPlan, unknown>): string[] {
  return [...results].flatMap(([{ row }, result]) =>
    typeof result === 'string' ? [`${row.ref} ${row.name}: ${result}`] : [],
  );
}
