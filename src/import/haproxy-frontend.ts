/** A `frontend`, or the front half of a `listen` → VIPs: one for each way in (plain, TLS, PROXY protocol). */
import { durationText, filled, type Names, type Part, type Remarked, type Tree } from './draft.ts';
import type { Files } from './files.ts';
import { Acls } from './haproxy-acl.ts';
import { type Backend, timeoutMs } from './haproxy-backend.ts';
import { type BindOptions, type Listening, listenings } from './haproxy-bind.ts';
import type { Criteria } from './haproxy-criteria.ts';
import type { HeaderChanges } from './haproxy-headers.ts';
import { type Routes, routesOf } from './haproxy-routes.ts';
import { type Directive, lastOf, type Section } from './haproxy-sections.ts';
import { numberOf } from './haproxy-values.ts';
import { type Ledger, Loss } from './losses.ts';
import { likelyProtocol } from './well-known.ts';

export interface FrontendOptions extends BindOptions {
  readonly files: Files;
  readonly ledger: Ledger;
  readonly vips: Names;
  readonly backendOf: (name: string) => Backend | undefined;
  /** DICOM and HL7 get front-ends of their own. */
  readonly protocolAware: boolean;
}

/** For ever. */
const NEVER_IDLE = 87_600 * 3_600_000;

export function readFrontend(section: Section, options: FrontendOptions): Part[] {
  const { ledger } = options;
  const mode = modeOf(section, options);
  if (mode === undefined) return [];
  const ways = listenings(section, options);
  const parts: Part[] = [];
  const several = ways.length > 1;
  for (const way of ways) {
    const part = vipOf(section, way, mode, several, options);
    if (part) parts.push(part);
  }
  if (parts.length === 0 && ways.length > 0) nothingServed(section, ledger);
  else if (ways.length === 0)
    ledger.lost(section.line, 'nothing is listened on: no `bind` of it could be taken over');
  return parts;
}

function modeOf(section: Section, { ledger, backendOf }: FrontendOptions): 'http' | 'tcp' | undefined {
  const line = lastOf(section, 'mode');
  const mode = line?.words[1] ?? 'tcp';
  if (line) ledger.take(line);
  if (mode === 'http') return 'http';
  if (mode !== 'tcp') {
    ledger.lost(line ?? section.line, `"mode ${mode}" is not known here: http and tcp are`);
    return undefined;
  }
  // HAProxy upgrades a connection of a TCP frontend whose backend speaks HTTP.
  const name = lastOf(section, 'default_backend')?.words[1];
  const backend = name === undefined ? undefined : backendOf(name);
  if (!backend?.isHttp) return 'tcp';
  ledger.changed(
    section.line,
    `its backend "${name}" speaks HTTP: the VIP does so from the first request on`,
  );
  return 'http';
}

function nothingServed(section: Section, ledger: Ledger): void {
  const isStatistics = section.directives.some(({ words }) => words[0] === 'stats');
  const why = isStatistics
    ? "HAProxy's own statistics: the dashboard, API and metrics of `admin` show Gantry's"
    : 'nothing is served here: it leads to no server that could be taken over';
  for (const line of [section.line, ...section.directives.filter(({ words }) => words[0] === 'bind')]) {
    if (isStatistics) ledger.idle(line, why, line.words.join(' '));
    else ledger.lost(line, why);
  }
}

function vipOf(
  section: Section,
  way: Listening,
  mode: 'http' | 'tcp',
  several: boolean,
  options: FrontendOptions,
): Part | undefined {
  const { ledger, files } = options;
  const criteria: Criteria = {
    protocol: mode,
    isTls: way.tls !== undefined,
    ports: way.ports,
    readFile: (path) => files.read(files.resolve(path, undefined)),
  };
  const likely =
    mode === 'tcp'
      ? likelyProtocol(`${section.name} ${lastOf(section, 'default_backend')?.words[1] ?? ''}`, way.ports)
      : undefined;
  const routes = routesOf(section, {
    ...options,
    criteria,
    acls: new Acls(section, ledger),
    protocol: options.protocolAware ? (likely ?? mode) : mode,
  });
  const leads = ({ value }: Remarked) => 'pool' in value || 'redirect' in value || 'respond' in value;
  if (routes.pool === undefined && !routes.routes.some(leads)) return undefined;
  // Rules that only `sni` of an unread ClientHello tells apart need TCP.
  const asksSni = JSON.stringify(routes.routes).includes('"sni"') && way.tls === undefined;
  const protocol = options.protocolAware && likely !== undefined && !asksSni ? likely : mode;
  const headers = mode === 'http' ? headersOf(routes) : undefined;
  const body: Tree = {
    protocol,
    listen: way.listen,
    tls: way.tls && filled(way.tls),
    proxyProtocol: way.proxyProtocol || undefined,
    source: sourceOf(routes, protocol, section, ledger),
    routes: routes.routes.length > 0 ? routes.routes : undefined,
    pool: routes.pool,
    limits: limitsOf(section, protocol, ledger),
    timeouts: filled(timeoutsOf(section, routes.backends, protocol, ledger)),
    headers:
      headers && filled({ request: changesOf(headers.request), response: changesOf(headers.response) }),
    forwarded: mode === 'http' ? forwardedOf(section, routes, ledger) : undefined,
  };
  const suffix = several ? `${way.tls ? '-tls' : ''}${way.proxyProtocol ? '-proxy' : ''}` : '';
  const comments = [`${section.kind} ${section.name}, line ${section.line.number}`];
  if (protocol === 'tcp' && likely !== undefined) {
    const name = likely === 'dicom' ? 'DICOM' : 'HL7';
    comments.push(
      `This looks like ${name}: \`protocol: ${likely}\` routes by what it says (gantry import --protocol-aware).`,
    );
  }
  return { name: options.vips.take(`${section.name}${suffix}`), comments, body };
}

/** `limits.connections`: HAProxy makes those beyond wait at the door. */
function limitsOf(section: Section, protocol: string, ledger: Ledger): Tree | undefined {
  const line = lastOf(section, 'maxconn');
  if (!line) return undefined;
  if (protocol === 'hl7') {
    ledger.lost(line, 'senders of HL7 are as many as they are: a firewall would keep others out');
    return undefined;
  }
  try {
    const most = numberOf(line.words[1], 0, 1_000_000);
    ledger.take(line);
    if (most === 0) return undefined;
    ledger.changed(line, 'connections beyond it are turned away, they do not wait');
    return { [protocol === 'dicom' ? 'associations' : 'connections']: most };
  } catch (error) {
    if (!(error instanceof Loss)) throw error;
    ledger.lost(line, error.message);
    return undefined;
  }
}

/** In TCP `timeout tunnel` goes before the others as soon as both sides have spoken; the longer silence counts. */
function timeoutsOf(section: Section, backends: readonly Backend[], protocol: string, ledger: Ledger): Tree {
  const client = timeoutMs(section, 'client', ledger);
  const behind = (name: string) =>
    longest(backends.map((backend) => timeoutMs(backend.section, name, ledger)));
  const tunnel = behind('tunnel');
  if (protocol !== 'http') {
    const idle = text(tunnel ?? longest([client, behind('server')]));
    return { idle, queue: protocol === 'tcp' ? text(behind('queue')) : undefined };
  }
  const request = timeoutMs(section, 'http-request', ledger);
  return {
    request: text(request),
    stall: text(client),
    idle: text(timeoutMs(section, 'http-keep-alive', ledger) ?? request ?? client),
    queue: text(behind('queue')),
    tunnel: text(tunnel ?? longest([client, behind('server')])),
  };
}

function longest(times: readonly (number | undefined)[]): number | undefined {
  const said = times.filter((ms) => ms !== undefined);
  return said.length === 0 ? undefined : said.includes(0) ? NEVER_IDLE : Math.max(...said);
}

function text(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : durationText(ms === 0 ? NEVER_IDLE : ms);
}

function sourceOf(
  { backends }: Routes,
  protocol: string,
  section: Section,
  ledger: Ledger,
): string | undefined {
  const sources = new Set(backends.map(({ source }) => source));
  if (sources.size > 1)
    ledger.changed(
      section.line,
      '`source` is of the VIP, for all its servers: that of the default backend counts',
      'source',
    );
  const source = backends[0]?.source;
  if (source !== 'client' || protocol !== 'http') return source;
  for (const backend of backends) {
    for (const line of backend.section.directives.filter(({ words }) => words.includes('usesrc')))
      ledger.lost(
        line,
        'HTTP connections to servers are shared by clients: X-Forwarded-For says who the client is',
      );
  }
  return undefined;
}

/** Those of the frontend, and those of the one backend that there is. */
function headersOf({ rules, backendRules }: Routes): Pick<HeaderChanges, 'request' | 'response'> {
  const of = (way: 'request' | 'response') => {
    const [front, back] = [rules.headers[way], backendRules?.headers[way]];
    return {
      set: { ...front.set, ...back?.set },
      add: { ...front.add, ...back?.add },
      remove: [...front.remove, ...(back?.remove ?? [])],
    };
  };
  return { request: of('request'), response: of('response') };
}

function changesOf({ set, add, remove }: HeaderChanges['request']): Tree | undefined {
  return filled({ remove: remove.length > 0 ? remove : undefined, set: filled(set), add: filled(add) });
}

/** HAProxy adds X-Forwarded-For only where it is told to, and believes what came. */
function forwardedOf(
  section: Section,
  { backends, rules, backendRules }: Routes,
  ledger: Ledger,
): string | undefined {
  const lines = [section, ...backends.map((backend) => backend.section)]
    .map((each) => lastOf(each, 'option forwardfor'))
    .filter((line): line is Directive => line !== undefined);
  const headers = [rules.headers, ...(backendRules ? [backendRules.headers] : [])];
  for (const line of lines) {
    ledger.take(line);
    const [, , ...words] = line.words;
    if (words.includes('header'))
      ledger.lost(
        line,
        'the client stands in X-Forwarded-For and Forwarded',
        `header ${words[words.indexOf('header') + 1]}`,
      );
    if (words.includes('except'))
      ledger.changed(
        line,
        'proxies in front are named in `trustedProxies`',
        `except ${words[words.indexOf('except') + 1]}`,
      );
  }
  if (headers.some(({ replacesForwarded }) => replacesForwarded)) return 'replace';
  return lines.length > 0 || headers.some(({ needsForwarded }) => needsForwarded) ? undefined : 'off';
}
