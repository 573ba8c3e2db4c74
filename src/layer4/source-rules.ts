/** The nftables table by which connections bear clients' addresses (`transparency.ts`). */
import { isIP } from 'node:net';

export const TABLE = 'inet gantry_source';

/** By these the table is known as ours, and as of this form. */
export const OURS = 'Gantry: addresses of clients';
export const THIS_FORM = `${OURS}, form 1`;

/** Longer than conntrack knows of a SYN that nobody answered: 120 s. */
const KEEP = 'flags timeout; timeout 140s;';

/**
 * `translate` comes before anybody else's source NAT: the first that translates is the only one. `verify` comes after it:
 * when somebody else was faster, or conntrack remembers the port as another client's, the SYN does not leave. Only what
 * this machine sends itself has a `skuid`: packets that it forwards may have the same ports.
 */
export const RULES = `table ${TABLE} {
  comment "${THIS_FORM}"
${setsOf(4)}
${setsOf(6)}
  chain translate {
    type nat hook postrouting priority srcnat - 1; policy accept;
    ${translationOf(4)}
    ${translationOf(6)}
  }
  chain verify {
    type filter hook postrouting priority srcnat + 1; policy accept;
    ${verificationOf(4)}
    ${verificationOf(6)}
  }
}
`;

type Version = 4 | 6;

/** Client of a port and server; ports and servers; and both with the client. */
function setsOf(version: Version): string {
  const key = `inet_service . ipv${version}_addr . inet_service`;
  return `  map clients${version} { type ${key} : ipv${version}_addr; ${KEEP} }
  set ports${version} { type ${key}; ${KEEP} }
  set borne${version} { type ${key} . ipv${version}_addr; ${KEEP} }`;
}

function translationOf(version: Version): string {
  const ip = version === 4 ? 'ip' : 'ip6';
  return `meta l4proto tcp fib saddr type local snat ${ip} to tcp sport . ${ip} daddr . tcp dport map @clients${version}`;
}

function verificationOf(version: Version): string {
  const ip = version === 4 ? 'ip' : 'ip6';
  const key = `tcp sport . ${ip} daddr . tcp dport`;
  const isSyn = 'tcp flags & (fin | syn | rst | ack) == syn';
  return `meta skuid >= 0 ${isSyn} ${key} @ports${version} ${key} . ${ip} saddr != @borne${version} drop`;
}

export interface Entry {
  /** An IP address. */
  readonly client: string;
  readonly server: { readonly host: string; readonly port: number };
  /** The local port. */
  readonly port: number;
}

/** Commands that put them into the table; that fail when a port to the same server is there already. */
export function entriesOf(all: readonly Entry[]): string[] {
  return ([4, 6] as const).flatMap((version) => {
    const some = all.filter(({ server }) => isIP(server.host) === version);
    if (some.length === 0) return [];
    const create = (set: string, element: (entry: Entry, key: string) => string) => {
      const elements = some.map((entry) => element(entry, keyOf(entry)));
      return `create element ${TABLE} ${set}${version} { ${elements.join(', ')} }`;
    };
    return [
      create('clients', ({ client }, key) => `${key} : ${client}`),
      create('ports', (_, key) => key),
      create('borne', ({ client }, key) => `${key} . ${client}`),
    ];
  });
}

function keyOf({ port, server }: Entry): string {
  return `${port} . ${server.host} . ${server.port}`;
}
