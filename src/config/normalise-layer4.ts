/** What VIPs with `mode: dr`, `nat` or `snat` have of their own. */
import type { File } from './file-schema.ts';
import type { FileVip } from './findings.ts';
import { persistenceOf } from './normalise-pool.ts';
import type { Layer4Vip } from './schema.ts';
import { closest } from './timeouts-schema.ts';

/** Milliseconds: interface engines keep connections on which nothing is said all night. */
const TIMEOUTS = { idle: 24 * 3_600_000 };

/** A list of one; none of a VIP that names no pool, which is a fault. */
export function normaliseLayer4(vip: FileVip, file: File): Layer4Vip[] {
  const { name, mode, listen, pool, persistence, source } = vip;
  if (mode === 'proxy' || pool === undefined) return [];
  return [
    {
      name,
      mode,
      protocol: null,
      listen,
      interfaces: vip.interface ?? [],
      routes: [],
      pool,
      persistence: persistence && persistenceOf(persistence, false),
      source,
      idle: closest(TIMEOUTS, file.timeouts, vip.timeouts).idle,
    },
  ];
}
