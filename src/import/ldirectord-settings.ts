/** What a `virtual` says of its checks, its scheduler and its persistence. */
import { durationText, filled, type Tree } from './draft.ts';
import { netmaskOf } from './haproxy-persistence.ts';
import { isExpression, numberOf } from './haproxy-values.ts';
import { judgeCommon, type Setting, settingFor, type Virtual } from './ldirectord-lines.ts';
import { type Ledger, Loss } from './losses.ts';

const BALANCES: Readonly<Record<string, string>> = {
  rr: 'round-robin',
  wrr: 'round-robin',
  lc: 'least-busy',
  wlc: 'least-busy',
  sed: 'least-busy',
  nq: 'least-busy',
  sh: 'hash',
  mh: 'hash',
  fo: 'first',
  ovf: 'first',
};
/** Schedulers that look at weights; the others take all servers for equal. */
const WEIGHTED = /^(?:wrr|wlc|sed|nq|mh|sh|fo|ovf)$/;

/** LVS's own default is wrr. */
export function spreadOf(virtual: Virtual, ledger: Ledger): { balance: string; isWeighted: boolean } {
  const setting = settingFor(virtual, 'scheduler');
  const name = setting?.value ?? 'wrr';
  const balance = Object.hasOwn(BALANCES, name) ? BALANCES[name]! : 'round-robin';
  if (setting && !Object.hasOwn(BALANCES, name))
    ledger.changed(
      setting.line,
      'there is no balance like it, which goes by the address that is asked for: it is `round-robin` now',
    );
  else if (setting) ledger.take(setting.line);
  return { balance, isWeighted: WEIGHTED.test(name) };
}

export function persistenceOf(virtual: Virtual, ledger: Ledger): Tree | undefined {
  const persistent = settingFor(virtual, 'persistent');
  const netmask = settingFor(virtual, 'netmask');
  if (!persistent) {
    if (netmask) ledger.idle(netmask.line, 'nothing is persistent here');
    return undefined;
  }
  const ttl = attempt(persistent, ledger, (value) => durationText(numberOf(value, 1, 99_999_999) * 1000));
  if (ttl === undefined) return undefined;
  const mask = netmask && attempt(netmask, ledger, netmaskOf);
  return { by: 'source-ip', ttl, netmask: mask };
}

/** Reads a value; what is wrong with it is told of. */
function attempt<T>({ line, value }: Setting, ledger: Ledger, read: (value: string) => T): T | undefined {
  try {
    const result = read(value);
    ledger.take(line);
    return result;
  } catch (error) {
    if (!(error instanceof Loss)) throw error;
    ledger.lost(line, error.message);
    return undefined;
  }
}

/** Well-known ports whose service is checked by its own protocol unless something else is said. */
const SERVICE_OF_PORT: Readonly<Record<number, string>> = { 80: 'http', 443: 'https' };
/** Settings that only some checks read. */
const OF_CHECKS =
  /^(?:checktype|service|checkcommand|checkport|request|receive|httpmethod|virtualhost|login|passwd|database|secret|load|checktimeout|negotiatetimeout|checkinterval|failurecount|checkcount|monitorfile)$/;

export function healthOf(virtual: Virtual, ledger: Ledger): Tree | undefined {
  const value = (key: string) => settingFor(virtual, key)?.value;
  const check = checkOf(virtual, ledger);
  const isNegotiated = check.check === 'http' || check.check === 'https';
  const seconds = (key: string, least = 1) => {
    const setting = settingFor(virtual, key);
    return setting && attempt(setting, ledger, (written) => numberOf(written, least, 86_400));
  };
  const [connectTime, negotiateTime] = [seconds('checktimeout'), seconds('negotiatetimeout')];
  const timeout = isNegotiated ? (negotiateTime ?? connectTime ?? 30) : (connectTime ?? negotiateTime ?? 5);
  const checkPort = settingFor(virtual, 'checkport');
  const port = checkPort && attempt(checkPort, ledger, (written) => numberOf(written, 1, 65_535));
  const health = {
    ...check,
    // A server of mode dr has no port of its own.
    port: check.check === 'none' || check.check === 'ping' ? undefined : (port ?? virtual.port),
    interval: check.check === 'none' ? undefined : durationText((seconds('checkinterval') ?? 10) * 1000),
    timeout: check.check === 'none' ? undefined : durationText(timeout * 1000),
    rise: check.check === 'none' ? undefined : 1,
    fall: check.check === 'none' ? undefined : (seconds('failurecount') ?? 1),
  };
  judgeRest(virtual, ledger);
  if (value('checktype') === 'off') return filled({ check: 'none' });
  return filled(health);
}

interface Check {
  readonly check: string;
  readonly [key: string]: Tree[string];
}

function checkOf(virtual: Virtual, ledger: Ledger): Check {
  const setting = settingFor(virtual, 'checktype');
  const type = setting?.value ?? 'negotiate';
  if (setting) ledger.take(setting.line);
  if (type === 'on') return { check: 'none' };
  if (type === 'off')
    throw new Loss(
      '`checktype=off` serves nothing: leave it out, or `checktype=on` if servers are to be up without a check',
    );
  if (type === 'connect' || type === 'ping') return { check: type };
  if (type === 'external' || type === 'external-perl') {
    const command = settingFor(virtual, 'checkcommand');
    if (command) ledger.take(command.line);
    return { check: 'script', script: command?.value ?? '/bin/true' };
  }
  if (/^\d+$/.test(type)) ledger.changed(setting!.line, `each check asks, not every ${Number(type) + 1}th`);
  else if (type !== 'negotiate') {
    ledger.lost(setting!.line, `"${type}" is no type of check: the connection is checked`);
    return { check: 'connect' };
  }
  return negotiateOf(virtual, ledger);
}

function negotiateOf(virtual: Virtual, ledger: Ledger): Check {
  const setting = settingFor(virtual, 'service');
  const service = setting?.value ?? SERVICE_OF_PORT[virtual.port] ?? 'none';
  if (service === 'none') {
    if (setting) ledger.take(setting.line);
    return { check: 'connect' };
  }
  if (service !== 'http' && service !== 'https') {
    if (setting)
      ledger.lost(
        setting.line,
        'the connection is all that is checked: `check: script` runs a program that speaks more',
      );
    return { check: 'connect' };
  }
  if (setting) ledger.take(setting.line);
  const request = settingFor(virtual, 'request');
  const receive = settingFor(virtual, 'receive');
  const method = settingFor(virtual, 'httpmethod');
  const host = settingFor(virtual, 'virtualhost');
  const path = request && attempt(request, ledger, pathOf);
  const body = receive && attempt(receive, ledger, expressionOf);
  const isHead = method?.value.toUpperCase() === 'HEAD' && body === undefined;
  if (method) ledger.take(method.line);
  return {
    check: service,
    method: isHead ? 'HEAD' : undefined,
    path,
    body,
    host: host && attempt(host, ledger, hostOf),
    // ldirectord believes every certificate, and takes every 2xx for good.
    verify: service === 'https' ? false : undefined,
    status: '200-299',
  };
}

function pathOf(written: string): string {
  const path = written.startsWith('/') ? written : `/${written}`;
  if (/^\/[\x21-\x7e]*$/.test(path) && !path.includes('#') && !/^https?:/i.test(written)) return path;
  throw new Loss('a check asks for a path of the server itself, such as /health');
}

function expressionOf(written: string): string | undefined {
  if (written === '') return undefined;
  if (isExpression(written)) return `/${written}/`;
  throw new Loss('it is no regular expression of JavaScript: write it in that dialect into `health.body`');
}

function hostOf(written: string): string {
  if (/^[\w.~:[\]-]+$/.test(written)) return written;
  throw new Loss('it is no name of a host');
}

/** What nobody read. */
function judgeRest({ settings }: Virtual, ledger: Ledger): void {
  for (const setting of settings) {
    const { line, key } = setting;
    if (key === 'servicename') ledger.take(line);
    if (key === 'comment') ledger.idle(line, 'it is for people');
    if (key === 'ops') ledger.idle(line, 'it is for UDP');
    if (key === 'schedflags') ledger.lost(line, 'a hash is the same on each balancer by itself');
    if (judgeCommon(setting, ledger) || ledger.isJudged(line)) continue;
    if (key === 'checkcount') ledger.changed(line, 'so many failures take a server down: write it as `fall`');
    else if (OF_CHECKS.test(key)) ledger.idle(line, 'the check that there is does not read it');
  }
}
