/**
 * What becomes of the head of a request on its way to a server, and of a response's on its way back.
 *
 * No Via is added, although RFC 9110 7.6.3 asks a gateway for one in requests: servers as they are shipped (nginx's
 * gzip_proxied) no longer compress for a request that has it, and it would tell them nothing that Forwarded does not.
 */
import type { Framing } from '../../../protocols/http/body-reader.ts';
import { removeCookie } from '../../../protocols/http/cookies.ts';
import { type Fields, fieldValue, fieldValues } from '../../../protocols/http/fields.ts';
import { withForwarded } from '../../../protocols/http/forwarded.ts';
import { endToEnd } from '../../../protocols/http/hop-by-hop.ts';
import { mapBack } from '../../../protocols/http/location.ts';
import type { ResponseHead } from '../../../protocols/http/message-head.ts';
import { isWithoutContent } from '../../../protocols/http/methods.ts';
import type { BackMapping } from '../../../protocols/http/rewrite.ts';
import type { RequestHead } from '../../../protocols/http/strictness.ts';
import { describeEndpoint } from '../../endpoint.ts';
import type { Pool } from '../../pools/pool.ts';
import type { Server } from '../../pools/server.ts';
import type { Endpoint } from '../../relay/channel.ts';
import type { Origin } from './client.ts';
import { fieldLines } from './message-writer.ts';
import type { HttpSettings } from './settings.ts';

export interface ForwardedRequest {
  readonly request: RequestHead;
  /** What the server is asked for: path and query. */
  readonly target: string;
  /** What the client calls us. */
  readonly authority: string | undefined;
  readonly origin: Origin;
  readonly framing: Framing;
  /** The protocol that it offers to upgrade to. */
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
  /** The name of our own cookie. */
  readonly cookie: string | undefined;
}

/** The head that a server gets, with its empty line. */
export function requestHead(forwarded: ForwardedRequest, settings: HttpSettings): string {
  const { request, target, authority, origin, framing, upgrade, expectsContinue, cookie } = forwarded;
  let fields = endToEnd(request.rawHeaders, { withoutHost: true, withoutLength: true });
  if (cookie !== undefined) removeCookie(fields, cookie);
  const isTrusted = settings.forwarded === 'append' && settings.trusts(origin.remote.host);
  fields = withForwarded(fields, {
    mode: settings.forwarded === 'append' && !isTrusted ? 'replace' : settings.forwarded,
    client: origin.remote.host,
    proto: settings.scheme,
    host: authority,
    port: origin.local.port,
  });
  if (settings.changeRequest) fields = settings.changeRequest(fields);
  // HTTP/1.0 has no Host, and the server is spoken to in HTTP/1.1.
  const host = authority ?? describeEndpoint(origin.local);
  let head = `${request.method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fieldLines(fields)}`;
  // Where it ends is said as it was understood.
  if (framing === 'chunked') head += 'Transfer-Encoding: chunked\r\n';
  else if (framing !== 0 || fieldValue(request.rawHeaders, 'content-length') !== undefined)
    head += `Content-Length: ${framing}\r\n`;
  if (expectsContinue) head += 'Expect: 100-continue\r\n';
  const options: string[] = [];
  if (upgrade !== undefined) options.push('Upgrade');
  // RFC 9110 10.1.4: TE is about this connection.
  if (fieldValue(fields, 'te') !== undefined) options.push('TE');
  // A server that does not read this content must take nothing of it for a request.
  if (framing !== 0 && isWithoutContent(request.method)) options.push('close');
  if (options.length > 0) head += `Connection: ${options.join(', ')}\r\n`;
  if (upgrade !== undefined) head += `Upgrade: ${upgrade}\r\n`;
  return `${head}\r\n`;
}

/** The fields of an interim response, 1xx, that the client gets. */
export function interimFields({ rawHeaders }: ResponseHead): string[] {
  return endToEnd(rawHeaders, { withoutLength: true });
}

export interface ReturnedResponse {
  readonly head: ResponseHead;
  readonly authority: string | undefined;
  readonly endpoint: Endpoint;
  readonly isServerTls: boolean;
  readonly back: BackMapping | undefined;
  /** A Set-Cookie value of our own. */
  readonly setCookie: string | undefined;
}

/** The fields that the client gets. */
export function responseFields(returned: ReturnedResponse, settings: HttpSettings): string[] {
  const { head, authority, endpoint, isServerTls, back, setCookie } = returned;
  // RFC 9110 8.6: neither 1xx nor 204 has a length.
  let fields = endToEnd(head.rawHeaders, { withoutLength: head.status < 200 || head.status === 204 });
  const authorities = [describeEndpoint(endpoint)];
  if (authority !== undefined) authorities.push(authority);
  mapBack(fields, {
    client: { scheme: settings.scheme, authority },
    server: { scheme: isServerTls ? 'https' : 'http', authorities },
    back,
  });
  if (settings.changeResponse) fields = settings.changeResponse(fields);
  if (setCookie !== undefined) fields.push('Set-Cookie', setCookie);
  return fields;
}

/** The Set-Cookie value that brings the client back to `server`; undefined: it has one that does. */
export function cookieFor(
  name: string,
  { rawHeaders }: RequestHead,
  pool: Pool,
  server: Server,
  { cookies, scheme }: HttpSettings,
): string | undefined {
  const named = cookies.read(fieldValues(rawHeaders, 'cookie'), name);
  if (named.find((each) => pool.server(each)) === server.name) return undefined;
  const ofOthers = named.filter((each) => !pool.server(each));
  return cookies.write(name, server.name, ofOthers, { secure: scheme === 'https' });
}

/** The value of Host, or of HTTP/2's `:authority`, which goes before it. */
export function hostField(fields: Fields): string | undefined {
  let host: string | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (name === ':authority') return fields[at + 1];
    if (name.length === 4 && name.toLowerCase() === 'host') host ??= fields[at + 1];
  }
  return host;
}
