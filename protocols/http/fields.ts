/**
 * Header fields as Node hands them over: a flat array of name, value, name, value, in the order and spelling in which
 * they came. Field names are compared without regard to case (RFC 9110 5.1).
 */

/** name, value, name, value, … */
export type Fields = readonly string[];

/** Is `name` the field whose name in lower case is `lower`? */
export function isField(name: string, lower: string): boolean {
  if (name.length !== lower.length) return false;
  if (name === lower) return true;
  // Most names of one length differ in their first letter.
  return (name.charCodeAt(0) | 0x20) === lower.charCodeAt(0) && name.toLowerCase() === lower;
}

/** The values of every field of that name, in their order. `lower`: the name in lower case. */
export function fieldValues(fields: Fields, lower: string): readonly string[] {
  let values: string[] | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    if (isField(fields[at]!, lower)) {
      values ??= [];
      values.push(fields[at + 1]!);
    }
  }
  return values ?? NONE;
}

/** The value of the first field of that name. */
export function fieldValue(fields: Fields, lower: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    if (isField(fields[at]!, lower)) return fields[at + 1];
  }
  return undefined;
}

/** The members of a comma-separated list without quoted parts, in lower case (RFC 9110 5.6.1). Empty ones go. */
export function listMembers(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

const NONE: readonly string[] = [];
