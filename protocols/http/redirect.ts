/**
 * `redirect: { to }`: where a client is sent. As it is written; with `$1`… the path is made of the path that the rule's
 * pattern matched, as a rewritten one is, and keeps the client's query (RFC 9110 10.2.2). `$host` is the host that the
 * client asked for, itself, never another one: `https://$host/$1` sends it to TLS.
 */
import { hostOf } from './authority.ts';
import { compileRewrite } from './rewrite.ts';
import type { Target } from './target.ts';

/**
 * `patterns`: those of the rule's `path`. Returns the value of Location, or what makes it. Throws an Error with an
 * operator's sentence when `to` cannot work with them.
 */
export function compileRedirect(
  patterns: readonly string[],
  to: string,
): string | ((target: Target) => string) {
  if (!to.includes('$')) return to;
  const origin = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(to)?.[0] ?? '';
  const rewrite = compileRewrite(patterns, to.slice(origin.length));
  // A path that begins with two slashes would be read as another host.
  const pathOf = (target: Target) => rewrite(target).target.replace(/^\/{2,}/, '/');
  if (!origin.endsWith('//$host')) return (target) => origin + pathOf(target);
  const scheme = origin.slice(0, -'$host'.length);
  return (target) => {
    // Before HTTP/1.1 a client may not say which host it means.
    const host = target.authority && hostOf(target.authority);
    return host ? scheme + host + pathOf(target) : pathOf(target);
  };
}
