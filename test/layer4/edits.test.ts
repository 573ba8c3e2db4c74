/** Whatever services follow one another: the kernel takes the rules, and has what was asked for. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLayer4 } from '../../src/layer4/layer4.ts';
import { identifier } from '../../src/layer4/names.ts';
import { childPrograms } from '../../src/layer4/programs.ts';
import type { Service, Target } from '../../src/layer4/service.ts';
import { ElementReader } from '../../src/layer4/tables.ts';
import { createSite, namespacesOrSkip, type Site } from '../peers/namespaces.ts';

const port = fc.integer({ min: 1, max: 65_535 });

function serviceIn(network: string): fc.Arbitrary<Service> {
  const address = (first: number) =>
    fc.integer({ min: first, max: first + 40 }).map((host) => `${network}${host}`);
  const target: fc.Arbitrary<Target> = fc.record({
    name: fc.string({ minLength: 1, unit: 'grapheme' }),
    address: address(20),
    port: fc.option(port, { nil: undefined }),
    weight: fc.integer({ min: 0, max: 16_000 }),
    duty: fc.constantFrom('open', 'open', 'sticky', 'flows', 'gone'),
  });
  return fc.record({
    name: fc.string({
      minLength: 1,
      maxLength: 5,
      unit: fc.constantFrom('a', 'B', '-', '.', '/', '"', ' ', '}', 'é'),
    }),
    mode: fc.constantFrom('dr', 'nat', 'snat'),
    listen: fc.uniqueArray(
      fc.record({ host: address(100), port: fc.oneof(port, fc.constant('*' as const)) }),
      { minLength: 1, maxLength: 4, selector: ({ host, port: at }) => `${host} ${at}` },
    ),
    interfaces: fc.constantFrom([], [], ['lo'], ['lo', 'eth0'], ['weird0.@-x']),
    source: fc.option(address(1), { nil: undefined }),
    spread: fc.constantFrom('round-robin', 'hash', 'random'),
    persistence: fc.option(
      fc.record({
        ttl: fc.integer({ min: 1, max: 10 ** 9 }),
        netmask: fc.option(fc.integer({ min: 1, max: 128 }), { nil: undefined }),
        size: fc.integer({ min: 1, max: 100_000 }),
      }),
      { nil: undefined },
    ),
    idle: fc.integer({ min: 1, max: 30 * 86_400_000 }),
    servers: fc.uniqueArray(target, { maxLength: 6, selector: ({ address: place }) => place }),
  });
}

const services = fc.uniqueArray(fc.oneof(serviceIn('10.50.0.'), serviceIn('fd50::')), {
  maxLength: 4,
  selector: ({ name }) => name,
});

namespacesOrSkip('edits', () => {
  let site: Site;
  beforeAll(async () => {
    site = await createSite({ servers: 0 });
    await site.lb.ip('link add weird0.@-x type bridge', 'link set weird0.@-x up');
  });
  afterAll(() => site.close());

  const elements = async (table: string, map: string) => {
    const read: string[] = [];
    const reader = new ElementReader(({ value }) => read.push(value));
    reader.push(await site.lb.must('nft', ['-n', 'list', 'map', ...table.split(' '), map]));
    return read.sort();
  };

  const requireInKernel = async (wanted: readonly Service[]) => {
    const tables = wanted.map(({ name, mode, listen }) => {
      const family = mode === 'dr' ? 'netdev' : listen[0]!.host.includes(':') ? 'ip6' : 'ip';
      return `${family} gantry_${mode === 'dr' ? 'dr' : 'nat'}_${identifier(name)}`;
    });
    const listed = (await site.lb.must('nft', ['list', 'tables'])).split('\n').filter(Boolean);
    expect(listed.sort()).toEqual(tables.map((table) => `table ${table}`).sort());
    for (const [index, { servers }] of wanted.entries()) {
      const ways = { open: 'live', sticky: 'pass', flows: 'pass', gone: 'gone' };
      const duties = servers.map(({ duty }) => `goto ${ways[duty]}`);
      expect(await elements(tables[index]!, 'duties')).toEqual(duties.sort());
    }
  };

  test('any services, after any others, after a restart too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(services, { minLength: 1, maxLength: 3 }), async (sequence) => {
        const run = childPrograms({ prefix: ['ip', 'netns', 'exec', site.lb.name] });
        let layer4 = createLayer4({ run });
        for (const wanted of sequence) {
          await layer4.apply(wanted);
          await requireInKernel(wanted);
          layer4 = createLayer4({ run });
          await layer4.apply(wanted);
          const [first, ...others] = wanted;
          if (!first) continue;
          const down = first.servers.map((server) => ({ ...server, duty: 'gone' as const }));
          await layer4.update(first.name, down);
          await requireInKernel([{ ...first, servers: down }, ...others]);
        }
        await layer4.close('remove');
        await requireInKernel([]);
      }),
      { numRuns: 4 },
    );
    // Large services, each edit of which is a program or ten.
  }, 180_000);
});
