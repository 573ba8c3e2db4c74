/** Messages of fixtures/hl7, all invented. */
import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../../../fixtures/hl7/', import.meta.url);

/** The bytes of `fixtures/hl7/NAME.hl7`. */
export function fixture(name: string): Buffer {
  return readFileSync(new URL(`${name}.hl7`, FOLDER));
}

/** The names of all of them. */
export function fixtureNames(): string[] {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.hl7'));
  return files.map((file) => file.slice(0, -'.hl7'.length)).sort();
}
