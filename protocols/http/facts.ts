/** The facts of a request, under the names of the contract: each is worked out when a rule asks for it. */
import type { Facts, FactValue } from '../facts.ts';
import { hostOf } from './authority.ts';
import { cookieValues } from './cookies.ts';
import { type Fields, fieldValues } from './fields.ts';
import { parseTarget, queryValues, type Target } from './target.ts';

export interface RequestFactsSource {
  readonly method: string;
  /** The value of Host (HTTP/2: of `:authority`). */
  readonly host: string | undefined;
  /** As it came, or taken apart already. */
  readonly target: string | Target;
  readonly rawHeaders: Fields;
}

/** What is not in the request. Each may be a getter. */
export interface ExtraRequestFacts {
  readonly client: string;
  readonly vip: string;
  readonly port: FactValue;
  readonly sni?: FactValue;
  readonly tlsSubject?: FactValue;
  /** The servers that a cookie of ours names, as far as its key is good. */
  serverCookie?(name: string): FactValue;
}

/**
 * `method`, `host` (lower case, without port), `path` (normalised), `query.NAME`, `header.NAME`, `cookie.NAME`,
 * `serverCookie.NAME` and those of `extra`. Several fields, parameters or cookies of one name are several values.
 */
export function requestFacts(source: RequestFactsSource, extra: ExtraRequestFacts): Facts {
  return new RequestFacts(source, extra);
}

class RequestFacts implements Facts {
  readonly #source: RequestFactsSource;
  readonly #extra: ExtraRequestFacts;
  #target: Target | undefined;

  constructor(source: RequestFactsSource, extra: ExtraRequestFacts) {
    this.#source = source;
    this.#extra = extra;
  }

  get(name: string): FactValue {
    switch (name) {
      case 'method':
        return this.#source.method;
      case 'host':
        return this.#host();
      case 'path':
        return this.#targetOnce().normalisedPath;
      case 'client':
        return this.#extra.client;
      case 'vip':
        return this.#extra.vip;
      case 'port':
        return this.#extra.port;
      case 'sni':
        return this.#extra.sni;
      case 'tlsSubject':
        return this.#extra.tlsSubject;
      default:
        return this.#named(namedFact(name));
    }
  }

  #named(fact: NamedFact | undefined): FactValue {
    if (fact === undefined) return undefined;
    switch (fact.kind) {
      case 'query':
        return some(queryValues(this.#targetOnce().query, fact.name));
      case 'header':
        return fact.name === 'host'
          ? this.#source.host
          : some(fieldValues(this.#source.rawHeaders, fact.name));
      case 'cookie':
        return some(cookieValues(fieldValues(this.#source.rawHeaders, 'cookie'), fact.name));
      case 'serverCookie':
        return this.#extra.serverCookie?.(fact.name);
    }
  }

  #host(): FactValue {
    const { authority } = this.#targetOnce();
    return (authority && hostOf(authority)) || undefined;
  }

  #targetOnce(): Target {
    if (this.#target) return this.#target;
    const { target, host } = this.#source;
    this.#target = typeof target === 'string' ? parseTarget(target, host) : target;
    return this.#target;
  }
}

interface NamedFact {
  readonly kind: 'query' | 'header' | 'cookie' | 'serverCookie';
  readonly name: string;
}

/** Names that rules asked for, read once. They come from the configuration, so that they are few; the cap is for the rest. */
const NAMED = new Map<string, NamedFact | undefined>();
const MAX_NAMED = 1000;

function namedFact(name: string): NamedFact | undefined {
  const known = NAMED.get(name);
  if (known !== undefined || NAMED.has(name)) return known;
  const fact = readNamed(name);
  if (NAMED.size < MAX_NAMED) NAMED.set(name, fact);
  return fact;
}

function readNamed(text: string): NamedFact | undefined {
  const match = /^(query|header|cookie|serverCookie)\.(.+)$/s.exec(text);
  if (!match) return undefined;
  const kind = match[1] as NamedFact['kind'];
  return { kind, name: kind === 'header' ? match[2]!.toLowerCase() : match[2]! };
}

/** Facts are never empty text. */
function some(values: readonly string[]): FactValue {
  const filled = values.includes('') ? values.filter((value) => value !== '') : values;
  return filled.length > 1 ? filled : filled[0];
}
