/** What the kernel has: the listings of nft, read. They are text because nft 1.0.6 leaves comments out of its JSON. */
import type { TableName } from './names.ts';

/** A table as `nft --terse list ruleset` shows it. */
export interface KernelTable extends TableName {
  readonly comment: string | undefined;
  readonly sets: readonly { readonly kind: 'map' | 'set'; readonly name: string }[];
  readonly counters: ReadonlyMap<string, Counted>;
  readonly chains: readonly { readonly name: string; readonly device: string | undefined }[];
}

/** Reads `nft --terse list ruleset`. Tables of families that we have none in are left out. */
export function readTables(listing: string): KernelTable[] {
  return listing.split(/^(?=table )/m).flatMap((text) => {
    const [, family, name] = /^table (netdev|ip6?) (\S+) \{/.exec(text) ?? [];
    if (name === undefined) return [];
    const objects = [...text.matchAll(/^\t(map|set|counter|chain) (\S+) \{\n([^}]*)/gm)];
    const of = (...kinds: string[]) => objects.filter(([, kind]) => kinds.includes(kind!));
    return {
      family: family as TableName['family'],
      name,
      comment: /^\tcomment "(.*)"$/m.exec(text)?.[1],
      sets: of('map', 'set').map(([, kind, set]) => ({ kind: kind as 'map' | 'set', name: set! })),
      counters: new Map(of('counter').map(([, , counter, body]) => [counter!, countedIn(body!)])),
      chains: of('chain').map(([, , chain, body]) => ({ name: chain!, device: deviceOf(body!) })),
    };
  });
}

function countedIn(counter: string): Counted {
  const [, packets, bytes] = /packets (\d+) bytes (\d+)/.exec(counter) ?? [];
  return { packets: Number(packets), bytes: Number(bytes) };
}

/** The interface of a base chain at ingress. */
function deviceOf(chain: string): string | undefined {
  return /^\t\ttype filter hook ingress devices? (?:= \{ )?"?([^\s",]+)/m.exec(chain)?.[1];
}

export interface Counted {
  readonly packets: number;
  readonly bytes: number;
}

/** An element of a map. */
export interface MapElement {
  readonly family: string;
  readonly table: string;
  readonly map: string;
  readonly key: string;
  readonly value: string;
  /** Milliseconds from now; undefined: it stays. */
  readonly expires: number | undefined;
}

/** Reads `nft list map …` of one map or several as it comes: a full one is 20 MB, which nobody wants at once. */
export class ElementReader {
  readonly #onElement: (element: MapElement) => void;
  #rest = '';
  #family = '';
  #table = '';
  #map = '';
  #isInside = false;

  constructor(onElement: (element: MapElement) => void) {
    this.#onElement = onElement;
  }

  /** Arrow function: handed on as a callback. */
  readonly push = (text: string): void => {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#line(line);
  };

  #line(line: string): void {
    const [, family, table] = /^table (\S+) (\S+) \{$/.exec(line) ?? [];
    if (family !== undefined) {
      this.#family = family;
      this.#table = table!;
    }
    this.#map = /^\tmap (\S+) \{$/.exec(line)?.[1] ?? this.#map;
    let elements = line;
    if (line.startsWith('\t\telements = { ')) {
      this.#isInside = true;
      elements = line.slice('\t\telements = { '.length);
    }
    if (!this.#isInside) return;
    const isLast = elements.endsWith(' }');
    for (const element of (isLast ? elements.slice(0, -2) : elements).split(',')) this.#element(element);
    if (isLast) this.#isInside = false;
  }

  #element(text: string): void {
    const [, key, expires, value] = ELEMENT.exec(text) ?? [];
    if (key === undefined) return;
    const [family, table, map] = [this.#family, this.#table, this.#map];
    const ms = expires === undefined ? undefined : millisecondsOf(expires);
    this.#onElement({ family, table, map, key, value: value!, expires: ms });
  }
}

const ELEMENT = /^\s*(.+?)(?: timeout \S+)?(?: expires (\S+))? : (.+)$/;
const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;

/** `1d2h3m4s500ms`. */
function millisecondsOf(written: string): number {
  let sum = 0;
  for (const [, count, unit] of written.matchAll(/(\d+)(ms|[dhms])/g)) {
    sum += Number(count) * UNITS[unit as keyof typeof UNITS];
  }
  return sum;
}
