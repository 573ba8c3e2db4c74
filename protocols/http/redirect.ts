/**
 * `redirect: { to }`: where a client is sent. As it is written; with `$1`… the path is made of the path that the rule's
 * pattern matched, as a rewritten one is, and keeps the client's query (RFC 9110 10.2.2).
 */
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
  return (target) => origin + rewrite(target).target.replace(/^\/{2,}/, '/');
}
