/** Methods by what repeating them does (RFC 9110 9.2). Their names have a case (RFC 9110 9.1). */

/** Requests that ask and change nothing (RFC 9110 9.2.1; PROPFIND, REPORT, SEARCH, QUERY: IANA's method registry). */
const SAFE: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'REPORT',
  'SEARCH',
  'QUERY',
]);

export function isSafe(method: string): boolean {
  return SAFE.has(method);
}

/** May a request be sent once more when nothing tells whether it was dealt with (RFC 9110 9.2.2)? */
export function isIdempotent(method: string): boolean {
  return SAFE.has(method) || method === 'PUT' || method === 'DELETE';
}
