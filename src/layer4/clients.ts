/** The clients that persistence remembers, in the kernel. */
import { isIP } from 'node:net';
import { canonicalAddress } from '../ip-address.ts';
import { written } from './names.ts';
import { Missing, type Nft } from './nft.ts';
import type { Plan } from './plan.ts';
import { stickyMap } from './ruleset.ts';
import type { PersistenceEntry } from './service.ts';
import { ElementReader } from './tables.ts';

export async function rememberedClients(nft: Nft, plan: Plan): Promise<readonly PersistenceEntry[]> {
  const map = mapOf(plan);
  if (map === undefined) return [];
  const servers = new Map(plan.servers.map((server) => [server.mark, server.name]));
  const entries: PersistenceEntry[] = [];
  const { push: onOutput } = new ElementReader(({ key, value, expires }) => {
    const server = servers.get(Number(value));
    if (server !== undefined) entries.push({ key, server, expires: expires ?? 0 });
  });
  await nft.maps([map], onOutput);
  return entries;
}

/** Clients that are forgotten in one transaction. */
const AT_ONCE = 1000;

/**
 * Forgets clients, and says how many of them were there. `inOrder`: takes its turn among other changes, which do not wait
 * for all of them.
 */
export async function forgetClients(
  nft: Nft,
  plan: Plan,
  keys: readonly string[],
  inOrder: (change: () => Promise<number>) => Promise<number>,
): Promise<number> {
  const map = mapOf(plan);
  if (map === undefined) return 0;
  const addresses = keys.filter((key) => isIP(key) !== 0 && !key.includes('%')).map(canonicalAddress);
  let cleared = 0;
  for (let at = 0; at < addresses.length; at += AT_ONCE) {
    const some = addresses.slice(at, at + AT_ONCE);
    cleared += await inOrder(() => forget(nft, map, some));
  }
  return cleared;
}

/** One that has lapsed meanwhile is no element any more, and fails the whole transaction: the rest goes in halves. */
async function forget(nft: Nft, map: string, keys: readonly string[]): Promise<number> {
  try {
    await nft.change([`delete element ${map} { ${keys.join(', ')} }`]);
    return keys.length;
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    if (keys.length === 1) return 0;
    const half = keys.length >> 1;
    return (await forget(nft, map, keys.slice(0, half))) + (await forget(nft, map, keys.slice(half)));
  }
}

function mapOf(plan: Plan): string | undefined {
  const sticky = stickyMap(plan);
  return sticky && `${written(plan.table)} ${sticky}`;
}
