/**
 * Who a request is for (RFC 9110 4.2, RFC 3986 3.2):
 *
 *     authority = host [ ":" port ]        host: a name, an IPv4 address, an IPv6 address in brackets
 */

/** Without userinfo and percent-encoding: names as they are looked up. */
const AUTHORITY = /^(?:[0-9A-Za-z._~-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?$/;

export function isAuthority(text: string): boolean {
  const match = AUTHORITY.exec(text);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}

/** The host without its port, in lower case; an IPv6 address keeps its brackets. */
export function hostOf(authority: string): string {
  return authority.replace(/:\d*$/, '').toLowerCase();
}

/** In lower case and without the port that the scheme has anyway (RFC 3986 6.2.3): equal when they mean the same. */
export function canonicalAuthority(authority: string, scheme: string): string {
  return authority.toLowerCase().replace(scheme === 'https' ? /:(?:443)?$/ : /:(?:80)?$/, '');
}
