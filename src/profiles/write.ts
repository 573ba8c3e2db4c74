/**
 * A profile as a configuration: YAML with comments. What several pools have in common is written once, where it comes
 * first, and named from there on (`&servers`, `*servers`): to change it is to change one line.
 */
import { placesOf, whySeveral } from './addresses.ts';
import type { Choices } from './decide.ts';
import { comment, Written, wrap } from './layout.ts';
import { poolLines } from './pools.ts';
import { type Profile, rowsOf } from './profile.ts';
import { vipLines } from './vips.ts';

/** The whole file. `choices.vips` are as many as `placesOf` has places, or more. */
export function writeConfiguration(profile: Profile, choices: Choices): string {
  const written = new Written();
  const lines = [
    ...head(profile, choices),
    'pools:',
    ...poolLines(profile, choices, written),
    '',
    'vips:',
    ...vipLines(profile, choices, written),
  ];
  return `${lines.join('\n')}\n`;
}

function head(profile: Profile, { vips }: Choices): string[] {
  const places = placesOf(profile);
  const why = whySeveral(profile);
  return [
    ...comment(`${profile.title}: the ${rowsOf(profile)} rows of the vendor's deployment guide.`),
    ...comment(
      `Written by "gantry init ${profile.name}". docs/${profile.name}.md has a diagram, what the servers need, and what to try.`,
    ),
    '#',
    '#   gantry check -c FILE     every fault; what this machine lacks is a warning',
    '#   gantry vips -c FILE      the table',
    '#   gantry run -c FILE',
    '#',
    ...comment(why === undefined ? 'One address for all:' : `${places.length} addresses, because ${why}:`),
    ...places.flatMap((services, place) =>
      wrap(services.map(({ name }) => name).join(', '), 90).map(
        (names, line) => `#   ${(line === 0 ? (vips[place] ?? '') : '').padEnd(15)}  ${names}`,
      ),
    ),
    '',
    'version: 1',
    '',
    ...comment(
      'API, metrics and dashboard, for this machine only. Where others can reach it, it needs a "token".',
    ),
    'admin: { listen: 127.0.0.1:9090 }',
    '',
    ...comment('Which server a client belongs to is forgotten at a restart, unless a file remembers it:'),
    '# table: { memory: { file: /var/lib/gantry/table } }',
    '',
  ];
}
