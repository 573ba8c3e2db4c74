/** What the kernel has of ours, and plans that go on from there: servers keep their marks. */
import { GantryError } from '../errors.ts';
import type { Family } from './families.ts';
import { placeOf } from './judge.ts';
import { Marks } from './marks.ts';
import { COMMENT, PREFIX, tableOf, written } from './names.ts';
import type { Nft } from './nft.ts';
import type { Lifetimes, Placed, Plan } from './plan.ts';
import type { RunProgram } from './programs.ts';
import { deviceTo, requireForwarding, requireInterfaces, requireOwnAddress } from './routes.ts';
import type { Service } from './service.ts';
import { ElementReader, type KernelTable, readTables } from './tables.ts';

/** Tables whose names are like ours. */
export async function heldTables(nft: Nft): Promise<KernelTable[]> {
  return readTables(await nft.ruleset()).filter(({ name }) => PREFIX.test(name));
}

export function isOurs({ comment }: KernelTable): boolean {
  return comment !== undefined && /^gantry \d+$/.test(comment);
}

export interface PlanOptions {
  readonly wanted: readonly { readonly service: Service; readonly family: Family }[];
  readonly held: readonly KernelTable[];
  /** The interfaces that there are. */
  readonly there: ReadonlyMap<string, number>;
  readonly nft: Nft;
  readonly run: RunProgram;
  readonly lifetimes: Lifetimes;
  /** Of a mark that the kernel has. */
  readonly mayHaveFlows: (mark: number) => boolean;
}

/** Rejects with GTY_LAYER4 when a service cannot be had on this machine. Changes nothing. */
export async function planAll(options: PlanOptions): Promise<Plan[]> {
  const { wanted, held, there, nft, run, lifetimes, mayHaveFlows } = options;
  const tables = new Map(held.map((table) => [written(table), table]));
  for (const { service, family } of wanted) {
    const { name } = tableOf(service, family);
    const foreign = held.find((table) => table.name === name && !isOurs(table));
    if (foreign) throw new GantryError('GTY_LAYER4', foreignTable(foreign, service));
  }
  const known = await marksOf(nft, held.filter(isOurs));
  const marks = new Marks([...known.values()].flatMap((places) => [...places.values()]));
  // VIPs mostly have the same servers.
  const devices = new Map<string, Promise<string>>();
  const deviceOf = (address: string, service: Service) => {
    const device = devices.get(address) ?? deviceTo(run, address, service);
    devices.set(address, device);
    return device;
  };
  const plans: Plan[] = [];
  for (const { service, family } of wanted) {
    if (service.mode === 'dr') requireInterfaces(service, there);
    else await requireForwarding(run, family.ip, service);
    await requireOwnAddress(run, service);
    const table = tableOf(service, family);
    const before = tables.get(written(table));
    const places = (before?.comment === COMMENT && known.get(written(table))) || new Map<string, number>();
    const plan = { service, family, table, interfaces: [], servers: [], lifetimes, turn: 0 };
    plans.push(await planned(plan, { places, marks, deviceOf, mayHaveFlows }));
  }
  return plans;
}

function foreignTable({ family, name }: KernelTable, service: Service): string {
  return `VIP "${service.name}": there is a table "${family} ${name}" that Gantry did not make: remove it (nft delete table ${family} ${name}) or give the VIP another name`;
}

/** Table → where a server is → its mark. */
async function marksOf(nft: Nft, tables: readonly KernelTable[]): Promise<Map<string, Map<string, number>>> {
  const marks = new Map(tables.map((table) => [written(table), new Map<string, number>()]));
  const { push: onOutput } = new ElementReader(({ family, table, key, value }) => {
    marks.get(`${family} ${table}`)?.set(value, Number(key));
  });
  const maps = tables.flatMap((table) => {
    return table.sets
      .filter(({ name }) => name === 'addresses' || name === 'endpoints')
      .map(({ name }) => `${written(table)} ${name}`);
  });
  await nft.maps(maps, onOutput);
  return marks;
}

interface Means {
  readonly places: ReadonlyMap<string, number>;
  readonly marks: Marks;
  /** The interface by which a server is reached. */
  readonly deviceOf: (address: string, service: Service) => Promise<string>;
  readonly mayHaveFlows: (mark: number) => boolean;
}

async function planned(plan: Plan, means: Means): Promise<Plan> {
  const { service } = plan;
  const { places, marks, deviceOf } = means;
  const isDirect = service.mode === 'dr';
  const servers: Placed[] = [];
  for (const target of service.servers) {
    const device = isDirect ? await deviceOf(target.address, service) : undefined;
    const mark = places.get(placeOf(service, target)) ?? marks.take();
    servers.push({ ...target, mark, device, hasLeft: false });
  }
  servers.push(...(await leftServers(plan, servers, means)));
  const devices = new Set(servers.flatMap(({ device }) => device ?? []));
  const interfaces = service.interfaces.length > 0 ? service.interfaces : [...devices];
  return { ...plan, servers, interfaces };
}

/** Servers that the service no longer has, but the kernel: as long as flows may belong to them. */
async function leftServers(plan: Plan, servers: readonly Placed[], means: Means): Promise<Placed[]> {
  const { places, deviceOf, mayHaveFlows } = means;
  const staying = new Set(servers.map(({ mark }) => mark));
  const left = [...places].filter(([, mark]) => !staying.has(mark));
  const placed = left
    .filter(([, mark]) => mayHaveFlows(mark))
    .map(async ([place, mark]): Promise<Placed[]> => {
      const [address = '', port] = place.split(' . ');
      const { service } = plan;
      // One that cannot be reached any more is of no use to its flows.
      const device =
        service.mode === 'dr' ? await deviceOf(address, service).catch(() => undefined) : undefined;
      if (service.mode === 'dr' && device === undefined) return [];
      const target = { name: place, address, port: port === undefined ? undefined : Number(port) };
      return [{ ...target, weight: 0, duty: 'flows', mark, device, hasLeft: true }];
    });
  return (await Promise.all(placed)).flat();
}
