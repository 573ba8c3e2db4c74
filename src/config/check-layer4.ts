/** A VIP with `mode: dr`, `nat` or `snat`: keys that only a proxy reads. */
import type { FileVip, Findings } from './findings.ts';

export function checkLayer4({ name, mode, pool }: FileVip, findings: Findings): void {
  if (pool === undefined)
    findings.fault(['vips', name, 'pool'], `is missing: mode ${mode} has no other way to servers`);
}
