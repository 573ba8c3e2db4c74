/** Rules and persistence keys: do they name facts that the protocol has, and patterns that can be read? */
import type { FileVip, Findings, Path } from './check.ts';
import { factFault, type Protocol, REJECT_NAMES } from './fact-names.ts';
import { advice } from './fault.ts';
import { isNetwork } from './scalars.ts';
import type { PersistenceConfiguration, When } from './schema.ts';

export function checkRules(vip: FileVip, protocol: Protocol, findings: Findings): void {
  for (const [index, route] of vip.routes.entries()) {
    const at = ['vips', vip.name, 'routes', index];
    checkWhen(route.when, [...at, 'when'], protocol, findings);
    checkDestination(vip, index, protocol, findings);
    if (protocol === 'dicom' && route.onAmbiguous !== undefined) {
      findings.fault([...at, 'onAmbiguous'], 'is for protocol hl7; this is dicom', true);
    }
  }
  if (vip.persistence)
    checkPersistence(vip.persistence, ['vips', vip.name, 'persistence'], protocol, findings);
}

function checkDestination(vip: FileVip, index: number, protocol: Protocol, findings: Findings): void {
  const route = vip.routes[index]!;
  const at = ['vips', vip.name, 'routes', index];
  const hasPool = findings.has([...at, 'pool']);
  if (route.reject !== undefined) {
    const names = REJECT_NAMES[protocol];
    if (!names.includes(route.reject)) {
      findings.fault(
        [...at, 'reject'],
        `"${route.reject}" is not a rejection of protocol ${protocol}: ${advice(route.reject, names)}`,
      );
    }
    if (hasPool) findings.fault(at, 'has both "pool" and "reject": one of them would be right');
    return;
  }
  const elsewhere = ['reject', 'redirect', 'respond'].some((key) => findings.has([...at, key]));
  if (!hasPool && !elsewhere && !findings.has(['vips', vip.name, 'pool'])) {
    findings.fault(at, 'goes nowhere: "pool" or "reject" is needed, or a "pool" for the whole VIP');
  }
}

function checkWhen(when: When, at: Path, protocol: Protocol, findings: Findings): void {
  const empty = when.facts.length === 0 && !when.not && !when.any;
  if (empty && findings.has(at) && findings.keys(at).length === 0) {
    findings.fault(at, 'asks for nothing: name a fact, or leave the rule out and use the VIP\'s "pool"');
  }
  for (const { name, patterns } of when.facts) {
    const fault = factFault(name, protocol);
    if (fault !== undefined) findings.fault([...at, name], fault, true);
    const single = !findings.has([...at, name, 0]);
    for (const [index, pattern] of patterns.entries()) {
      const wrong = patternFault(name, pattern);
      if (wrong !== undefined) findings.fault([...at, name, ...(single ? [] : [index])], wrong);
    }
  }
  if (when.not) checkWhen(when.not, [...at, 'not'], protocol, findings);
  for (const [index, inner] of (when.any ?? []).entries())
    checkWhen(inner, [...at, 'any', index], protocol, findings);
}

function patternFault(name: string, pattern: string): string | undefined {
  if (pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/')) {
    try {
      new RegExp(pattern.slice(1, -1));
      return undefined;
    } catch (error) {
      return `is not a regular expression: ${(error as Error).message}`;
    }
  }
  if (name === 'client' && !pattern.includes('*') && !isNetwork(pattern)) {
    return `"${pattern}" is not a network: 10.1.0.0/16, an address, or a pattern with * would be right`;
  }
  return undefined;
}

export function checkPersistence(
  persistence: PersistenceConfiguration,
  at: Path,
  protocol: Protocol,
  findings: Findings,
): void {
  const by = findings.has([...at, 'by']) ? [...at, 'by'] : at;
  const listed = findings.has([...by, 0]);
  for (const [index, name] of persistence.by.entries()) {
    const path = listed ? [...by, index] : by;
    if (name === 'cookie') findings.fault(path, '"cookie" needs protocol http, which is not built yet');
    else if (name !== 'source-ip') {
      const fault = factFault(name, protocol);
      if (fault !== undefined) findings.fault(path, `"${name}" ${fault}`);
    }
  }
  if (persistence.netmask !== undefined && !persistence.by.includes('source-ip')) {
    findings.fault([...at, 'netmask'], 'is for `by: source-ip`', true);
  }
}
