/** `persistence` of a VIP or a pool: what brings a client back to the same server. */
import { z } from 'zod';
import { list } from './record.ts';
import { duration, integer, text, token, word } from './scalars.ts';

const persistenceRecord = z.strictObject({
  by: list(text).describe(
    '`none`, `source-ip`, `cookie` (HTTP) or any fact; a list is a chain: the first that has a value counts.',
  ),
  ttl: duration().prefault('30m').describe('An entry lives this long since its last use.'),
  size: integer(1, 10_000_000).prefault('200000').describe('Entries kept at most; the oldest goes first.'),
  netmask: integer(1, 128)
    .optional()
    .describe('For `source-ip`: addresses that share this many leading bits are one source.'),
  share: word.optional().describe('VIPs and pools that name the same share have one table together.'),
  name: token.prefault('SRV').describe('For `cookie`: its name.'),
  key: text
    .optional()
    .describe(
      'For `cookie`: a secret that its value is signed with, or `file:PATH`; the same on each balancer. Default: drawn at each start.',
    ),
});

export const persistence = z.union([
  persistenceRecord,
  // `persistence: calling` is short for `persistence: { by: calling }`.
  text.transform((by) => persistenceRecord.parse({ by })),
]);

export type FilePersistence = z.output<typeof persistence>;
