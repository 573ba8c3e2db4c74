/** What the schema cannot see: whether the parts of a file fit each other. */
import { checkDicom } from './check-dicom.ts';
import { checkSnat } from './check-forwarding.ts';
import { checkHl7, checkQueueFiles, checkSenders } from './check-hl7.ts';
import { checkInterface, checkLayer4 } from './check-layer4.ts';
import { checkListeners } from './check-listeners.ts';
import { checkPool } from './check-pool.ts';
import { checkProtocol } from './check-protocol.ts';
import { checkCookieKeys, checkPersistence, checkPersistenceKeys, checkRules } from './check-rules.ts';
import { checkSource } from './check-source.ts';
import { TlsCheck } from './check-tls.ts';
import type { Protocol } from './fact-names.ts';
import { advice, type Fault } from './fault.ts';
import type { File } from './file-schema.ts';
import { type FileVip, Findings, type Path, reaches } from './findings.ts';
import { isLoopback } from './ip-address.ts';
import { keepsStudies } from './normalise-dicom.ts';
import { limitsOf } from './persistence-schema.ts';
import type { Source } from './source.ts';

export interface CheckOptions {
  /** What paths are relative to. */
  readonly folder: string;
  /** A certificate has expired or not then. */
  readonly now: Date;
}

/** `file` is what the schema left of `source`. */
export function check(
  file: File,
  source: Source,
  { folder, now }: CheckOptions,
): { faults: Fault[]; warnings: Fault[] } {
  const findings = new Findings(source);
  const tls = new TlsCheck(findings, now);
  for (const vip of file.vips) {
    checkVip(vip, file, findings);
    if (vip.mode === 'proxy') tls.vip(vip);
  }
  checkListeners(file, findings);
  checkSnat(file, findings);
  checkQueueFiles(file, folder, findings);
  for (const pool of file.pools) checkPool(pool, file, tls, findings);
  checkAdmin(file, findings);
  checkShares(file, findings);
  return findings;
}

function checkVip(vip: FileVip, file: File, findings: Findings): void {
  const at = ['vips', vip.name];
  if (vip.mode !== 'proxy') {
    checkLayer4(vip, file, findings);
  } else if (vip.protocol === undefined) {
    if (!findings.has([...at, 'protocol']) && !findings.faulty([...at, 'mode'])) {
      findings.fault([...at, 'protocol'], 'is missing: dicom, hl7, http or tcp would be right');
    }
  } else {
    checkProxy(vip, vip.protocol, file, findings);
  }
  checkInterface(vip, findings);
  checkSource(vip, file, findings);
  if (vip.persistence) checkPersistenceKeys(vip.persistence, [...at, 'persistence'], findings);
  const names = [...new Set([...findings.keys(['pools']), ...file.pools.map((pool) => pool.name)])];
  const reference = (path: Path, name: string | undefined): void => {
    if (name === undefined || names.includes(name)) return;
    findings.fault(path, `there is no pool "${name}": ${advice(name, names)}`);
  };
  reference([...at, 'pool'], vip.pool);
  for (const [index, route] of vip.routes.entries()) reference([...at, 'routes', index, 'pool'], route.pool);
  if (vip.mode === 'proxy' && !findings.has([...at, 'pool']) && !findings.has([...at, 'routes'])) {
    findings.fault(at, 'nothing is served here: "pool" or "routes" is needed', true);
  }
}

function checkProxy(vip: FileVip, protocol: Protocol, file: File, findings: Findings): void {
  const at = ['vips', vip.name];
  // Of TLS that is faulty, nobody knows which facts it would have.
  const tls = findings.faulty([...at, 'tls']) ? { clientCa: 'faulty' } : vip.tls;
  const isUnclear = findings.faulty([...at, 'dicom']) || findings.faulty([...at, 'dicom', 'route']);
  const facts = { protocol, tls, route: isUnclear ? 'study' : vip.dicom?.route } as const;
  checkProtocol(vip, protocol, file, findings);
  if (protocol === 'dicom') checkDicom(vip, file, findings);
  checkHl7(vip, findings);
  checkSenders(vip, findings);
  checkRules(vip, facts, findings);
  const pools = file.pools.filter((candidate) => reaches(vip, candidate));
  checkCookieKeys(vip, pools, findings);
  for (const pool of pools) {
    if (pool.persistence === undefined) continue;
    checkPersistence(pool.persistence, ['pools', pool.name, 'persistence'], facts, findings);
  }
}

function checkAdmin(file: File, findings: Findings): void {
  if (!file.admin || file.admin.token !== undefined || findings.has(['admin', 'token'])) return;
  if (isLoopback(file.admin.listen.host)) return;
  findings.fault(
    ['admin', 'listen'],
    'needs `token` where others can reach it: 127.0.0.1:9090 would be right without',
  );
}

/** Those that share a table must mean the same table. */
function checkShares(file: File, findings: Findings): void {
  const first = new Map<string, { limits: ReturnType<typeof limitsOf>; owner: string }>();
  const owners = [
    ...file.vips.map((vip) => ({ ...vip, room: 'vips', isFixed: keepsStudies(vip) })),
    ...file.pools.map((pool) => ({ ...pool, room: 'pools', isFixed: false })),
  ];
  for (const { room, name, persistence, isFixed } of owners) {
    if (persistence?.share === undefined) continue;
    const limits = limitsOf(persistence, isFixed);
    const other = first.get(persistence.share);
    if (!other) first.set(persistence.share, { limits, owner: `${room}.${name}` });
    else if (other.limits.ttl !== limits.ttl || other.limits.size !== limits.size) {
      findings.fault(
        [room, name, 'persistence', 'share'],
        `${other.owner} shares it with another ttl or size: they must be equal`,
      );
    }
  }
}
