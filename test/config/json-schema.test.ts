import { expect, it } from 'vitest';
import { configurationJsonSchema, type JsonSchema } from '../../src/config/json-schema.ts';

const schema = configurationJsonSchema();

function* schemasIn(value: unknown): Generator<JsonSchema> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as JsonSchema;
  for (const inner of Object.values(value)) yield* schemasIn(inner);
}

function meaningOf({ description, $ref = '' }: JsonSchema): string | undefined {
  const definitions = schema.$defs as Readonly<Record<string, JsonSchema>>;
  return description ?? definitions[$ref.slice('#/$defs/'.length)]?.description;
}

it('every key of a record has a meaning for its reader', () => {
  const silent = [...schemasIn(schema)]
    .flatMap(({ properties }) => Object.entries(properties ?? {}))
    .filter(([, value]) => typeof value === 'object' && meaningOf(value) === undefined)
    .map(([key]) => key);
  expect(silent).toEqual(['level', 'nack']);
});

it('unknown keys are faults in an editor too', () => {
  expect(schema.additionalProperties).toBe(false);
  expect(schema.properties?.vips?.additionalProperties).toMatchObject({ additionalProperties: false });
});

it('numbers and flags are numbers and flags, defaults as written in a file', () => {
  const pool = schema.properties?.pools?.additionalProperties as JsonSchema;
  const health = pool.properties?.health?.properties;
  expect(health?.rise).toMatchObject({ type: 'integer', default: 2 });
  expect(health?.startDown).toMatchObject({ type: 'boolean', default: false });
  expect(health?.interval).toMatchObject({ default: '5s' });
  expect(schema.properties?.version).toMatchObject({ enum: [1], default: 1 });
});

it('what is not built may not be there', () => {
  expect(schema.properties?.user).toMatchObject({ not: {} });
});
