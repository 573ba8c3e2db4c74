/** What the schema cannot see: whether the parts of a file fit each other. */
import { checkPersistence, checkRules } from './check-rules.ts';
import type { Protocol } from './fact-names.ts';
import { advice, type Fault } from './fault.ts';
import { find, missingPath } from './judge.ts';
import type { File, ListenAddress } from './schema.ts';
import type { Plain, Source } from './source.ts';

export type FileVip = File['vips'][number];
export type FilePool = File['pools'][number];
export type Path = readonly (string | number)[];

/** Gathers faults by their path in the file. */
export class Findings {
  readonly faults: Fault[] = [];
  readonly warnings: Fault[] = [];
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  fault(path: Path, message: string, atKey = false): void {
    this.faults.push(this.#at(path, message, atKey));
  }

  warn(path: Path, message: string): void {
    this.warnings.push(this.#at(path, message, true));
  }

  /** Is there anything at `path`, faulty or not? */
  has(path: Path): boolean {
    return find(this.#source.place, path).found;
  }

  /** Is what stands at `path` one of the faults that the schema took out? */
  faulty(path: Path): boolean {
    let value: Plain | undefined = this.#source.value;
    for (const key of path) value = (value as { [key: string]: Plain } | undefined)?.[key];
    return value === undefined && this.has(path);
  }

  /** The keys written at `path`, those of faulty parts too. */
  keys(path: Path): string[] {
    const { place, found } = find(this.#source.place, path);
    return found ? [...place.record.keys()] : [];
  }

  #at(path: Path, message: string, atKey: boolean): Fault {
    const { place, found } = find(this.#source.place, path);
    if (found) return this.#source.fault(place, message, atKey);
    return { ...this.#source.fault(place, message, true), path: missingPath(place, path) };
  }
}

/** `file` is what the schema left of `source`. */
export function check(file: File, source: Source): { faults: Fault[]; warnings: Fault[] } {
  const findings = new Findings(source);
  for (const vip of file.vips) checkVip(vip, file, findings);
  checkListeners(file, findings);
  for (const pool of file.pools) checkPool(pool, file, findings);
  checkAdmin(file, findings);
  checkShares(file, findings);
  return findings;
}

function checkVip(vip: FileVip, file: File, findings: Findings): void {
  const at = ['vips', vip.name];
  if (vip.protocol === undefined) {
    if (!findings.has([...at, 'protocol']) && !findings.faulty([...at, 'mode'])) {
      findings.fault([...at, 'protocol'], 'is missing: dicom or hl7 would be right');
    }
  } else {
    checkProtocolKeys(vip, vip.protocol, findings);
    checkRules(vip, vip.protocol, findings);
    for (const pool of file.pools.filter((candidate) => reaches(vip, candidate))) {
      if (pool.persistence === undefined) continue;
      checkPersistence(pool.persistence, ['pools', pool.name, 'persistence'], vip.protocol, findings);
    }
  }
  const names = [...new Set([...findings.keys(['pools']), ...file.pools.map((pool) => pool.name)])];
  const reference = (path: Path, name: string | undefined): void => {
    if (name === undefined || names.includes(name)) return;
    findings.fault(path, `there is no pool "${name}": ${advice(name, names)}`);
  };
  reference([...at, 'pool'], vip.pool);
  for (const [index, route] of vip.routes.entries()) reference([...at, 'routes', index, 'pool'], route.pool);
  if (!findings.has([...at, 'pool']) && !findings.has([...at, 'routes'])) {
    findings.fault(at, 'nothing is served here: "pool" or "routes" is needed', true);
  }
}

function reaches(vip: FileVip, pool: FilePool): boolean {
  return vip.pool === pool.name || vip.routes.some((route) => route.pool === pool.name);
}

/** Keys that only the other protocol reads. */
const ONLY: Readonly<Record<Protocol, readonly Path[]>> = {
  dicom: [['dicom'], ['limits'], ['timeouts', 'request'], ['timeouts', 'accept'], ['timeouts', 'release']],
  hl7: [['hl7']],
};

function checkProtocolKeys(vip: FileVip, protocol: Protocol, findings: Findings): void {
  const other: Protocol = protocol === 'dicom' ? 'hl7' : 'dicom';
  for (const key of ONLY[other]) {
    const path = ['vips', vip.name, ...key];
    if (findings.has(path)) findings.fault(path, `is for protocol ${other}; this is ${protocol}`, true);
  }
  const { hl7 } = vip;
  if (hl7 === undefined) return;
  const longest = Math.max(hl7.senderTimeout.default, ...Object.values(hl7.senderTimeout.byApplication));
  if (hl7.ackTimeout !== undefined && hl7.ackTimeout > longest) {
    findings.fault(
      ['vips', vip.name, 'hl7', 'ackTimeout'],
      'is longer than `senderTimeout`, which bounds everything',
    );
  }
  if (hl7.patient.types !== undefined && hl7.patient.repetition !== undefined) {
    findings.fault(
      ['vips', vip.name, 'hl7', 'patient'],
      'has both "types" and "repetition": one of them would be right',
    );
  }
  if (hl7.startBlock === hl7.endBlock && !findings.faulty(['vips', vip.name, 'hl7', 'startBlock'])) {
    findings.fault(['vips', vip.name, 'hl7', 'endBlock'], 'is the same as `startBlock`: they must differ');
  }
}

/** Two listeners may not share an address and a port; the wildcard address is every address. */
function checkListeners(file: File, findings: Findings): void {
  const taken: { address: ListenAddress; owner: string }[] = [];
  const take = (address: ListenAddress, owner: string, path: Path): void => {
    const other = taken.find((listener) => overlap(listener.address, address));
    if (other) {
      const written = other.address.host.includes(':') ? `[${other.address.host}]` : other.address.host;
      findings.fault(
        path,
        `${other.owner} listens on ${written}:${other.address.port} already: a port of its own would be right`,
      );
    }
    taken.push({ address, owner });
  };
  for (const vip of file.vips) {
    const single = !findings.has(['vips', vip.name, 'listen', 0]);
    for (const [index, address] of vip.listen.entries()) {
      take(address, vip.name, ['vips', vip.name, 'listen', ...(single ? [] : [index])]);
    }
  }
  if (file.admin && findings.has(['vips'])) take(file.admin.listen, 'a VIP', ['admin', 'listen']);
}

function overlap(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const [hostA, hostB] = [canonical(a.host), canonical(b.host)];
  if (hostA === hostB || hostA === '[::]' || hostB === '[::]') return true;
  const v4 = (host: string): boolean => !host.startsWith('[');
  return v4(hostA) && v4(hostB) && (hostA === '0.0.0.0' || hostB === '0.0.0.0');
}

/** One spelling for each address, IPv6 in brackets. */
function canonical(host: string): string {
  return host.includes(':') ? new URL(`tcp://[${host.replace(/%.*$/, '')}]`).hostname : host;
}

function checkPool(pool: FilePool, file: File, findings: Findings): void {
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
  if (!file.vips.some((vip) => reaches(vip, pool))) findings.warn(at, 'no VIP uses this pool');
}

function checkAdmin(file: File, findings: Findings): void {
  if (!file.admin || file.admin.token !== undefined || findings.has(['admin', 'token'])) return;
  const { host } = file.admin.listen;
  if (host.startsWith('127.') || canonical(host) === '[::1]') return;
  findings.fault(
    ['admin', 'listen'],
    'needs `token` where others can reach it: 127.0.0.1:9090 would be right without',
  );
}

/** Those that share a table must mean the same table. */
function checkShares(file: File, findings: Findings): void {
  const first = new Map<string, { ttl: number; size: number; owner: string }>();
  for (const [room, entries] of [
    ['vips', file.vips],
    ['pools', file.pools],
  ] as const) {
    for (const { name, persistence } of entries) {
      if (persistence?.share === undefined) continue;
      const other = first.get(persistence.share);
      if (!other) first.set(persistence.share, { ...persistence, owner: `${room}.${name}` });
      else if (other.ttl !== persistence.ttl || other.size !== persistence.size) {
        findings.fault(
          [room, name, 'persistence', 'share'],
          `${other.owner} shares it with another ttl or size: they must be equal`,
        );
      }
    }
  }
}
