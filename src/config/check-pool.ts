/** One pool: do its servers, its mode and its checks fit each other? */
import { checkHealth } from './check-health.ts';
import { checkPersistenceKeys } from './check-rules.ts';
import type { TlsCheck } from './check-tls.ts';
import type { File } from './file-schema.ts';
import { type FilePool, type Findings, reaches } from './findings.ts';

export function checkPool(pool: FilePool, file: File, tls: TlsCheck, findings: Findings): void {
  const at = ['pools', pool.name];
  const seen = new Map<string, number>();
  for (const [index, server] of pool.servers.entries()) {
    const first = seen.get(server.name);
    if (first !== undefined) {
      const named = findings.has([...at, 'servers', index, 'name']) ? ['name'] : [];
      findings.fault(
        [...at, 'servers', index, ...named],
        `"${server.name}" is servers[${first + 1}] already: names are unique in a pool`,
      );
    } else {
      seen.set(server.name, index);
    }
  }
  if (pool.failBack && pool.mode !== 'single-active' && !findings.faulty([...at, 'mode'])) {
    findings.fault([...at, 'failBack'], 'is for `mode: single-active`', true);
  }
  if (pool.persistence) {
    checkPersistenceKeys(pool.persistence, [...at, 'persistence'], findings);
    if (pool.mode === 'single-active' && pool.persistence.by.some((name) => name !== 'none')) {
      findings.warn([...at, 'persistence'], 'changes nothing: one server of this pool has all the work');
    }
  }
  tls.pool(pool);
  checkHealth(pool, file, tls, findings);
  if (!file.vips.some((vip) => reaches(vip, pool))) findings.warn(at, 'no VIP uses this pool');
}
