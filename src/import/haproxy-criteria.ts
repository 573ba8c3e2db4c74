/**
 * What one ACL line asks, `path_beg -i /img /css`, as a condition on facts (HAProxy's manual, 7 "Using ACLs and fetching
 * samples").
 */
import { ALWAYS, type Condition, fact, NEVER } from './condition.ts';
import { LISTS, type Match, matchOf, patternOf } from './haproxy-pattern.ts';
import { readSample, type Sample } from './haproxy-sample.ts';
import { networkOf } from './haproxy-values.ts';
import { Loss } from './losses.ts';

/** Of the VIP that the condition is for. */
export interface Criteria {
  readonly protocol: 'http' | 'tcp';
  /** Does TLS end here? */
  readonly isTls: boolean;
  readonly ports: readonly number[];
  /** The text of a file of patterns; undefined: it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
}

const SUFFIX = /_(beg|end|sub|dir|dom|reg|len)$/;

/** Throws a Loss that says what would do instead. `words`: the criterion, its flags and its patterns. */
export function criterion([expression = '', ...words]: readonly string[], criteria: Criteria): Condition {
  const sample = readSample(expression);
  if (!sample) throw new Loss(`"${expression}" is not known here`);
  const suffix = SUFFIX.exec(sample.name)?.[1] as Match | undefined;
  const name = sample.name.replace(SUFFIX, '').replace(/^req[._]/, '');
  const { flags, patterns, match = suffix } = flagsOf(words, criteria);
  const constant = constantOf(name, patterns, criteria);
  if (constant) return constant;
  const of = factOf(name, sample, criteria);
  let ignoreCase = flags.includes('-i');
  for (const { name: converter, argument } of sample.converters) {
    if (converter === 'lower' || converter === 'upper') ignoreCase = true;
    else if (
      !(of === 'host' && (converter === 'host_only' || (converter === 'field' && argument?.startsWith('1,'))))
    )
      throw new Loss(
        `Gantry has nothing like the converter "${converter}": ask for the fact itself in \`when\``,
      );
  }
  if (match === 'found') return fact(of, ['*']);
  if (match === 'len' || match === 'bin' || match === 'int' || match === 'bool')
    throw new Loss(`Gantry compares texts, not by "${match}": a regular expression may say the same`);
  if (of === 'client') return fact(of, patterns.map(network));
  if (patterns.length === 0) throw new Loss('it names nothing to compare with');
  // What servers and clients know as one name: a host has no case, and no port in `host`.
  const lowers = of === 'host' || of === 'sni';
  const wanted = patterns.map((pattern) => (of === 'host' ? pattern.replace(/:\d+$/, '') : pattern));
  const isList = name === 'hdr' && LISTS.test(of);
  return fact(
    of,
    wanted.map((pattern) =>
      patternOf(of, lowers ? pattern.toLowerCase() : pattern, {
        match: match ?? 'str',
        ignoreCase: ignoreCase && !lowers,
        isList,
      }),
    ),
  );
}

function flagsOf(words: readonly string[], { readFile }: Criteria) {
  const flags: string[] = [];
  const patterns: string[] = [];
  let match: Match | undefined;
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at]!;
    if (word === '--') {
      at += 1;
      break;
    }
    if (!/^-[a-zA-Z]$/.test(word)) break;
    if (word === '-m') match = matchOf(words[++at]);
    else if (word === '-f') patterns.push(...fileOf(words[++at] ?? '', readFile));
    else if (word === '-M') throw new Loss('Gantry has no maps: a route for each entry says the same');
    else if (word === '-u') at += 1;
    else flags.push(word);
  }
  return { flags, patterns: [...patterns, ...words.slice(at)], match };
}

const MOST_PATTERNS = 1000;

function fileOf(path: string, readFile: Criteria['readFile']): string[] {
  const text = readFile(path);
  if (text === undefined)
    throw new Loss(`${path} cannot be read here: import where it is, or write its patterns into the rule`);
  const patterns = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (patterns.length > MOST_PATTERNS) throw new Loss(`${path} has more than ${MOST_PATTERNS} patterns`);
  return patterns;
}

/** What is known before any connection comes. */
function constantOf(
  name: string,
  patterns: readonly string[],
  { isTls, ports, protocol }: Criteria,
): Condition | undefined {
  if (name === 'always_true' || name === 'wait_end') return ALWAYS;
  if (name === 'always_false') return NEVER;
  if (name === 'ssl_fc') return isTls === (patterns[0] !== 'false' && patterns[0] !== '0') ? ALWAYS : NEVER;
  if (name === 'proto_http' && protocol === 'http') return ALWAYS;
  if (name !== 'dst_port') return undefined;
  const fitting = ports.filter((port) => isInRange(port, patterns));
  if (fitting.length === ports.length) return ALWAYS;
  return fact('port', fitting.map(String));
}

/** `443`, `1024:65535`, `lt 1024`, `ge 1024`. */
function isInRange(port: number, patterns: readonly string[]): boolean {
  const [operator = '', bound] = patterns;
  const limit = Number(bound);
  if (operator === 'eq') return isInRange(port, patterns.slice(1));
  if (operator === 'lt') return port < limit;
  if (operator === 'le') return port <= limit;
  if (operator === 'gt') return port > limit;
  if (operator === 'ge') return port >= limit;
  return patterns.some((pattern) => {
    const [from = '', to = from] = pattern.split(':');
    return port >= Number(from || 0) && port <= Number(to || 65_535);
  });
}

/** Fetches of HTTP requests → facts. */
const REQUEST: Readonly<Record<string, string>> = {
  path: 'path',
  url: 'path',
  method: 'method',
  meth: 'method',
};
const NAMED: Readonly<Record<string, string>> = {
  hdr: 'header',
  fhdr: 'header',
  hdr_ip: 'header',
  cook: 'cookie',
  url_param: 'query',
  urlp: 'query',
};

function factOf(name: string, { argument }: Sample, { protocol, isTls }: Criteria): string {
  if (name === 'src') return 'client';
  if (name === 'ssl_sni' || name === 'ssl_fc_sni') {
    if (name === 'ssl_sni' ? protocol === 'tcp' && !isTls : isTls) return 'sni';
    throw new Loss(
      name === 'ssl_sni'
        ? 'TLS ends here, or HTTP is spoken: `host` is the fact to ask for'
        : 'TLS does not end at this VIP',
    );
  }
  const isRequest = Object.hasOwn(REQUEST, name) || Object.hasOwn(NAMED, name);
  if (isRequest && protocol === 'tcp')
    throw new Loss('this VIP is TCP, in which nobody sees a request: `mode http` would be right');
  if (Object.hasOwn(REQUEST, name)) return REQUEST[name]!;
  if (Object.hasOwn(NAMED, name)) {
    const [inner = ''] = (argument ?? '').split(',');
    const kind = NAMED[name]!;
    if (kind === 'header' && inner.toLowerCase() === 'host') return 'host';
    if (kind === 'query' ? inner !== '' : /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(inner))
      return `${kind}.${inner}`;
    throw new Loss(`"${name}" without a name looks at all of them: name one`);
  }
  throw new Loss(
    ADVICE.find(([fetch]) => fetch.test(name))?.[1] ??
      `Gantry has no fact like "${name}": docs/configuration.md lists them`,
  );
}

const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:nbsrv|connslots|be_|srv_|avg_queue|queue)/,
    'rules do not ask how servers are: `backup: true` on servers of the same pool says who helps out',
  ],
  [
    /^(?:fe_|sc\d*_|src_|table_|stopping)/,
    'Gantry counts nothing by client in rules: `limits` of the VIP and a firewall (nftables `limit rate`) would do',
  ],
  [
    /^(?:http_auth|http_first_req)/,
    'Gantry asks for no passwords: keep people out by `client`, or by certificates (`tls.clientCa`)',
  ],
  [
    /^(?:ssl_c_|ssl_fc_has_crt)/,
    '`tlsSubject` is the fact to ask for, with `tls.clientCa`; without it no client shows a certificate',
  ],
  [
    /^ssl_hello_type|^payload|^len$|^rdp_/,
    'rules do not look into the bytes: `sni` says which name TLS asks for',
  ],
  [/^base/, '`host` and `path` in one `when` say the same'],
  [
    /^(?:dst|fc_|so_|fe_id)/,
    'there is no fact for the address that a client came to: a VIP for each address says the same',
  ],
  [/^(?:var|capture\.)/, 'Gantry has no variables: ask for the fact itself in `when`'],
  [/^res[._]|^status$/, 'rules decide before there is an answer'],
  [/^(?:date|rand|nbproc|hostname|env)/, 'rules ask what a client says, nothing else'],
  [
    /^(?:query|body|hdrs|hdr_cnt|hdr_names|ver|pathq)/,
    'there is no such fact: `path`, `query.NAME`, `header.NAME` and `cookie.NAME` are',
  ],
];

/** The fact that is remembered or hashed by `src`, `hdr(X)`, `url_param(X)`…; `netmask` of `src,ipmask(24)`. Throws a Loss. */
export function keyFact(expression: string, criteria: Criteria): { by: string; netmask: number | undefined } {
  const sample = readSample(expression);
  if (!sample) throw new Loss(`"${expression}" is not known here`);
  const name = sample.name.replace(/^req[._]/, '');
  const [converter, ...more] = sample.converters;
  const netmask =
    name === 'src' && converter?.name === 'ipmask' ? Number(converter.argument?.split(',')[0]) : undefined;
  const isMask = netmask !== undefined && netmask >= 1 && netmask <= 32;
  if (more.length > 0 || (converter !== undefined && !isMask))
    throw new Loss(`Gantry has nothing like the converter "${(isMask ? more[0] : converter)!.name}"`);
  return { by: name === 'src' ? 'source-ip' : factOf(name, sample, criteria), netmask };
}

function network(written: string): string {
  const found = networkOf(written);
  if (found === undefined) throw new Loss(`"${written}" is not a network: 10.1.0.0/16 would be right`);
  return found;
}
