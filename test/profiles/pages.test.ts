/** The manual's page of each profile: its table is the profile's. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { placesOf } from '../../src/profiles/addresses.ts';
import { type Profile, rowsOf } from '../../src/profiles/profile.ts';
import { PROFILES } from '../../src/profiles/profiles.ts';

function page(name: string): string {
  return readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8');
}

/** The cells of the lines that begin with a row's reference. */
function tableOf(text: string): string[][] {
  return [...text.matchAll(/^\| (VIP [^|]*\| .*) \|$/gm)]
    .map(([, cells = '']) => cells.split('|').map((cell) => cell.trim()))
    .filter((cells) => cells.length === 7);
}

/** Reference, name, ports or path, persistence, and the kind of check. */
function expected({ services }: Profile): string[][] {
  return services.flatMap((service) => {
    const ports = service.ports === '*' ? 'all' : service.ports.join(', ');
    return [
      { ...service, ports, path: undefined },
      ...(service.backends ?? []).map((backend) => ({ ...backend, ports: '' })),
    ].map(({ ref, name, ports: at, path, persistence, health }) => [
      ref,
      name,
      path === undefined ? at : `\`${path}\``,
      persistence === 'none' ? '' : persistence,
      health.check,
    ]);
  });
}

describe.each(PROFILES.map((profile): [string, Profile] => [profile.name, profile]))(
  '%s',
  (name, profile) => {
    it('has every row, in order', () => {
      const shown = tableOf(page(name)).map(([ref, row, ports, gantry, , persistence, check]) => [
        ref,
        row,
        ports === '' ? gantry : ports,
        persistence,
        check?.split(' ')[0],
      ]);
      expect(shown).toEqual(expected(profile));
    });

    it('begins with a command of as many addresses as it needs', () => {
      const [, vips = ''] = /gantry init \S+ --vip ((?:\S+ )+)--server/.exec(page(name)) ?? [];
      expect(vips.trim().split(' ')).toHaveLength(placesOf(profile).length);
    });

    it('is in the list, with its rows and addresses', () => {
      const counts = `| ${rowsOf(profile)} | ${placesOf(profile).length} |`;
      expect(page('vendor-systems')).toMatch(
        new RegExp(`^\\| \\[${name}\\]\\(${name}\\.md\\) \\| [^|]+ ${counts.replaceAll('|', '\\|')}$`, 'm'),
      );
    });
  },
);
