/**
 * Who the client is, told to the server: Forwarded (RFC 7239 4) and the X-Forwarded-* fields that came before it.
 *
 *     Forwarded:         for=192.0.2.1;proto=https;host=portal.example, for="[2001:db8::1]:4711"
 *     X-Forwarded-For:   192.0.2.1, 2001:db8::1
 *     X-Forwarded-Proto: https           X-Forwarded-Host: portal.example           X-Forwarded-Port: 443
 */

export interface Forwarding {
  /**
   * append: what came is kept and this hop goes behind it - for a peer that is trusted. replace: what came goes, this
   * hop is the first. off: all stays as it came.
   */
  readonly mode: 'append' | 'replace' | 'off';
  /** The peer's address, without port and brackets. */
  readonly client: string;
  readonly proto: 'http' | 'https';
  /** What the client calls us: Host, or `:authority`. */
  readonly host: string | undefined;
  /** The port it came to. */
  readonly port?: number | undefined;
  /** The address that it came to, for Forwarded's `by`. */
  readonly by?: string | undefined;
}

/** Flat fields with this hop in them: a new array, unless the mode is off. */
export function withForwarded(fields: string[], forwarding: Forwarding): string[] {
  if (forwarding.mode === 'off') return fields;
  const { kept, came } = takeApart(fields, forwarding.mode === 'append');
  const { proto, host, port } = forwarding;
  const client = plainAddress(forwarding.client);
  const own = ownElement(client, forwarding);
  if (came === undefined) {
    kept.push('X-Forwarded-For', client, 'X-Forwarded-Proto', proto);
    if (host !== undefined) kept.push('X-Forwarded-Host', host);
    if (port !== undefined) kept.push('X-Forwarded-Port', String(port));
    kept.push('Forwarded', own);
    return kept;
  }
  const { addresses, elements } = chain(came);
  const [first] = parseForwarded(came.get('forwarded') ?? '') ?? [];
  const cameHost = came.get('x-forwarded-host') ?? first?.get('host') ?? host;
  const camePort = came.get('x-forwarded-port');
  kept.push('X-Forwarded-For', [...addresses, client].join(', '));
  kept.push('X-Forwarded-Proto', came.get('x-forwarded-proto') ?? first?.get('proto') ?? proto);
  if (cameHost !== undefined) kept.push('X-Forwarded-Host', cameHost);
  if (camePort !== undefined) kept.push('X-Forwarded-Port', camePort);
  kept.push('Forwarded', [...elements, own].join(', '));
  return kept;
}

/** forwarded-element (RFC 7239 4) of this hop. */
function ownElement(client: string, { proto, host, by }: Forwarding): string {
  const from = `for=${quoted(node(client))};proto=${proto}`;
  const asked = host === undefined ? from : `${from};host=${quoted(host)}`;
  return by === undefined ? asked : `${asked};by=${quoted(node(plainAddress(by)))}`;
}

/** Written anew with each hop. Several fields of one name are one list (RFC 9110 5.3). */
const REWRITTEN: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
]);

/**
 * Fields beside those that tell of a client. From a peer that is not trusted nothing stays that a server could take for
 * the client's address, not even spelled with underscores, which many servers take for hyphens.
 */
function takeApart(
  fields: readonly string[],
  isTrusted: boolean,
): { kept: string[]; came: Map<string, string> | undefined } {
  const kept: string[] = [];
  let came: Map<string, string> | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const value = fields[at + 1]!;
    const lower = tellingName(name);
    if (lower === undefined || (isTrusted && !REWRITTEN.has(lower))) {
      kept.push(name, value);
    } else if (isTrusted && value !== '') {
      came ??= new Map();
      const before = came.get(lower);
      came.set(lower, before === undefined ? value : `${before}, ${value}`);
    }
  }
  return { kept, came };
}

/** The field's name in lower case and with hyphens when it tells of a client. */
function tellingName(name: string): string | undefined {
  const first = name.charCodeAt(0) | 0x20;
  if ((first !== 0x66 && first !== 0x78) || name.length < 9) return undefined;
  const lower = name.toLowerCase().replaceAll('_', '-');
  return lower === 'forwarded' || lower.startsWith('x-forwarded-') || lower === 'x-real-ip'
    ? lower
    : undefined;
}

/** The hops before this one, in both notations. What only one of them has, the other gets too (RFC 7239 7.4). */
function chain(came: ReadonlyMap<string, string>): {
  addresses: readonly string[];
  elements: readonly string[];
} {
  const list = came
    .get('x-forwarded-for')
    ?.split(',')
    .map((address) => address.trim())
    .filter(Boolean);
  const forwarded = parseForwarded(came.get('forwarded') ?? '');
  const addresses = list ?? forwarded?.map((pairs) => plainNode(pairs.get('for') ?? 'unknown')) ?? [];
  if (forwarded) return { addresses, elements: forwarded.map((pairs) => element(Object.fromEntries(pairs))) };
  const proto = came.get('x-forwarded-proto');
  const host = came.get('x-forwarded-host');
  const elements = addresses.map((address, hop) =>
    element(hop === 0 ? { for: address, proto, host } : { for: address }),
  );
  return { addresses, elements };
}

/** A forwarded-element of another hop, its values quoted where they are no token. */
function element(pairs: Readonly<Record<string, string | undefined>>): string {
  const written: string[] = [];
  for (const [name, value] of Object.entries(pairs)) {
    if (value === undefined) continue;
    written.push(`${name}=${quoted(name === 'for' || name === 'by' ? node(value) : value)}`);
  }
  return written.join(';');
}

/** node (RFC 7239 6): an IPv6 address has brackets. */
function node(value: string): string {
  const bracketed = /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.test(value) ? `[${value}]` : value;
  return NODE.test(bracketed) ? bracketed : 'unknown';
}

const NODE = /^(?:[0-9.]+|\[[0-9A-Fa-f:.]+\]|unknown|_[\w.-]+)(?::(?:\d{1,5}|_[\w.-]+))?$/i;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function quoted(value: string): string {
  return TOKEN.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

/** A node without port and brackets, as X-Forwarded-For has it. */
function plainNode(value: string): string {
  return /^\[([0-9A-Fa-f:.]+)\]/.exec(value)?.[1] ?? value.replace(/:[^:]*$/, '');
}

/** An address as the socket has it, without what says that it is IPv4 inside IPv6, and without its zone. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=[0-9.]+$)/i, '').replace(/%.*$/, '');
}

const PAIR = /[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^",;\s]+))?[ \t]*(;|,|$)/y;

/** The elements of a Forwarded value, their pairs by name in lower case; undefined: there are none, or it is malformed. */
export function parseForwarded(value: string): ReadonlyMap<string, string>[] | undefined {
  const elements: Map<string, string>[] = [];
  let pairs = new Map<string, string>();
  PAIR.lastIndex = 0;
  for (;;) {
    const match = PAIR.exec(value);
    if (!match) return undefined;
    const [, name, raw, end] = match;
    if (name !== undefined) pairs.set(name.toLowerCase(), unquoted(raw!));
    if (end === ';') continue;
    if (pairs.size > 0) elements.push(pairs);
    if (end === '') return elements.length > 0 ? elements : undefined;
    pairs = new Map();
  }
}

function unquoted(raw: string): string {
  return raw.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, '$1') : raw;
}
