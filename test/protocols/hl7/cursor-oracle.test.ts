/**
 * The cursor against hl7-standard, which takes the whole message apart. Only where that is to be trusted: usual
 * delimiters, CR, no escapes, no byte order mark, MSH from MSH-3 on.
 */
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { fixture } from './fixture.ts';

/** What hl7-standard makes of a part: text, components by name, or a list of repetitions or of sub-components. */
type Part = string | { readonly [name: string]: Part } | readonly Part[];

interface TakenApart {
  readonly transformed: Readonly<
    Record<string, readonly { readonly data: Readonly<Record<string, Part>> }[]>
  >;
  transform(): void;
}

const HL7 = createRequire(import.meta.url)('hl7-standard') as new (text: string) => TakenApart;

/** Repetitions, components, sub-components of a field. */
function partsOf(field: Part): string[][][] {
  const list = (part: Part): Part[] => (Array.isArray(part) ? [...part] : [part]);
  const componentsOf = (part: Part): string[][] =>
    typeof part === 'string' ? [[part]] : Object.values(part).map((component) => list(component) as string[]);
  if (typeof field === 'string' || !Array.isArray(field)) return [componentsOf(field)];
  // A list of texts are the sub-components of a field that has nothing else.
  return typeof field[0] === 'string' ? [[field as string[]]] : field.map(componentsOf);
}

/** Compares every part of every field, and parts beyond the last, which have no value. */
function compare(text: string): number {
  const message = openMessage(Buffer.from(text, 'latin1'));
  const apart = new HL7(text);
  apart.transform();
  let compared = 0;
  for (const [name, segments] of Object.entries(apart.transformed)) {
    const fieldCount = Math.max(...segments.map(({ data }) => Object.keys(data).length)) + 2;
    for (let field = name === 'MSH' ? 3 : 1; field <= fieldCount; field++) {
      const fields = segments.map(({ data }) => partsOf(data[`${name}.${field}`] ?? ''));
      const most = (counts: number[]): number => Math.max(...counts) + 1;
      const repetitions = most(fields.map((one) => one.length));
      const components = most(fields.flat().map((one) => one.length));
      const subcomponents = most(fields.flat(2).map((one) => one.length));
      for (let r = 1; r <= repetitions; r++) {
        for (let c = 1; c <= components; c++) {
          for (let s = 1; s <= subcomponents; s++) {
            const path = `${name}-${field}[${r}].${c}.${s}`;
            const values = fields.map((one) => one[r - 1]?.[c - 1]?.[s - 1] ?? '');
            const expected = values.filter((value) => value !== '');
            expect(message.texts(path, 1000), path).toEqual(expected);
            expect(message.text(path) ?? '', path).toBe(values[0]);
            compared++;
          }
        }
      }
    }
  }
  return compared;
}

test.each([
  'adt-a01',
  'adt-a08',
  'adt-a40-merge',
  'orm-o01',
  'omi-o23',
  'oru-r01-several-patients',
  'latin-1',
])('%s', (name) => {
  expect(compare(fixture(name).toString('latin1'))).toBeGreaterThan(50);
});

test('any message with the usual delimiters', () => {
  const value = fc.string({
    unit: fc.constantFrom('a', 'B', '7', ' ', '^', '~', '&', '"', '\xe4'),
    maxLength: 12,
  });
  const segment = fc.record({
    name: fc.constantFrom('PID', 'MRG', 'OBR', 'ZX1'),
    fields: fc.array(value, { minLength: 1, maxLength: 8 }),
  });
  const message = fc.record({
    header: fc.array(value, { maxLength: 20 }),
    segments: fc.array(segment, { maxLength: 6 }),
  });
  fc.assert(
    fc.property(message, ({ header, segments }) => {
      const lines = segments.map(({ name, fields }) => [name, ...fields].join('|'));
      compare(`${['MSH', '^~\\&', ...header].join('|')}\r${lines.map((line) => `${line}\r`).join('')}`);
    }),
    { numRuns: 200 },
  );
});
