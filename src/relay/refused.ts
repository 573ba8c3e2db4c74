/** Says that a connection was turned away at the entrance: once a minute for each address, however often it comes. */
import { notice } from '../observe/events.ts';
import type { Deadlines } from './deadlines.ts';

const QUIET_MS = 60_000;
/** Addresses remembered, of all VIPs together; beyond that nothing more is said. */
const ADDRESSES = 1000;

const quiet = new WeakMap<Deadlines, Map<string, number>>();

export function noticeRefused(
  { vip, deadlines }: { readonly vip: string; readonly deadlines: Deadlines },
  client: string,
  reason: string,
): void {
  const known = quiet.get(deadlines) ?? new Map<string, number>();
  quiet.set(deadlines, known);
  const key = `${vip} ${client}`;
  const count = known.get(key);
  if (count === undefined && known.size >= ADDRESSES) return;
  known.set(key, (count ?? 0) + 1);
  if (count !== undefined) return;
  notice('warn', 'a connection was turned away', { vip, client, reason });
  deadlines.after(QUIET_MS, () => {
    const more = (known.get(key) ?? 1) - 1;
    known.delete(key);
    if (more > 0) notice('warn', 'more connections were turned away', { vip, client, count: more });
  });
}
