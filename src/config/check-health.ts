/** The checks of a pool: do the keys of each belong to it, is what it tracks there? */
import { openMessage } from '../../protocols/hl7/cursor.ts';
import { patternFault } from './check-pattern.ts';
import type { TlsCheck } from './check-tls.ts';
import { advice } from './fault.ts';
import type { File } from './file-schema.ts';
import { type FilePool, type FileVip, type Findings, type Path, reaches } from './findings.ts';
import type { CheckPart } from './health-schema.ts';
import { oneOf } from './scalars.ts';
import { findTracked } from './tracking.ts';

type Kind = CheckPart['check'] | 'all' | 'any' | 'track';

/** Keys that belong to some checks only. */
const ONLY: Readonly<Record<string, readonly Kind[]>> = {
  method: ['http', 'https'],
  path: ['http', 'https'],
  host: ['http', 'https'],
  status: ['http', 'https'],
  body: ['http', 'https'],
  json: ['http', 'https'],
  verify: ['tls', 'https'],
  ca: ['tls', 'https'],
  servername: ['tls', 'https'],
  script: ['script'],
  calling: ['dicom-echo'],
  called: ['dicom-echo'],
  message: ['hl7'],
};

/** Keys that a pool which tracks another has from that one. */
const OF_THE_TRACKED = ['interval', 'timeout', 'rise', 'fall', 'startDown', 'port', 'address'];

export function checkHealth(pool: FilePool, file: File, tls: TlsCheck, findings: Findings): void {
  const at = ['pools', pool.name, 'health'];
  const { health } = pool;
  if (findings.exclusive(at, ['check', 'all', 'any', 'track']).length > 1) return;
  if (health.track === undefined) {
    checkPart(health, at, tls, findings);
    checkPorts(pool, file, findings);
    return;
  }
  belongs('track', at, findings);
  for (const key of OF_THE_TRACKED) {
    if (findings.has([...at, key]))
      findings.fault([...at, key], `is that of pool "${health.track}", which is tracked`, true);
  }
  const names = file.pools.map(({ name }) => name);
  if (!names.includes(health.track) && !findings.has(['pools', health.track])) {
    findings.fault([...at, 'track'], `there is no pool "${health.track}": ${advice(health.track, names)}`);
    return;
  }
  const tracked = findTracked(pool, file.pools);
  if (tracked.fault !== undefined) findings.fault([...at, 'track'], tracked.fault);
}

function checkPart(part: CheckPart, at: Path, tls: TlsCheck, findings: Findings): void {
  if (findings.faulty([...at, 'check'])) return;
  belongs(part.all ? 'all' : part.any ? 'any' : part.check, at, findings);
  if (part.check === 'script' && !findings.has([...at, 'script'])) {
    findings.fault([...at, 'script'], 'is missing: the path of a program would be right');
  }
  if (part.ca !== undefined) tls.authorities(part.ca, [...at, 'ca']);
  const wrong = part.message === undefined ? undefined : messageFault(part.message);
  if (wrong !== undefined) findings.fault([...at, 'message'], wrong);
  if (part.method === 'HEAD' && (part.body !== undefined || part.json.length > 0)) {
    findings.fault([...at, 'method'], 'HEAD has no body to look at: GET would be right');
  }
  checkPatterns(part, at, findings);
  for (const key of ['all', 'any'] as const) {
    for (const [index, inner] of (part[key] ?? []).entries()) {
      const place = [...at, key, index];
      if (findings.exclusive(place, ['check', 'all', 'any']).length > 1) continue;
      if (inner.check === 'none') findings.fault([...place, 'check'], '"none" finds nothing: leave it out');
      checkPart(inner, place, tls, findings);
    }
  }
}

function messageFault(text: string): string | undefined {
  const message = openMessage(Buffer.from(text.replaceAll(/\r?\n/g, '\r')));
  if (message.problem !== undefined)
    return 'is not an HL7 message: one that begins with MSH|^~\\& would be right';
  return message.header(10) === ''
    ? 'has no control id (MSH-10), which its acknowledgement must name'
    : undefined;
}

function checkPatterns({ body, json }: CheckPart, at: Path, findings: Findings): void {
  const wrong = body === undefined ? undefined : patternFault('body', body);
  if (wrong !== undefined) findings.fault([...at, 'body'], wrong);
  for (const { written, patterns } of json) {
    const key = [...at, 'json', written];
    for (const [pattern, place] of findings.items(key, patterns)) {
      const fault = patternFault('json', pattern);
      if (fault !== undefined) findings.fault(place, fault);
    }
  }
}

function belongs(kind: Kind, at: Path, findings: Findings): void {
  for (const key of findings.keys(at)) {
    const kinds = ONLY[key];
    if (!kinds || kinds.includes(kind)) continue;
    const is = kind === 'all' || kind === 'any' || kind === 'track' ? `\`${kind}\`` : `"${kind}"`;
    findings.fault([...at, key], `is for check ${oneOf(kinds)}; this is ${is}`, true);
  }
}

/** A server without a port is checked at the first one that clients come to, and all ports are none. */
function checkPorts(pool: FilePool, { vips, pools }: File, findings: Findings): void {
  const portsOf = (vip: FileVip) => vip.listen.map(({ port }) => port);
  const own = vips.filter((vip) => reaches(vip, pool)).flatMap(portsOf);
  if (own.some((port) => port !== '*' && port !== 0)) return;
  if (pool.servers.every(({ port }) => port !== undefined)) return;
  const followers = pools.filter((one) => isCheckedBy(pool, one, pools));
  const vip = vips.find(
    (one) =>
      one.mode !== 'proxy' &&
      portsOf(one).includes('*') &&
      followers.some((follower) => reaches(one, follower)),
  );
  if (!vip) return;
  for (const path of withoutPort(pool.health, ['pools', pool.name, 'health'], findings)) {
    const message = `is missing: VIP ${vip.name} takes all ports, so nobody knows which to check; a port, or check ping or script, would be right`;
    findings.fault(findings.has(path) ? [...path, 'port'] : path, message);
  }
}

/** Has `one` the results of `pool`, its own or as what it tracks? */
function isCheckedBy(pool: FilePool, one: FilePool, pools: readonly FilePool[]): boolean {
  const tracked = findTracked(one, pools);
  return tracked.fault === undefined && tracked.pool === pool;
}

/** Checks that need a port, and have none. */
function withoutPort(part: CheckPart, at: Path, findings: Findings): Path[] {
  if (findings.has([...at, 'port'])) return [];
  for (const key of ['all', 'any'] as const) {
    const parts = part[key];
    if (parts) return parts.flatMap((inner, index) => withoutPort(inner, [...at, key, index], findings));
  }
  return ['none', 'ping', 'script'].includes(part.check) ? [] : [at];
}
