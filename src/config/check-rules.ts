/** Rules and persistence keys: do they name facts that the protocol has, and patterns that can be read? */
import { checkActions, DESTINATIONS } from './check-actions.ts';
import { patternFault } from './check-pattern.ts';
import { type FactSource, factFault, type Protocol, rejectFault } from './fact-names.ts';
import type { FilePool, FileVip, Findings, Path } from './findings.ts';
import type { FilePersistence } from './persistence-schema.ts';
import type { When } from './vip-schema.ts';

/** Of connections that are looked into. */
type ProxyFacts = FactSource & { readonly protocol: Protocol };

export function checkRules(vip: FileVip, facts: ProxyFacts, findings: Findings): void {
  for (const [index, route] of vip.routes.entries()) {
    const at = ['vips', vip.name, 'routes', index];
    checkWhen(route.when, [...at, 'when'], facts, findings);
    checkDestination(vip, index, facts, findings);
    checkActions(route, at, facts.protocol, findings);
    if (facts.protocol !== 'hl7' && route.onAmbiguous !== undefined) {
      findings.fault([...at, 'onAmbiguous'], `is for protocol hl7; this is ${facts.protocol}`, true);
    } else if (route.onAmbiguous !== undefined && route.reject !== undefined) {
      findings.fault(
        [...at, 'onAmbiguous'],
        'is of no use beside "reject": it is for what a server gets',
        true,
      );
    }
  }
  if (vip.persistence) checkPersistence(vip.persistence, ['vips', vip.name, 'persistence'], facts, findings);
}

function checkDestination(vip: FileVip, index: number, { protocol }: ProxyFacts, findings: Findings): void {
  const { reject } = vip.routes[index]!;
  const at = ['vips', vip.name, 'routes', index];
  const fault = reject === undefined ? undefined : rejectFault(reject, protocol);
  if (fault !== undefined) findings.fault([...at, 'reject'], fault);
  const written = findings.exclusive(at, DESTINATIONS);
  if (written.length === 0 && !findings.has(['vips', vip.name, 'pool'])) {
    findings.fault(at, 'goes nowhere: "pool" or "reject" is needed, or a "pool" for the whole VIP');
  }
}

function checkWhen(when: When, at: Path, facts: FactSource, findings: Findings): void {
  const empty = when.facts.length === 0 && !when.not && !when.any;
  if (empty && findings.has(at) && findings.keys(at).length === 0) {
    findings.fault(at, 'asks for nothing: name a fact, or leave the rule out and use the VIP\'s "pool"');
  }
  for (const { name, patterns } of when.facts) {
    const fault = factFault(name, facts);
    if (fault !== undefined) findings.fault([...at, name], fault, true);
    for (const [pattern, place] of findings.items([...at, name], patterns)) {
      const wrong = patternFault(name, pattern);
      if (wrong !== undefined) findings.fault(place, wrong);
      if (name === 'path' && /^\/.*[\^$\\+|(].*\/$/.test(pattern)) {
        findings.warn(place, 'is taken as it is: a regular expression for `path` begins with "~"');
      }
    }
  }
  if (when.not) checkWhen(when.not, [...at, 'not'], facts, findings);
  for (const [index, inner] of (when.any ?? []).entries())
    checkWhen(inner, [...at, 'any', index], facts, findings);
}

export function checkPersistence(
  persistence: FilePersistence,
  at: Path,
  facts: FactSource,
  findings: Findings,
): void {
  const by = findings.has([...at, 'by']) ? [...at, 'by'] : at;
  for (const [name, path] of findings.items(by, persistence.by)) {
    if (name === 'none' || name === 'source-ip') continue;
    const fault = name === 'cookie' ? cookieFault(facts) : factFault(name, facts);
    if (fault !== undefined) findings.fault(path, `"${name}" ${fault}`);
  }
}

function cookieFault({ protocol }: FactSource): string | undefined {
  return protocol === 'http'
    ? undefined
    : `is for protocol http: ${protocol} has no cookies, so source-ip would be right`;
}

/** A VIP signs all its cookies with one key. */
export function checkCookieKeys(vip: FileVip, pools: readonly FilePool[], findings: Findings): void {
  const keyed = [
    { at: ['vips', vip.name], persistence: vip.persistence },
    ...pools.map(({ name, persistence }) => ({ at: ['pools', name], persistence })),
  ].filter(({ persistence }) => persistence?.key !== undefined);
  const [first, ...others] = keyed;
  for (const { at, persistence } of others) {
    if (persistence?.key === first?.persistence?.key) continue;
    const owner = first!.at.join('.');
    findings.fault(
      [...at, 'persistence', 'key'],
      `is not that of ${owner}: VIP ${vip.name} has one key for all its cookies`,
    );
  }
}

/** Whatever protocol it is for: do its keys belong together? */
export function checkPersistenceKeys(
  { by, share, key }: FilePersistence,
  at: Path,
  findings: Findings,
): void {
  const only = (key: string, name: string) => {
    if (findings.has([...at, key]) && !by.includes(name)) {
      findings.fault([...at, key], `is for \`by: ${name}\``, true);
    }
  };
  only('netmask', 'source-ip');
  only('name', 'cookie');
  only('key', 'cookie');
  if (key !== undefined && key.length < 16) {
    findings.fault([...at, 'key'], 'is too short to keep anybody from guessing it: 16 characters at least');
  }
  if (by.includes('none') && by.length > 1) {
    findings.fault([...at, 'by'], 'has "none" among others: "none" alone would be right, or the others');
  }
  if (share !== undefined && by.every((name) => name === 'cookie' || name === 'none')) {
    findings.fault([...at, 'share'], 'shares nothing: a cookie is kept by the client, not in a table', true);
  }
}
