/** Building blocks of the configuration's schema above the scalars. */
import { z } from 'zod';

/**
 * A key of the contract that this version knows and does not build: present, it is a fault that says so, never
 * silently accepted. `part` names what is missing when the key alone does not tell.
 */
export function notBuilt(part?: string) {
  return z
    .unknown()
    .superRefine((value, context) => {
      if (value === undefined) return;
      context.addIssue({ code: 'custom', message: part ? `${part} is not built yet` : 'is not built yet' });
    })
    .optional()
    .meta({ not: {}, description: 'Not built yet.' });
}

/** Is `schema` one of those? */
export function isBuilt(schema: z.ZodType | z.core.$ZodType): boolean {
  return z.globalRegistry.get(schema)?.not === undefined;
}

/** A list, where a single value may stand for a list of one. */
export function list<T extends z.ZodType>(item: T) {
  return z.union([z.array(item).min(1), item.transform((value) => [value])]);
}

/** A record whose keys are names that the operator chose, as a list in the order of the file. */
export function named<K extends z.ZodType<string, string>, V extends z.ZodType<object>>(key: K, value: V) {
  return z
    .record(key, value)
    .transform((record) =>
      Object.entries(record as Record<string, z.output<V>>).map(([name, entry]) => ({ name, ...entry })),
    );
}
