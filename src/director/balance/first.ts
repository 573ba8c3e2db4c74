/** first: active and standby. The first in the order of the configuration gets everything. */
import type { Balance } from './balance.ts';

export function createFirst(): Balance {
  return { why: 'first in order', pick: (servers) => servers[0]!, fork: createFirst };
}
