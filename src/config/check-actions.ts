/** What an HTTP rule does: `rewrite`, `redirect`, `respond`. */
import { compileRedirect } from '../../protocols/http/redirect.ts';
import { compileRewrite } from '../../protocols/http/rewrite.ts';
import { patternFault } from './check-pattern.ts';
import type { Protocol } from './fact-names.ts';
import type { FileVip, Findings, Path } from './findings.ts';

type Route = FileVip['routes'][number];

/** Keys of a rule that say where its work goes. */
export const DESTINATIONS = ['pool', 'reject', 'redirect', 'respond'] as const;

export function checkActions(route: Route, at: Path, protocol: Protocol, findings: Findings): void {
  for (const key of ['rewrite', 'redirect', 'respond'] as const) {
    if (protocol !== 'http' && findings.has([...at, key])) {
      findings.fault([...at, key], `is for protocol http; this is ${protocol}`, true);
    }
  }
  if (protocol !== 'http') return;
  const { rewrite, redirect } = route;
  const elsewhere = DESTINATIONS.find((key) => key !== 'pool' && findings.has([...at, key]));
  if (findings.has([...at, 'rewrite']) && elsewhere !== undefined) {
    findings.fault(
      [...at, 'rewrite'],
      `is of no use beside "${elsewhere}": it is for what a server gets`,
      true,
    );
  }
  const paths = route.when.facts.find(({ name }) => name === 'path')?.patterns ?? [];
  // A pattern that cannot be read is a fault of its own.
  if (paths.some((pattern) => patternFault('path', pattern) !== undefined)) return;
  if (rewrite) {
    const fault = faultOf(() => compileRewrite(paths, rewrite.path));
    if (fault !== undefined) findings.fault([...at, 'rewrite', 'path'], fault);
  }
  if (redirect) {
    const to = findings.has([...at, 'redirect', 'to']) ? ['to'] : [];
    const fault = faultOf(() => compileRedirect(paths, redirect.to));
    if (fault !== undefined) findings.fault([...at, 'redirect', ...to], fault);
  }
}

/** What is wrong with what `compile` compiles. */
function faultOf(compile: () => unknown): string | undefined {
  try {
    compile();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
