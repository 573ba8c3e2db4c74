/** `check`, `option httpchk` and their kin → `health` of a pool (HAProxy's manual, 4.2 and 5.2). */
import { durationText, type Tree } from './draft.ts';
import { type Directive, keyOf, lastOf, type Section } from './haproxy-sections.ts';
import type { Server, Settings } from './haproxy-server.ts';
import { isExpression, timeOf } from './haproxy-values.ts';
import { type Ledger, Loss } from './losses.ts';

/** HAProxy's own: two seconds from check to check. */
const INTERVAL_MS = 2000;

export interface HealthOptions {
  readonly ledger: Ledger;
  /** The name of a pool, by that of its backend. */
  readonly poolOf: (backend: string) => string | undefined;
}

/** `servers` has at least one. */
export function healthOf(section: Section, servers: readonly Server[], options: HealthOptions): Tree {
  const { ledger } = options;
  const tracked = trackOf(servers, options);
  if (tracked) return tracked;
  const checked = servers.filter(({ settings }) => settings.check);
  const [first] = checked;
  if (!first) {
    judgeChecks(section, ledger);
    return { check: 'none', agent: agentOf(servers, ledger) };
  }
  for (const { line } of servers.filter(({ settings }) => !settings.check && !settings.disabled))
    ledger.changed(line, 'a pool has one check for all its servers: this one is checked like the others');
  const one = <K extends keyof Settings>(key: K, word: string): Settings[K] => {
    for (const { line, settings } of checked.slice(1)) {
      if (settings[key] === first.settings[key]) continue;
      ledger.changed(
        line,
        `a pool has one check for all its servers: that of line ${first.line.number} counts`,
        word,
      );
    }
    return first.settings[key];
  };
  const interval = one('interval', 'inter') ?? INTERVAL_MS;
  const timeout = lastOf(section, 'timeout check');
  if (timeout) ledger.take(timeout);
  const kind = kindOf(section, first.settings, ledger);
  return {
    ...kind,
    port: kind.port ?? one('checkPort', 'port'),
    address: one('checkAddress', 'addr'),
    interval: durationText(interval || INTERVAL_MS),
    timeout: timeout && timeText(timeout, ledger),
    rise: one('rise', 'rise') ?? 2,
    fall: one('fall', 'fall') ?? 3,
    agent: agentOf(servers, ledger),
  };
}

function timeText(line: Directive, ledger: Ledger): string | undefined {
  try {
    return durationText(timeOf(line.words[2]));
  } catch (error) {
    if (!(error instanceof Loss)) throw error;
    ledger.lost(line, error.message);
    return undefined;
  }
}

/** Every server tracks one of the same backend: then that pool's results count. */
function trackOf(servers: readonly Server[], { ledger, poolOf }: HealthOptions): Tree | undefined {
  const backends = new Set(servers.map(({ settings }) => settings.track?.split('/')[0]));
  const [backend] = backends;
  const pool = backends.size === 1 && backend !== undefined ? poolOf(backend) : undefined;
  if (pool !== undefined) return { track: pool };
  for (const { line, settings } of servers) {
    if (settings.track !== undefined)
      ledger.lost(
        line,
        '`health.track` of a pool follows one other pool, for all its servers',
        `track ${settings.track}`,
      );
  }
  return undefined;
}

function agentOf(servers: readonly Server[], ledger: Ledger): Tree | undefined {
  const asked = servers.filter(({ settings }) => settings.agent && settings.agentPort !== undefined);
  for (const { line } of servers.filter(({ settings }) => settings.agent && settings.agentPort === undefined))
    ledger.lost(line, 'without `agent-port` nobody knows where to ask', 'agent-check');
  const [first] = asked;
  if (!first) return undefined;
  const { agentPort, agentInterval } = first.settings;
  for (const { line, settings } of asked) {
    if (settings.agentPort !== agentPort)
      ledger.changed(
        line,
        `the agents of a pool are on one port: ${agentPort}`,
        `agent-port ${settings.agentPort}`,
      );
  }
  return { port: agentPort, interval: agentInterval ? durationText(agentInterval) : undefined };
}

/** Ways to check that speak a protocol which Gantry does not. */
const OTHER_PROTOCOLS = /^option (?:smtpchk|mysql-check|pgsql-check|redis-check|ldap-check|spop-check)$/;

function judgeChecks(section: Section, ledger: Ledger): void {
  for (const line of section.directives) {
    if (
      /^(?:http|tcp)-check$/.test(line.words[0]!) ||
      /^option (?:.*ch(?:ec)?k|ssl-hello-chk)$/.test(keyOf(line))
    )
      ledger.idle(line, 'no server here has `check`');
  }
}

function kindOf(section: Section, settings: Settings, ledger: Ledger): Tree {
  const option = (name: string) => {
    const line = lastOf(section, `option ${name}`);
    if (line) ledger.take(line);
    return line;
  };
  const isTls = settings.checkTls ?? (settings.tls && settings.checkPort === undefined);
  const httpchk = option('httpchk');
  if (httpchk) return httpOf(section, httpchk, isTls, ledger);
  if (option('ssl-hello-chk')) return { check: 'tls', verify: false };
  const external = section.directives.findLast(
    ({ words }) => words[0] === 'external-check' && words[1] === 'command',
  );
  if (option('external-check') && external) {
    ledger.take(external);
    return { check: 'script', script: external.words[2] ?? '' };
  }
  const steps = section.directives.filter(({ words }) => words[0] === 'tcp-check');
  let port: number | undefined;
  if (option('tcp-check')) {
    for (const step of steps) {
      const at = step.words.indexOf('port');
      if (step.words[1] === 'connect' && port === undefined) {
        ledger.take(step);
        if (at !== -1 && /^\d{1,5}$/.test(step.words[at + 1] ?? '')) port = Number(step.words[at + 1]);
      } else if (step.words[1] !== 'comment') {
        ledger.lost(
          step,
          'the connection is all that is checked: `check: script` runs a program that says and reads more',
        );
      }
    }
  }
  for (const line of section.directives) {
    if (OTHER_PROTOCOLS.test(keyOf(line)) && !line.isNegated)
      ledger.lost(
        line,
        'the connection is all that is checked: `check: script` runs a program that speaks more',
      );
  }
  return isTls ? { check: 'tls', verify: settings.verify, port } : { check: 'connect', port };
}

/** `option httpchk [METHOD] [URI] [VERSION]`, `http-check send|expect|connect`. */
function httpOf(section: Section, httpchk: Directive, isTls: boolean | undefined, ledger: Ledger): Tree {
  const [method, uri, version] =
    httpchk.words.length === 3 ? [undefined, httpchk.words[2]] : httpchk.words.slice(2);
  const http: HttpCheck = { method: method ?? 'OPTIONS', path: uri ?? '/' };
  // The old way to say Host: behind the version.
  const host = /host:\s*([\w.:-]+)/i.exec(version ?? httpchk.words.slice(4).join(' '))?.[1];
  if (host !== undefined) http.host = host;
  let [sends, expects] = [0, 0];
  for (const line of section.directives.filter(({ words }) => words[0] === 'http-check')) {
    const [, step = '', ...words] = line.words;
    try {
      if (step === 'send' && sends++ === 0) readSend(words, http, line, ledger);
      else if (step === 'expect' && expects++ === 0) readExpect(words, http);
      else if (step === 'disable-on-404')
        throw new Loss('a server that answers 404 is down: `gantry drain` lets work finish');
      else if (step === 'connect') readConnect(words, http, line, ledger);
      else if (step === 'comment' || step === 'send-state' || step === 'unset-var')
        ledger.idle(line, 'it changes no result');
      else throw new Loss('a check is one request and its answer: `all: [...]` puts several checks together');
      ledger.take(line);
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      ledger.lost(line, error.message);
    }
  }
  if (!/^(?:GET|HEAD|OPTIONS)$/.test(http.method)) {
    ledger.changed(httpchk, 'a check asks with GET, HEAD or OPTIONS: it is GET now', http.method);
    http.method = 'GET';
  }
  if (!/^\/[\x21-\x7e]*$/.test(http.path) || http.path.includes('#')) {
    ledger.changed(httpchk, 'that is no path: "/" is asked for now', http.path);
    http.path = '/';
  }
  if (http.method === 'HEAD' && http.body !== undefined) http.method = 'GET';
  return { check: isTls ? 'https' : 'http', ...http };
}

interface HttpCheck {
  method: string;
  path: string;
  host?: string;
  status?: string | readonly string[];
  body?: string;
  port?: number;
}

function readSend(words: readonly string[], http: HttpCheck, line: Directive, ledger: Ledger): void {
  for (let at = 0; at < words.length; at += 2) {
    const [word = '', value = ''] = words.slice(at, at + 2);
    if (word === 'meth') http.method = value;
    else if (word === 'uri') http.path = value;
    else if (word === 'hdr') {
      const text = words[at + 2] ?? '';
      at += 1;
      if (/^host$/i.test(value) && /^[\w.~:[\]-]+$/.test(text)) http.host = text;
      else ledger.lost(line, 'a check sends no header but Host', `hdr ${value} …`);
    } else if (word !== 'ver')
      ledger.lost(line, 'a check sends no body, and nothing that is worked out', `${word} …`);
  }
}

function readExpect(words: readonly string[], http: HttpCheck): void {
  const rest = words.filter(
    (word, index) => !OF_EXPECT.test(word) && !OF_EXPECT.test(words[index - 1] ?? ''),
  );
  if (rest[0] === '!') throw new Loss('a check says what is good, not what is bad');
  const [kind = '', pattern = ''] = rest;
  const statuses = kind === 'rstatus' ? statusRanges(pattern) : pattern.split(',');
  if (kind === 'status' || kind === 'rstatus') {
    if (!statuses?.every((status) => /^[1-5]\d\d(?:-[1-5]\d\d)?$/.test(status)))
      throw new Loss('`status` takes codes and ranges, such as 200-299');
    http.status = statuses.length === 1 ? statuses[0]! : statuses;
  } else if (kind === 'string' && !/^\/.*\/$/.test(pattern) && !pattern.startsWith('file:'))
    http.body = pattern;
  else if (kind === 'rstring' && isExpression(pattern)) http.body = `/${pattern}/`;
  else
    throw new Loss(
      `a check does not look for \`${kind}\`: \`status\`, \`body\` and \`json\` are what it looks for`,
    );
}

const OF_EXPECT = /^(?:min-recv|comment|ok-status|error-status|tout-status|on-success|on-error|status-code)$/;

/** `^2[0-9][0-9]`, `^[23]`, `(2|3)..`: the hundreds. */
function statusRanges(expression: string): string[] | undefined {
  if (!isExpression(expression)) return undefined;
  const pattern = new RegExp(expression);
  const codes = Array.from({ length: 500 }, (_, index) => 100 + index).filter((code) =>
    pattern.test(String(code)),
  );
  const ranges: string[] = [];
  for (let at = 0; at < codes.length; ) {
    let end = at;
    while (codes[end + 1] === codes[end]! + 1) end += 1;
    ranges.push(end === at ? String(codes[at]) : `${codes[at]}-${codes[end]}`);
    at = end + 1;
  }
  return ranges.length > 0 && ranges.length <= 20 ? ranges : undefined;
}

function readConnect(words: readonly string[], http: HttpCheck, line: Directive, ledger: Ledger): void {
  const at = words.indexOf('port');
  if (at !== -1 && /^\d{1,5}$/.test(words[at + 1] ?? '')) http.port = Number(words[at + 1]);
  for (const word of words.filter((each) => /^(?:ssl|sni|alpn|via-socks4|proto)$/.test(each)))
    ledger.lost(line, '`check-ssl` of the servers is imported: it checks in TLS', word);
}
