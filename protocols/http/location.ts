/**
 * What an answer says about addresses, turned back into the client's world: Location (RFC 9110 10.2.2), Content-Location
 * (8.7), Refresh, and the paths of cookies (RFC 6265 4.1.2.4).
 */
import { canonicalAuthority } from './authority.ts';
import { withCookiePath } from './cookies.ts';
import { isField } from './fields.ts';
import type { BackMapping } from './rewrite.ts';
import { normalisePath } from './target.ts';

export interface Worlds {
  readonly client: {
    readonly scheme: 'http' | 'https';
    /** The Host that the client sent. */
    readonly authority: string | undefined;
  };
  readonly server: {
    readonly scheme: 'http' | 'https';
    /** What the server may call itself: the address it was dialled at, the Host that was sent to it. */
    readonly authorities: readonly string[];
  };
  /** Of the rewriting of this request. */
  readonly back?: BackMapping | undefined;
}

/** Rewrites flat fields of a response, in place. */
export function mapBack(fields: string[], worlds: Worlds): void {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (isField(name, 'location') || isField(name, 'content-location')) {
      fields[at + 1] = locationBack(fields[at + 1]!, worlds);
    } else if (isField(name, 'refresh')) {
      fields[at + 1] = fields[at + 1]!.replace(
        /(;[ \t]*url[ \t]*=[ \t]*["']?)([^"']+)/i,
        (_all, before: string, url: string) => before + locationBack(url, worlds),
      );
    } else if (worlds.back && isField(name, 'set-cookie')) {
      fields[at + 1] = withCookiePath(fields[at + 1]!, worlds.back);
    }
  }
}

/** A URI reference (RFC 3986 4.1) of the server's as the client needs it. What names others stays as it is. */
export function locationBack(location: string, { client, server, back }: Worlds): string {
  const absolute = /^(?:(https?):)?\/\/([^/?#]*)(.*)$/is.exec(location);
  if (!absolute) return location.startsWith('/') ? pathBack(location, back) : location;
  const [, scheme, authority, rest] = absolute;
  // Another scheme than the one the server was spoken to in is a redirect on purpose, as from http to https.
  const isOwnScheme = scheme === undefined || scheme.toLowerCase() === server.scheme;
  if (!isOwnScheme || !names(server, authority!)) return location;
  const path = pathBack(rest!, back);
  return client.authority === undefined ? path || '/' : `${client.scheme}://${client.authority}${path}`;
}

function names({ scheme, authorities }: Worlds['server'], authority: string): boolean {
  const named = canonicalAuthority(authority, scheme);
  return authorities.some((own) => canonicalAuthority(own, scheme) === named);
}

/** Path, query and fragment. */
function pathBack(reference: string, back: BackMapping | undefined): string {
  if (!back) return reference;
  const end = reference.search(/[?#]/);
  const path = end === -1 ? reference : reference.slice(0, end);
  const mapped = back(path || '/') ?? back(normalisePath(path || '/'));
  return mapped === undefined ? reference : mapped + (end === -1 ? '' : reference.slice(end));
}
