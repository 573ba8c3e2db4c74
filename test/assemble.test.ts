/** What a configuration becomes, and what stays of it when the next one comes. */
import { expect, test } from 'vitest';
import { factsFrom } from '../protocols/facts.ts';
import { type Assembly, assemble } from '../src/assemble.ts';
import { readConfiguration } from '../src/config/load.ts';
import { type NoticeEvent, onEvent } from '../src/observe/events.ts';

const clock = { ms: 1_700_000_000_000 };
const HOUR = 3_600_000;

/** Study routing with this `storage` and, of the VIP, these other keys. */
function study(storage: string, more = '', before?: Assembly): Assembly {
  const { configuration } = readConfiguration(
    `
table: { memory: { file: table } }
pools: { P: { servers: [{ name: a, address: 10.0.0.1:104 }, { name: b, address: 10.0.0.2:104 }] } }
vips: { V: { protocol: dicom, listen: 127.0.0.1:0, pool: P, dicom: { route: study, storage: ${storage} } ${more} } }
`,
    { file: 'f.yaml', environment: {} },
  );
  const assembly = assemble(configuration!, { now: () => clock.ms, random: () => 0.5 }, before);
  assembly.commit();
  return assembly;
}

function place(assembly: Assembly, uid: string): string {
  const choice = assembly.directors.get('V')!.choose(factsFrom({ study: uid }));
  const { server } = choice.next()!;
  choice.settle();
  return server.name;
}

const whereabouts = (assembly: Assembly, uid: string) =>
  assembly.directors.get('V')!.whereabouts(factsFrom({ study: uid }))?.server?.name;

test('from shared to separate storage: the studies that are known stay where they are, for ever', () => {
  const shared = study('shared');
  const uids = Array.from({ length: 10 }, (_, index) => `1.2.${index}`);
  const places = uids.map((uid) => place(shared, uid));
  expect(new Set(places).size).toBe(2);
  const separate = study('separate', '', shared);
  clock.ms += 1000 * HOUR;
  expect(uids.map((uid) => whereabouts(separate, uid))).toEqual(places);
  const again = study('shared', '', separate);
  clock.ms += 25 * HOUR;
  expect(uids.map((uid) => whereabouts(again, uid))).toEqual(uids.map(() => undefined));
});

test('more studies than `persistence.size` in separate archives: a warning, once', () => {
  const notices: NoticeEvent[] = [];
  const stop = onEvent('notice', (notice) => notices.push(notice));
  const separate = study('separate', ', persistence: { by: study, size: 3 }');
  for (let index = 0; index < 3; index++) place(separate, `1.2.${index}`);
  expect(notices).toEqual([]);
  for (let index = 3; index < 6; index++) place(separate, `1.2.${index}`);
  const shared = study('shared', ', persistence: { by: study, size: 3 }');
  for (let index = 0; index < 6; index++) place(shared, `1.2.${index}`);
  stop();
  expect(notices).toMatchObject([{ level: 'warn', fields: { table: 'vip V' } }]);
});
