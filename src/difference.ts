/** What differs between two configurations: starting is the difference from nothing. */
import { isDeepStrictEqual } from 'node:util';
import { poolNamesOf, vipsAskedForOrders } from './assemble.ts';
import {
  type Configuration,
  isProxy,
  type PoolConfiguration,
  type ProxyVip,
  type VipConfiguration,
} from './config/schema.ts';

export interface Change {
  readonly kind: 'vip' | 'pool' | 'admin' | 'log' | 'table' | 'timeouts' | 'probe';
  /** Of a VIP or pool; otherwise the kind again. */
  readonly name: string;
  readonly what: 'added' | 'changed' | 'removed';
  /** The running balancer goes on as before: it takes effect at the next start. */
  readonly nextStart?: true;
}

/** In the order of the configuration, what was removed last. */
export function differenceOf(before: Configuration | undefined, after: Configuration): Change[] {
  const changes: Change[] = [
    ...namedChanges('vip', before?.vips ?? [], after.vips),
    ...namedChanges('pool', before?.pools ?? [], after.pools),
  ];
  if (!before) return changes;
  for (const kind of ['admin', 'probe'] as const) {
    if (isDeepStrictEqual(before[kind], after[kind])) continue;
    const what = !before[kind] ? 'added' : !after[kind] ? 'removed' : 'changed';
    changes.push({ kind, name: kind, what });
  }
  if (before.drain !== after.drain) changes.push({ kind: 'timeouts', name: 'timeouts', what: 'changed' });
  for (const kind of ['log', 'table'] as const) {
    if (!isDeepStrictEqual(before[kind], after[kind]))
      changes.push({ kind, name: kind, what: 'changed', nextStart: true });
  }
  return changes;
}

type Named = VipConfiguration | PoolConfiguration;

function namedChanges(kind: 'vip' | 'pool', before: readonly Named[], after: readonly Named[]): Change[] {
  const earlier = new Map(before.map((one) => [one.name, one]));
  const wanted = new Set(after.map(({ name }) => name));
  const changes = after.flatMap((one): Change[] => {
    const old = earlier.get(one.name);
    if (old && isDeepStrictEqual(old, one)) return [];
    return [{ kind, name: one.name, what: old ? 'changed' : 'added' }];
  });
  const removed = before.filter(({ name }) => !wanted.has(name));
  return [...changes, ...removed.map(({ name }): Change => ({ kind, name, what: 'removed' }))];
}

/**
 * The VIPs for which something is different: they themselves, a pool that they reach, or whether others ask for the
 * orders that come to them.
 */
export function touchedVips(
  changes: readonly Change[],
  before: Configuration | undefined,
  after: Configuration,
): ProxyVip[] {
  const named = (kind: Change['kind']) =>
    new Set(changes.filter((change) => change.kind === kind).map(({ name }) => name));
  const [changedVips, changedPools] = [named('vip'), named('pool')];
  const asked = vipsAskedForOrders(after);
  const askedBefore = before ? vipsAskedForOrders(before) : asked;
  return after.vips
    .filter(isProxy)
    .filter(
      (vip) =>
        changedVips.has(vip.name) ||
        [...poolNamesOf(vip)].some((name) => changedPools.has(name)) ||
        asked.has(vip.name) !== askedBefore.has(vip.name),
    );
}
