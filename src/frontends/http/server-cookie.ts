/**
 * The cookie that brings a client back to its server. Its value names servers, each with a code that only the balancer
 * can make, so that nobody chooses a server for himself:
 *
 *     value = entry *7( "!" entry )                 newest first: pools that share the name of a cookie share its value
 *     entry = server "~" code                       server: percent-encoded where RFC 6265 4.1.1 or this syntax asks for it
 *     code  = base64url( HMAC-SHA256(key, cookie NUL server)[0..15] )
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { cookieValues } from '../../../protocols/http/cookies.ts';

export interface ServerCookies {
  /**
   * The servers that the cookies called `name` name, as far as they are ours: newest first. What is forged, truncated or
   * too long is passed over. `fields`: the values of the request's Cookie fields.
   */
  read(fields: readonly string[], name: string): readonly string[];
  /** A Set-Cookie value that brings the client back to `server`, and to those of `kept` that other pools chose. */
  write(name: string, server: string, kept: readonly string[], options: { readonly secure: boolean }): string;
}

const MOST_ENTRIES = 8;
/** What is longer is not ours: eight entries with names of hundreds of characters. */
const LONGEST_VALUE = 4096;
const CODE_BYTES = 16;
/** Entries that were made before, so that a request costs no HMAC: as many as there are servers, times cookies. */
const MOST_KNOWN = 4096;

/** `key`: at least 16 bytes; the same on every balancer that shares clients. */
export function createServerCookies({ key }: { readonly key: Uint8Array }): ServerCookies {
  /** Only of servers that proved true, or made-up ones would push them out. */
  const known = new Map<string, Buffer>();

  function codeOf(name: string, server: string): Buffer {
    const subject = `${name}\0${server}`;
    const code = known.get(subject);
    if (code) return code;
    const bytes = createHmac('sha256', key).update(subject).digest().subarray(0, CODE_BYTES);
    return Buffer.from(bytes.toString('base64url'), 'latin1');
  }

  function keep(name: string, server: string, code: Buffer): void {
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(`${name}\0${server}`, code);
  }

  function serverIn(name: string, entry: string): string | undefined {
    const tilde = entry.lastIndexOf('~');
    const server = tilde > 0 ? decodeName(entry.slice(0, tilde)) : undefined;
    if (server === undefined) return undefined;
    // Compared as text: several texts decode to the same bytes.
    const given = Buffer.from(entry.slice(tilde + 1), 'latin1');
    const code = codeOf(name, server);
    if (given.length !== code.length || !timingSafeEqual(given, code)) return undefined;
    keep(name, server, code);
    return server;
  }

  return {
    read(fields, name) {
      const values = cookieValues(fields, name).filter((value) => value.length <= LONGEST_VALUE);
      const entries = values.slice(0, MOST_ENTRIES).flatMap((value) => value.split('!', MOST_ENTRIES));
      const servers = entries.slice(0, MOST_ENTRIES).flatMap((entry) => serverIn(name, entry) ?? []);
      return [...new Set(servers)];
    },

    write(name, server, kept, { secure }) {
      const servers = [server, ...kept.filter((other) => other !== server)].slice(0, MOST_ENTRIES);
      const entries = servers.map((each) => {
        const code = codeOf(name, each);
        keep(name, each, code);
        return `${encodeName(each)}~${code.toString('latin1')}`;
      });
      return `${name}=${entries.join('!')}; Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
    },
  };
}

/** Everything but letters, digits and `-._` is percent-encoded, as UTF-8. */
function encodeName(server: string): string {
  return encodeURIComponent(server).replace(
    /[!~*'()]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function decodeName(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
