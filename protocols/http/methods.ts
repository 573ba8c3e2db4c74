/** Methods by what repeating them does (RFC 9110 9.2). Their names have a case (RFC 9110 9.1). */

/** PUT, DELETE and those that change nothing (RFC 9110 9.2.2; PROPFIND, REPORT, SEARCH, QUERY: IANA's registry). */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'PUT',
  'DELETE',
  'PROPFIND',
  'REPORT',
  'SEARCH',
  'QUERY',
]);

/** Methods whose content means nothing (RFC 9110 9.3). */
const WITHOUT_CONTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

/**
 * Does content come unexpected with this method? There are servers that do not read it then, and take it for the next
 * request (RFC 9110 9.3.1).
 */
export function isWithoutContent(method: string): boolean {
  return WITHOUT_CONTENT.has(method);
}

/** May a request be sent once more when nothing tells whether it was dealt with? */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}
