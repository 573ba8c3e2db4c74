/**
 * Who may ask what. Reads are open on loopback and need the token elsewhere; changes need the token when one is set,
 * and come from the same origin. Patient data needs a token, wherever the API listens, and no browser gets it.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';

export interface Access {
  /** The configured token; undefined: there is none. */
  readonly token: string | undefined;
  /** The API listens on a loopback address. */
  readonly onLoopback: boolean;
}

export interface AccessRequest {
  readonly method: string;
  readonly authorization: string | undefined;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** What is asked for is patient data. */
  readonly isConfidential: boolean;
  /** Sec-Fetch-Site: every browser sends it, and no script can leave it out. */
  readonly fetchSite: string | undefined;
}

export interface Refusal {
  readonly status: 401 | 403;
  readonly detail: string;
}

/** undefined: may pass. */
export function refusalOf(request: AccessRequest, { token, onLoopback }: Access): Refusal | undefined {
  const change = request.method !== 'GET' && request.method !== 'HEAD';
  if (change && request.origin !== undefined && hostOf(request.origin) !== request.host) {
    return { status: 403, detail: 'Changes are taken from the same origin only.' };
  }
  if (request.isConfidential && token === undefined) {
    return {
      status: 403,
      detail: 'This is shown only to who has the token, and none is set: set admin.token.',
    };
  }
  if (request.isConfidential && request.fetchSite !== undefined) {
    return { status: 403, detail: 'This is not shown to browsers: `gantry queue show` prints it.' };
  }
  if (token !== undefined && request.authorization !== undefined) {
    return bears(request.authorization, token) ? undefined : { status: 401, detail: 'The token is wrong.' };
  }
  if (token !== undefined && (change || !onLoopback || request.isConfidential)) {
    return { status: 401, detail: 'A token is needed: Authorization: Bearer TOKEN.' };
  }
  // A page on the web can give its own name this address (DNS rebinding) and read what is open here.
  if (!isLoopbackName(request.host)) {
    return {
      status: 403,
      detail: 'Without a token, only a loopback name is answered (localhost, 127.0.0.1).',
    };
  }
  return undefined;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Is it an address that only this machine reaches? */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0 ? host === 'localhost' : loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

function isLoopbackName(hostHeader: string | undefined): boolean {
  // RFC 9112 3.2: a request of HTTP/1.0 may have none, and no browser sends it.
  if (hostHeader === undefined) return true;
  const host = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(hostHeader);
  return isLoopback((host?.[1] ?? host?.[2] ?? '').toLowerCase());
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

/** Compares in constant time, whatever the lengths. */
function bears(authorization: string, token: string): boolean {
  const digest = (value: string) => createHash('sha256').update(value).digest();
  return timingSafeEqual(digest(authorization), digest(`Bearer ${token}`));
}
