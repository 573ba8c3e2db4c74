/** Patterns of rules and checks: can they be read? */
import { isNetwork } from './scalars.ts';

/** Facts of which all values are known. Rules are not asked about other commands (docs/study-routing.md). */
const VALUES: ReadonlyMap<string, readonly string[]> = new Map([
  ['command', ['C-STORE', 'C-FIND', 'C-MOVE', 'C-GET']],
  ['priority', ['high', 'medium', 'low']],
  ['urgent', ['true']],
]);

/** What is wrong with a pattern for the fact `name`; undefined: nothing. */
export function patternFault(name: string, pattern: string): string | undefined {
  const expression = expressionIn(name, pattern);
  if (expression !== undefined) return expressionFault(expression);
  if (name === 'client' && !pattern.includes('*') && !isNetwork(pattern)) {
    return `"${pattern}" is not a network: 10.1.0.0/16, an address, or a pattern with * would be right`;
  }
  const values = VALUES.get(name);
  if (values && !pattern.includes('*') && !values.includes(pattern)) {
    return `"${pattern}" is no value of "${name}": there are ${values.join(', ')}`;
  }
  return undefined;
}

/** The regular expression that is written `/…/`, and for `path`, which begins with a slash itself, `~…`. */
function expressionIn(name: string, pattern: string): string | undefined {
  if (name === 'path') return pattern.startsWith('~') ? pattern.slice(1) : undefined;
  return pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/')
    ? pattern.slice(1, -1)
    : undefined;
}

function expressionFault(expression: string): string | undefined {
  try {
    new RegExp(expression);
    return undefined;
  } catch (error) {
    return `is not a regular expression: ${(error as Error).message}`;
  }
}
