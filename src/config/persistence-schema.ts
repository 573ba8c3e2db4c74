/** `persistence` of a VIP or a pool: what brings a client back to the same server. */
import { z } from 'zod';
import { list } from './record.ts';
import { duration, integer, text, token, word } from './scalars.ts';

const persistenceRecord = z.strictObject({
  by: list(text).describe(
    '`none`, `source-ip`, `cookie` (HTTP) or any fact; a list is a chain: the first that has a value counts. At layer 4: `none` or `source-ip`.',
  ),
  ttl: duration()
    .optional()
    .describe('An entry lives this long since its last use. Default: 30m; of studies 24h.'),
  size: integer(1, 10_000_000)
    .optional()
    .describe(
      'Entries kept at most; the oldest goes first. Default: 200000; of studies in separate archives 2000000.',
    ),
  netmask: integer(1, 128)
    .optional()
    .describe(
      'For `source-ip`: addresses that share this many leading bits are one source. Up to 32 they are those of IPv4, and IPv6 clients share 64.',
    ),
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

const HOUR = 3_600_000;

/**
 * How long, in milliseconds, and how many entries are kept. `isFixed`: studies in independent archives, of which
 * nothing is ever to be forgotten; the entries are those of a large hospital in ten years.
 */
export function limitsOf(
  { by, ttl, size }: Pick<FilePersistence, 'by' | 'ttl' | 'size'>,
  isFixed: boolean,
): { readonly ttl: number; readonly size: number } {
  const usual = by.includes('study') ? 24 * HOUR : HOUR / 2;
  return { ttl: isFixed ? Infinity : (ttl ?? usual), size: size ?? (isFixed ? 2_000_000 : 200_000) };
}
