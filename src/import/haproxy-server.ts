/** `server` and `default-server` lines (HAProxy's manual, 5.2). */
import type { Tree } from './draft.ts';
import type { Files } from './files.ts';
import { readSample } from './haproxy-sample.ts';
import type { Directive, Section } from './haproxy-sections.ts';
import { addressOf, isHost, numberOf, timeOf } from './haproxy-values.ts';
import { type Ledger, Loss } from './losses.ts';

/** What one line says. */
export interface Server {
  readonly line: Directive;
  readonly name: string;
  readonly host: string;
  /** undefined: the port the client came to. */
  readonly port: number | undefined;
  readonly settings: Settings;
}

/** Times in milliseconds. */
export interface Settings {
  weight?: number;
  maxConnections?: number;
  backup?: boolean;
  disabled?: boolean;
  check?: boolean;
  interval?: number;
  rise?: number;
  fall?: number;
  checkPort?: number;
  checkAddress?: string;
  checkTls?: boolean;
  /** The pool whose results count, `BACKEND/SERVER`. */
  track?: string;
  slowStart?: number;
  agentPort?: number;
  agentInterval?: number;
  agent?: boolean;
  proxyProtocol?: 'v1' | 'v2' | undefined;
  tls?: boolean;
  verify?: boolean;
  ca?: string;
  certificate?: string;
  servername?: string;
  source?: string;
}

export interface ServerOptions {
  readonly files: Files;
  readonly base: { readonly crt: string | undefined; readonly ca: string | undefined };
  readonly ledger: Ledger;
}

type Read = (settings: Settings, value: string, options: ServerOptions) => void;

/** Parameters with a value. */
const WITH_VALUE: Readonly<Record<string, Read>> = {
  weight: (settings, value) => (settings.weight = numberOf(value, 0, 256)),
  maxconn: (settings, value) => (settings.maxConnections = numberOf(value, 0, 1_000_000)),
  inter: (settings, value) => (settings.interval = timeOf(value)),
  rise: (settings, value) => (settings.rise = numberOf(value, 1, 1000)),
  fall: (settings, value) => (settings.fall = numberOf(value, 1, 1000)),
  port: (settings, value) => (settings.checkPort = numberOf(value, 1, 65_535)),
  addr: (settings, value) => {
    if (!isHost(value)) throw new Loss(`"${value}" is no address`);
    settings.checkAddress = value;
  },
  track: (settings, value) => (settings.track = value),
  slowstart: (settings, value) => (settings.slowStart = timeOf(value)),
  'agent-port': (settings, value) => (settings.agentPort = numberOf(value, 1, 65_535)),
  'agent-inter': (settings, value) => (settings.agentInterval = timeOf(value)),
  verify: (settings, value) => (settings.verify = value !== 'none'),
  verifyhost: (settings, value) => nameOf(settings, value),
  'ca-file': (settings, value, { files, base }) => {
    if (value !== '@system-ca') settings.ca = files.resolve(value, base.ca);
  },
  crt: (settings, value, { files, base }) => (settings.certificate = files.resolve(value, base.crt)),
  sni: (settings, value) => {
    const sample = readSample(value);
    if (sample?.name === 'str' && sample.argument !== undefined) nameOf(settings, sample.argument);
    else
      throw new Loss(
        'servers are asked for one name, that of the pool (`tls.servername`), whatever the client asked for',
      );
  },
};

const FLAGS: Readonly<Record<string, Read>> = {
  check: (settings) => (settings.check = true),
  'no-check': (settings) => (settings.check = false),
  backup: (settings) => (settings.backup = true),
  'no-backup': (settings) => (settings.backup = false),
  disabled: (settings) => (settings.disabled = true),
  enabled: (settings) => (settings.disabled = false),
  ssl: (settings) => (settings.tls = true),
  'no-ssl': (settings) => (settings.tls = false),
  'check-ssl': (settings) => (settings.checkTls = true),
  'no-check-ssl': (settings) => (settings.checkTls = false),
  'send-proxy': (settings) => (settings.proxyProtocol = 'v1'),
  'send-proxy-v2': (settings) => (settings.proxyProtocol = 'v2'),
  'no-send-proxy': (settings) => (settings.proxyProtocol = undefined),
  'no-send-proxy-v2': (settings) => (settings.proxyProtocol = undefined),
  'agent-check': (settings) => (settings.agent = true),
  'no-agent-check': (settings) => (settings.agent = false),
};

/** Without a meaning here: how many values they have. */
const IDLE: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    'check-send-proxy non-stick stick no-sslv3 no-tlsv10 no-tlsv11 force-tlsv12 no-ssl-reuse ssl-reuse no-tls-tickets tls-tickets tfo no-tfo allow-0rtt sni-auto no-sni-auto check-sni-auto no-check-sni-auto check-reuse-pool no-check-reuse-pool no-verifyhost no-renegotiate renegotiate'
      .split(' ')
      .map((name) => [name, 0]),
  ),
  ...Object.fromEntries(
    'cookie fastinter downinter id guid alpn npn check-alpn check-proto check-sni ciphers ciphersuites curves sigalgs client-sigalgs ssl-min-ver ssl-max-ver observe on-error error-limit init-addr init-state resolve-prefer resolve-opts resolve-net pool-max-conn pool-low-conn pool-purge-delay pool-conn-name check-pool-conn-name max-reuse idle-ping log-proto log-bufsize hash-key tcp-ut shard cc proxy-v2-options'
      .split(' ')
      .map((name) => [name, 1]),
  ),
};

const LOST: Readonly<Record<string, readonly [values: number, why: string]>> = {
  minconn: [1, '`maxConnections` is fixed: the least busy server comes first anyway'],
  maxqueue: [1, '`timeouts.queue` of the VIP says how long somebody waits'],
  'agent-send': [1, 'the agent is asked without a word'],
  'agent-addr': [1, "the agent is asked at the server's own address"],
  'on-marked-down': [
    1,
    'open connections of a server that is down end by their own time-outs; `mode: single-active` closes them at once',
  ],
  'on-marked-up': [1, '`mode: single-active` with `failBack: true` takes work back at once'],
  'send-proxy-v2-ssl': [0, '`proxyProtocol: v2` of the pool says who the client is, without what TLS said'],
  'send-proxy-v2-ssl-cn': [
    0,
    '`proxyProtocol: v2` of the pool says who the client is, without what TLS said',
  ],
  resolvers: [1, 'names are looked up as the system does it'],
  namespace: [1, 'run Gantry in that network namespace'],
  redir: [1, '`redirect` in `routes` sends clients elsewhere, but to one place, not by server'],
  proto: [1, 'servers are spoken to in HTTP/1.1'],
  ws: [1, 'servers are spoken to in HTTP/1.1'],
  socks4: [1, 'servers are dialled straight: it will not be reached where only the proxy leads to it'],
  'check-via-socks4': [0, 'servers are dialled straight'],
  'crl-file': [1, 'Gantry reads no revocation lists'],
  'tcp-md5sig': [1, 'Node cannot sign TCP segments'],
  'strict-maxconn': [0, '`maxConnections` counts connections in use'],
  healthcheck: [1, 'a pool has one check for all its servers'],
  'quic-cc-algo': [1, 'Gantry speaks no QUIC'],
};

function nameOf(settings: Settings, name: string): void {
  if (/^[\d.:[\]]*$/.test(name) || !isHost(name)) throw new Loss(`"${name}" is not the name of a host`);
  settings.servername = name;
}

/** The servers of a backend, as they stand; those that cannot be dialled are told of and left out. */
export function readServers(section: Section, options: ServerOptions): Server[] {
  const common: Settings = {};
  const servers: Server[] = [];
  const { ledger } = options;
  for (const line of section.directives) {
    const [keyword, name = '', written = ''] = line.words;
    try {
      if (keyword === 'default-server') {
        readSettings(common, line, 1, options);
        ledger.take(line);
      }
      if (keyword !== 'server') continue;
      const { host, ports } = addressOf(written);
      if (host === '' || host === '0.0.0.0' || host === '::')
        throw new Loss(
          'it goes wherever the client wanted to, and Gantry is no forward proxy: name a server',
        );
      if (!isHost(host)) throw new Loss(`"${host}" is neither an IP address nor the name of a host`);
      if (ports.length > 1)
        throw new Loss('a server has one port, or none for the port that the client came to');
      const settings = { ...common };
      readSettings(settings, line, 3, options);
      ledger.take(line);
      servers.push({ line, name, host, port: ports[0], settings });
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      ledger.lost(line, error.message);
    }
  }
  return servers;
}

function readSettings(settings: Settings, line: Directive, from: number, options: ServerOptions): void {
  const { words } = line;
  const { ledger } = options;
  for (let at = from; at < words.length; at++) {
    const word = words[at]!;
    const value = words[at + 1] ?? '';
    const read = Object.hasOwn(WITH_VALUE, word) ? WITH_VALUE[word] : undefined;
    const set = Object.hasOwn(FLAGS, word) ? FLAGS[word] : undefined;
    const idle = Object.hasOwn(IDLE, word) ? IDLE[word]! : undefined;
    const lost = Object.hasOwn(LOST, word) ? LOST[word] : undefined;
    try {
      if (read) {
        at += 1;
        read(settings, value, options);
      } else if (set) set(settings, '', options);
      else if (word === 'source') at = sourceOf(settings, line, at);
      else if (idle !== undefined) at += idle;
      else if (lost) {
        if (word.startsWith('send-proxy-v2')) settings.proxyProtocol = 'v2';
        ledger.lost(line, lost[1], words.slice(at, at + 1 + lost[0]).join(' '));
        at += lost[0];
      } else {
        ledger.lost(line, 'it is not known here', words.slice(at).join(' '));
        return;
      }
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      ledger.lost(line, error.message, `${word} ${value}`);
    }
  }
}

/** `source ADDRESS[:PORT] [usesrc client|clientip] [interface NAME]`: an address, or `client`. Returns the last word of it. */
function sourceOf(settings: Settings, { words }: Directive, at: number): number {
  let end = at + 1;
  settings.source = sourceText(words.slice(end));
  while (/^(?:usesrc|interface)$/.test(words[end + 1] ?? '')) end += 2;
  return end;
}

/** What `source` of a VIP would be. Throws a Loss. */
export function sourceText([address = '', ...words]: readonly string[]): string {
  const uses = words.indexOf('usesrc');
  const whose = uses === -1 ? undefined : words[uses + 1];
  if (whose === 'client' || whose === 'clientip') return 'client';
  if (whose !== undefined)
    throw new Loss(
      "`source` is the client's address or one of this machine: `source: client` may be what is meant",
    );
  if (words.includes('interface'))
    throw new Loss('connections are made from an address, not an interface: `source: ADDRESS`');
  const { host } = addressOf(address);
  if (!/^[\d.]+$|:/.test(host) || host === '0.0.0.0')
    throw new Loss(`"${address}" is not an address of this machine`);
  return host;
}

/** `tls` of a pool; undefined: plainly. */
export function poolTls({ tls, verify, ca, certificate, servername }: Settings): Tree | undefined {
  if (!tls) return undefined;
  return {
    // HAProxy verifies unless it is told not to.
    verify: verify ?? true,
    ca: ca === undefined ? undefined : `file:${ca}`,
    servername,
    cert: certificate === undefined ? undefined : `file:${certificate}`,
    key: certificate === undefined ? undefined : `file:${certificate}`,
  };
}
