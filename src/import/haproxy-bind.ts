/** `bind` lines → the listeners of VIPs (HAProxy's manual, 5.1). Those that speak alike are one VIP. */

import type { Tree } from './draft.ts';
import type { Files } from './files.ts';
import { type Directive, lastOf, type Section } from './haproxy-sections.ts';
import { addressOf, endpoint } from './haproxy-values.ts';
import { type Ledger, Loss } from './losses.ts';

/** Listeners that have the same entrance. */
export interface Listening {
  readonly listen: readonly string[];
  readonly ports: readonly number[];
  readonly tls: Tree | undefined;
  readonly proxyProtocol: boolean;
}

/** Parameters with a value, which say nothing here. */
const IDLE_WITH_VALUE =
  /^(?:name|alpn|npn|ciphers|ciphersuites|curves|ecdhe|sigalgs|client-sigalgs|backlog|id|guid-prefix|label|level|user|group|uid|gid|mode|mss|nice|process|thread|shards|severity-output|tcp-ut|tls-ticket-keys|cc|ca-ignore-err|crt-ignore-err|idle-ping|ktls|quic-cc-algo|quic-socket|tcp-ss|proto|ssl-max-ver|ca-verify-file|maxconn)$/;
const IDLE =
  /^(?:defer-accept|tfo|no-tls-tickets|tls-tickets|no-sslv3|no-tlsv10|no-tlsv11|force-tlsv12|prefer-client-ciphers|v4v6|allow-0rtt|no-ca-names|no-alpn|expose-fd|listeners|quic-force-retry|no-strict-sni|transparent)$/;
const LOST: Readonly<Record<string, readonly [values: number, why: string]>> = {
  'accept-netscaler-cip': [
    1,
    'only the PROXY protocol is read (`accept-proxy`): let the NetScaler send that',
  ],
  'crt-list': [1, 'write its certificates under `tls.certificates`'],
  'crl-file': [1, 'Gantry reads no revocation lists: let short-lived certificates end by themselves'],
  'ca-sign-file': [1, 'Gantry makes no certificates'],
  'ca-sign-pass': [1, 'Gantry makes no certificates'],
  'generate-certificates': [0, 'Gantry makes no certificates'],
  'strict-sni': [0, 'who asks for another name gets the first certificate'],
  interface: [1, "an address is listened on, not an interface: write the interface's address"],
  namespace: [1, 'run Gantry in that network namespace'],
  'no-tlsv12': [0, '`tls.minVersion: 1.3` says so'],
  'no-tlsv13': [0, 'TLS 1.3 is always spoken'],
  'force-tlsv13': [0, '`tls.minVersion: 1.3` says so'],
  'force-tlsv10': [0, 'TLS older than 1.2 is not spoken (RFC 8996)'],
  'force-tlsv11': [0, 'TLS older than 1.2 is not spoken (RFC 8996)'],
  'tcp-md5sig': [1, 'Node cannot sign TCP segments'],
  v6only: [0, 'on :: IPv4 comes too'],
  ech: [1, 'Gantry has no encrypted ClientHello'],
};

export interface BindOptions {
  readonly files: Files;
  readonly base: { readonly crt: string | undefined; readonly ca: string | undefined };
  /** Is the address taken by another VIP already? */
  readonly take: (listen: string) => boolean;
  readonly ledger: Ledger;
}

/** The listeners of a section, in the order of the file. */
export function listenings(section: Section, options: BindOptions): Listening[] {
  const binds = section.directives.filter(({ words }) => words[0] === 'bind');
  const isHttp = lastOf(section, 'mode')?.words[1] === 'http';
  const groups = new Map<string, { listen: string[]; ports: number[]; entrance: Entrance }>();
  for (const bind of binds) {
    try {
      const entrance = entranceOf(bind, isHttp, options);
      const key = JSON.stringify(entrance);
      const group = groups.get(key) ?? { listen: [], ports: [], entrance };
      const before = group.listen.length;
      for (const written of (bind.words[1] ?? '').split(',')) listen(written, bind, group, options);
      if (group.listen.length > before) options.ledger.take(bind);
      if (group.listen.length > 0) groups.set(key, group);
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      options.ledger.lost(bind, error.message);
    }
  }
  return [...groups.values()].map(({ listen, ports, entrance }) => ({ listen, ports, ...entrance }));
}

interface Entrance {
  readonly tls: Tree | undefined;
  readonly proxyProtocol: boolean;
}

function listen(
  written: string,
  bind: Directive,
  group: { listen: string[]; ports: number[] },
  { take, ledger }: BindOptions,
): void {
  const { host, ports } = addressOf(written);
  if (ports.length === 0) throw new Loss('it has no port to listen on');
  for (const port of ports) {
    const address = endpoint(host === '' ? '0.0.0.0' : host, port);
    if (!/^(?:[\d.]+|\[.*\]):\d+$/.test(address))
      throw new Loss(`"${host}" is a name: write the IP address to listen on`);
    if (take(address)) {
      group.listen.push(address);
      group.ports.push(port);
    } else {
      ledger.lost(bind, 'another VIP listens there already, and each address and port has one', address);
    }
  }
}

function entranceOf(bind: Directive, isHttp: boolean, options: BindOptions): Entrance {
  const { ledger } = options;
  const certificates: Tree[] = [];
  const { words } = bind;
  let [isTls, proxyProtocol, verify, ca, minVersion] = [false, false, '', '', ''];
  for (let at = 2; at < words.length; at++) {
    const word = words[at]!;
    const value = words[at + 1] ?? '';
    const lost = Object.hasOwn(LOST, word) ? LOST[word] : undefined;
    if (word === 'ssl') isTls = true;
    else if (word === 'accept-proxy') proxyProtocol = true;
    else if (word === 'crt' || word === 'default-crt')
      certificates.push(...certificatesOf(value, bind, options));
    else if (word === 'ca-file') ca = value;
    else if (word === 'verify') verify = value;
    else if (word === 'ssl-min-ver') minVersion = value;
    else if (lost) ledger.lost(bind, lost[1], words.slice(at, at + 1 + lost[0]).join(' '));
    else if (!IDLE.test(word) && !IDLE_WITH_VALUE.test(word)) {
      ledger.lost(bind, 'it is not known here', words.slice(at).join(' '));
      break;
    }
    if (
      ['crt', 'default-crt', 'ca-file', 'verify', 'ssl-min-ver'].includes(word) ||
      IDLE_WITH_VALUE.test(word)
    )
      at += 1;
    if (lost) at += lost[0];
    if (word === 'proto' && value === 'h2' && isHttp && !isTls)
      ledger.lost(bind, 'HTTP/2 is spoken where TLS agrees on it', 'proto h2');
    if (word === 'transparent')
      ledger.lost(bind, 'Node cannot listen on addresses that are not its own', word);
    if (word === 'maxconn') ledger.lost(bind, '`limits.connections` is of the whole VIP', `maxconn ${value}`);
  }
  if (!isTls) return { tls: undefined, proxyProtocol };
  return { tls: tlsOf({ certificates, verify, ca, minVersion }, bind, options), proxyProtocol };
}

function tlsOf(
  {
    certificates,
    verify,
    ca,
    minVersion,
  }: { certificates: Tree[]; verify: string; ca: string; minVersion: string },
  bind: Directive,
  { files, base, ledger }: BindOptions,
): Tree {
  const [first, ...others] = certificates;
  if (!first) throw new Loss('`ssl` without `crt`: a certificate is needed');
  if (/^(?:SSLv3|TLSv1\.[01])$/.test(minVersion))
    ledger.lost(bind, 'TLS older than 1.2 is not spoken (RFC 8996)', `ssl-min-ver ${minVersion}`);
  const isNeeded = verify === 'required';
  if (ca !== '' && !isNeeded && verify !== 'none') {
    ledger.lost(
      bind,
      'a client either needs a certificate (`verify required`) or is not asked for one',
      `ca-file ${ca}`,
    );
  }
  if (isNeeded && ca === '')
    throw new Loss('`verify required` without `ca-file`: `tls.clientCa` would be right');
  const authorities = isNeeded ? files.resolve(ca, base.ca) : undefined;
  if (authorities !== undefined && files.read(authorities) === undefined)
    ledger.changed(bind, MISSING, `ca-file ${ca}`);
  return {
    ...first,
    certificates: others.length > 0 ? others : undefined,
    clientCa: authorities === undefined ? undefined : `file:${authorities}`,
    minVersion: minVersion === 'TLSv1.3' ? '1.3' : undefined,
  };
}

const MISSING = 'the file is not on this machine: `gantry check` asks for it until it is there';

/** HAProxy's PEM files have certificate and key in one; a folder stands for all that are in it, in the order of their names. */
function certificatesOf(written: string, bind: Directive, { files, base, ledger }: BindOptions): Tree[] {
  const path = files.resolve(written, base.crt);
  const inside = files
    .list(path)
    ?.filter((name) => !/\.(?:key|issuer|ocsp|sctl|dhparam)$/.test(name) && !name.startsWith('.'));
  const paths = inside?.sort().map((name) => `${path}/${name}`) ?? [path];
  return paths.map((each) => {
    const text = files.read(each);
    if (text === undefined) ledger.changed(bind, MISSING, `crt ${written}`);
    const isWhole = text === undefined || /PRIVATE KEY-----/.test(text);
    return { cert: `file:${each}`, key: `file:${isWhole ? each : `${each}.key`}` };
  });
}
