/**
 * Facts: what a protocol says about an association, a message or a request. The one currency between protocol and
 * director. Names are those of the contract (`called`, `calling`, `modality`, `type`, `patient`, `client`, …).
 *
 * A fact is asked for by name, so that a protocol may work it out only when a rule wants it.
 */

/** One value, several (any of them may match), or undefined when the traffic does not carry it. Never empty text. */
export type FactValue = string | readonly string[] | undefined;

export interface Facts {
  /** The value of the fact `name`; undefined when there is none. Must not throw. */
  get(name: string): FactValue;
}

/** Facts that are already known, by name: from a command line, a test, or merged from several sources. */
export function factsFrom(record: Readonly<Record<string, FactValue>>): Facts {
  const known = new Map(Object.entries(record));
  return { get: (name) => known.get(name) };
}

/** The first value of a fact, for places that can use only one (a persistence key). */
export function firstValue(value: FactValue): string | undefined {
  return typeof value === 'string' || value === undefined ? value : value[0];
}
