/** `if a b or !c { path /x }`: named and anonymous ACLs, put together (HAProxy's manual, 7.2 "Using ACLs to form conditions"). */
import { ALWAYS, all, any, type Condition, fact, NEVER, not } from './condition.ts';
import { type Criteria, criterion } from './haproxy-criteria.ts';
import type { Directive, Section } from './haproxy-sections.ts';
import { type Ledger, Loss } from './losses.ts';

/** HAProxy's own names (7.4). */
const PREDEFINED: Readonly<Record<string, readonly string[]>> = {
  TRUE: ['always_true'],
  FALSE: ['always_false'],
  WAIT_END: ['always_true'],
  HTTP: ['req.proto_http'],
  LOCALHOST: ['src', '127.0.0.0/8', '::1'],
  METH_CONNECT: ['method', 'CONNECT'],
  METH_DELETE: ['method', 'DELETE'],
  METH_GET: ['method', 'GET', 'HEAD'],
  METH_HEAD: ['method', 'HEAD'],
  METH_OPTIONS: ['method', 'OPTIONS'],
  METH_POST: ['method', 'POST'],
  METH_PUT: ['method', 'PUT'],
  METH_TRACE: ['method', 'TRACE'],
};

/** The ACLs of one section, and the conditions that are made of them. */
export class Acls {
  readonly #lines: ReadonlyMap<string, readonly Directive[]>;
  readonly #ledger: Ledger;

  constructor({ directives }: Section, ledger: Ledger) {
    this.#ledger = ledger;
    this.#lines = Map.groupBy(
      directives.filter(({ words }) => words[0] === 'acl'),
      ({ words }) => words[1] ?? '',
    );
  }

  /**
   * The condition in `words`, which begin with `if` or `unless`; without words, always. Throws a Loss when a part of it
   * has no counterpart: half a condition would let through what it kept out, or the other way round.
   */
  condition(words: readonly string[], criteria: Criteria): Condition {
    const [kind, ...terms] = words;
    if (kind === undefined) return ALWAYS;
    if (kind !== 'if' && kind !== 'unless') throw new Loss(`"${kind}" is not known here`);
    const condition = this.#terms(terms, criteria);
    return kind === 'if' ? condition : not(condition);
  }

  #terms(words: readonly string[], criteria: Criteria): Condition {
    const alternatives: Condition[] = [];
    let together: Condition[] = [];
    let isNegated = false;
    if (words.length === 0) throw new Loss('its condition is empty');
    for (let at = 0; at < words.length; at++) {
      let word = words[at]!;
      if (/^(?:or|OR|\|\|)$/.test(word)) {
        alternatives.push(all(...together));
        together = [];
        continue;
      }
      for (; word.startsWith('!'); word = word.slice(1)) isNegated = !isNegated;
      if (word === '') continue;
      let term: Condition;
      if (word === '{') {
        const end = words.indexOf('}', at);
        if (end === -1) throw new Loss('its "{" has no "}"');
        term = criterion(words.slice(at + 1, end), criteria);
        at = end;
      } else {
        term = this.#named(word, criteria);
      }
      together.push(isNegated ? not(term) : term);
      isNegated = false;
    }
    return any(...alternatives, all(...together));
  }

  #named(name: string, criteria: Criteria): Condition {
    const lines = this.#lines.get(name);
    if (!lines) {
      const words = Object.hasOwn(PREDEFINED, name) ? PREDEFINED[name] : undefined;
      if (words) return criterion(words, criteria);
      throw new Loss(`there is no acl "${name}": HAProxy refuses this line too`);
    }
    const conditions = lines.map((line) => {
      try {
        const condition = criterion(line.words.slice(2), criteria);
        this.#ledger.take(line);
        return condition;
      } catch (error) {
        if (!(error instanceof Loss)) throw error;
        this.#ledger.lost(line, error.message);
        throw new Loss(`it asks for acl "${name}" (line ${line.number}), which could not be taken over`);
      }
    });
    return any(...conditions);
  }
}

/** Where the condition of a line begins: its index, or the number of words. */
export function conditionAt(words: readonly string[]): number {
  const at = words.findIndex((word, index) => index > 0 && (word === 'if' || word === 'unless'));
  return at === -1 ? words.length : at;
}

/** A `when` needs a fact; this one holds for all there is. */
export function something(condition: Condition, protocol: 'http' | 'tcp'): Condition {
  return condition === ALWAYS || (condition.kind === 'constant' && condition.value)
    ? fact(protocol === 'http' ? 'path' : 'client', ['*'])
    : condition.kind === 'constant'
      ? NEVER
      : condition;
}
