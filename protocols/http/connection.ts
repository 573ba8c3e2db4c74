/**
 * Connection: what belongs to this connection only, besides what always does (RFC 9110 7.6.1, 7.8).
 *
 *     Connection = #connection-option      close, upgrade, or the name of a field that goes no further
 */
import { type Fields, isField, listMembers } from './fields.ts';

/** Values that were read before: there are few spellings. The cap is for peers that make them up. */
const READ = new Map<string, readonly string[]>();
const MAX_READ = 200;
const LONGEST_READ = 100;

/** The options of a Connection value, in lower case. */
export function connectionOptions(value: string): readonly string[] {
  const known = READ.get(value);
  if (known) return known;
  if (READ.size >= MAX_READ || value.length > LONGEST_READ) return listMembers(value);
  // A text of its own: part of a text would keep the whole head that it came in.
  const own = Buffer.from(value, 'latin1').toString('latin1');
  const options = listMembers(own);
  READ.set(own, options);
  return options;
}

/**
 * Fields that Connection must not name, because everyone on the way needs them (RFC 9110 7.6.1). A client that could
 * have them dropped would hide from the server who it is or what it sends.
 */
const FOR_EVERYONE: ReadonlySet<string> = new Set([
  'accept',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expect',
  'forwarded',
  'host',
  'location',
  'origin',
  'range',
  'referer',
  'set-cookie',
  'via',
  'x-real-ip',
]);

/** Must the field of this name, in lower case, stay whatever Connection says? */
export function isForEveryone(option: string): boolean {
  return FOR_EVERYONE.has(option) || option.startsWith('x-forwarded');
}

/**
 * Does the sender of this message keep the connection for another one (RFC 9112 9.3)? Connection may come in several
 * fields.
 */
export function isPersistent(version: string, fields: Fields): boolean {
  let isKept = version === '1.1';
  for (let at = 0; at < fields.length; at += 2) {
    if (!isField(fields[at]!, 'connection')) continue;
    const options = connectionOptions(fields[at + 1]!);
    if (options.includes('close')) return false;
    isKept ||= options.includes('keep-alive');
  }
  return isKept;
}

/** Protocols that a connection is not handed over to: what came through it then would pass by every rule. */
const NOT_CARRIED = /^(?:h2c|http|tls)(?:\/|$)/;

/**
 * The protocol that the connection of this HTTP/1 request is to become (RFC 9110 7.8), in lower case: `websocket`.
 * undefined: none, or one to ignore: in HTTP/1.0, without `Connection: upgrade`, several at choice, or HTTP/2 and TLS,
 * which clients offer with ordinary requests and do without.
 */
export function upgradeProtocol(version: string, fields: Fields): string | undefined {
  if (version !== '1.1') return undefined;
  let protocol: string | undefined;
  let isMeant = false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (isField(name, 'upgrade')) {
      if (protocol !== undefined) return undefined;
      protocol = fields[at + 1]!.trim().toLowerCase();
    } else if (isField(name, 'connection')) {
      isMeant ||= connectionOptions(fields[at + 1]!).includes('upgrade');
    }
  }
  const isOne = protocol !== undefined && /^[!#$%&'*+.^_`|~0-9a-z/-]+$/.test(protocol);
  return isMeant && isOne && !NOT_CARRIED.test(protocol!) ? protocol : undefined;
}
