/** The configuration as a JSON Schema: what `gantry schema` prints, editors read and the manual is made from. */
import { z } from 'zod';
import { fileSchema } from './file-schema.ts';

export interface JsonSchema {
  readonly [keyword: string]: unknown;
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly $ref?: string;
  /** `{}`: nothing may stand here, because it is not built. */
  readonly not?: JsonSchema;
}

export function configurationJsonSchema(): JsonSchema {
  return z.toJSONSchema(fileSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      if (jsonSchema.enum) delete jsonSchema.type;
      // Defaults are written as in the file; a number or a flag is one in JSON.
      const { type, default: written } = jsonSchema;
      if (typeof written !== 'string') return;
      if (type === 'integer' || type === 'boolean' || /^\d+$/.test(written))
        jsonSchema.default = JSON.parse(written);
    },
  }) as JsonSchema;
}
