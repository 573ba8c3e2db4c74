/**
 * Fields that end here, because they are about one connection (RFC 9110 7.6.1): Connection and what it names,
 * Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade; with them those of proxies (RFC 9110 11.7), which a
 * gateway is not, and Expect, which the balancer meets itself.
 */
import { connectionOptions, isForEveryone } from './connection.ts';
import { type Fields, isField, listMembers } from './fields.ts';

export interface EndToEndOptions {
  /** Also without Host (and HTTP/2's pseudo-header fields always): the sender writes it itself. */
  readonly withoutHost?: boolean;
  /** Also without Content-Length: there can be none, or the sender writes it itself. */
  readonly withoutLength?: boolean;
}

/**
 * The fields that go on, in a new array. `TE: trailers` does: whoever is asked next is asked for trailers too. Several
 * Cookie fields, as HTTP/2 has them, become one (RFC 9113 8.2.3).
 */
export function endToEnd(fields: Fields, options: EndToEndOptions = {}): string[] {
  const kept: string[] = [];
  let named: Set<string> | undefined;
  let cookie = -1;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const value = fields[at + 1]!;
    switch (kindOf(name)) {
      case 'connection':
        for (const option of connectionOptions(value).filter(namesField)) {
          named ??= new Set();
          named.add(option);
        }
        continue;
      case 'hop':
        continue;
      case 'te':
        if (wantsTrailers(value)) kept.push(name, 'trailers');
        continue;
      case 'host':
        if (options.withoutHost) continue;
        break;
      case 'length':
        if (options.withoutLength) continue;
        break;
      case 'cookie':
        if (cookie !== -1) {
          kept[cookie] += `; ${value}`;
          continue;
        }
        cookie = kept.length + 1;
        break;
    }
    kept.push(name, value);
  }
  return named ? without(kept, named) : kept;
}

type Kind = 'connection' | 'hop' | 'te' | 'host' | 'length' | 'cookie' | undefined;

/** Few names have these lengths: most fields are passed over without a comparison. */
function kindOf(name: string): Kind {
  // Pseudo-header fields (RFC 9113 8.3).
  if (name.charCodeAt(0) === 0x3a) return 'hop';
  switch (name.length) {
    case 2:
      return isField(name, 'te') ? 'te' : undefined;
    case 4:
      return isField(name, 'host') ? 'host' : undefined;
    case 6:
      if (isField(name, 'cookie')) return 'cookie';
      return isField(name, 'expect') ? 'hop' : undefined;
    case 7:
      return isField(name, 'upgrade') ? 'hop' : undefined;
    case 10:
      if (isField(name, 'connection')) return 'connection';
      return isField(name, 'keep-alive') ? 'hop' : undefined;
    case 14:
      if (isField(name, 'content-length')) return 'length';
      return isField(name, 'http2-settings') ? 'hop' : undefined;
    case 16:
      return isField(name, 'proxy-connection') ? 'hop' : undefined;
    case 17:
      return isField(name, 'transfer-encoding') ? 'hop' : undefined;
    case 18:
      return isField(name, 'proxy-authenticate') ? 'hop' : undefined;
    case 19:
      return isField(name, 'proxy-authorization') ? 'hop' : undefined;
    case 25:
      return isField(name, 'proxy-authentication-info') ? 'hop' : undefined;
    default:
      return undefined;
  }
}

/** Options that are no fields, or whose fields are gone anyway. */
const NO_FIELDS: ReadonlySet<string> = new Set(['close', 'keep-alive', 'upgrade', 'te', 'http2-settings']);

/** What everyone needs stays, whatever Connection says. */
function namesField(option: string): boolean {
  return !NO_FIELDS.has(option) && !isForEveryone(option);
}

function without(fields: string[], named: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    if (!named.has(fields[at]!.toLowerCase())) kept.push(fields[at]!, fields[at + 1]!);
  }
  return kept;
}

function wantsTrailers(value: string): boolean {
  return value === 'trailers' || listMembers(value).includes('trailers');
}

/**
 * The trailer fields that go on: not what frames, routes or authenticates a message, which is over by then, nor what
 * tells who sent it (RFC 9110 6.5.1). There are servers that put trailers among the header fields, and some of these
 * take underscores for hyphens.
 */
export function endToEndTrailers(trailers: Fields): string[] {
  const kept: string[] = [];
  for (let at = 0; at < trailers.length; at += 2) {
    const lower = trailers[at]!.toLowerCase().replaceAll('_', '-');
    const isForHeads = kindOf(lower) !== undefined || isForEveryone(lower) || lower === 'trailer';
    if (!isForHeads) kept.push(trailers[at]!, trailers[at + 1]!);
  }
  return kept;
}
