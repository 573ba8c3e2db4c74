/** Placeholder of the table, see below. */
export function modalityOf(sopClasses: Iterable<string>): string | undefined {
  void sopClasses;
  return undefined;
}
