/** Urgent C-STORE operations among routine ones, on scripted servers. */
import { expect, test } from 'vitest';
import { createSample, type SampleInstance } from '../../../../src/demo/sample-files.ts';
import { COMMAND } from '../../../peers/commands.ts';
import { accepting, type Scp } from '../../../peers/dicom-scp.ts';
import { associate, type ScuAssociation } from '../../../peers/dicom-scu.ts';
import { CT_IMAGE_STORAGE, VERIFICATION } from '../../../peers/pdus.ts';
import { createGate } from '../../../peers/waiting.ts';
import { balance, scp } from '../setup.ts';

const [MEDIUM, HIGH] = [0, 1];
const STUDY = 'route: study\nstorage: shared\nwait: 60s';

const ct = (study: string, number = 1) => createSample({ modality: 'CT', study, number, size: 8 });

function open(to: Parameters<typeof associate>[0], calling = 'CT1'): Promise<ScuAssociation> {
  return associate(to, { propose: [VERIFICATION, CT_IMAGE_STORAGE], calling });
}

/** Sends it, and an echo behind it: once that is answered, the balancer has seen all of it. Its response may come later. */
async function begin(
  association: ScuAssociation,
  instance: SampleInstance,
  priority: number,
  echoes = true,
): Promise<void> {
  const { sopClass, sopInstance, dataSet } = instance;
  await association.start(
    { field: COMMAND.C_STORE_RQ, sopClass, sopInstance, priority, hasDataSet: true },
    dataSet,
  );
  if (echoes) expect(await association.echo()).toBe(0);
}

/** SOP instances in the order in which they came. */
function stored({ associations }: Scp): string[] {
  const messages = associations.items.flatMap((association) => association.messages);
  return messages.flatMap(({ command }) => command.sopInstance ?? []);
}

test('urgent and routine work wait for the server that has their studies: urgent goes first', async () => {
  const [one, two] = [await scp(), await scp()];
  const servers = [`maxConnections: 1, address: "${one.endpoint}"`, `address: "${two.endpoint}"`];
  const balancer = await balance(servers, { dicom: STUDY });
  const [routine, urgent] = [ct('routine', 2), ct('urgent', 2)];
  // Both studies are on the first server; the one that brought them there stays.
  const holder = await open(balancer.vip);
  expect(await holder.store(ct('routine'))).toBe(0);
  expect(await holder.store(ct('urgent'))).toBe(0);
  const [a, b] = [await open(balancer.vip), await open(balancer.vip)];
  await begin(a, routine, MEDIUM);
  await begin(b, urgent, HIGH);
  expect(stored(two)).toEqual([]);
  await holder.release();
  expect(await responseOf(b)).toBe(0);
  expect(stored(one).slice(2)).toEqual([urgent.sopInstance]);
  await b.release();
  expect(await responseOf(a)).toBe(0);
  expect(stored(one).slice(2)).toEqual([urgent.sopInstance, routine.sopInstance]);
  await a.release();
});

test('what is kept for urgent work is not for the routine work of the same association', async () => {
  const [one, two] = [await scp(), await scp()];
  const servers = [one, two].map(({ endpoint }) => `maxConnections: 2, address: "${endpoint}"`);
  const balancer = await balance(servers, {
    pool: 'balance: first\nhealth: { check: none }',
    vip: 'pool: P\nurgent: { reserve: 1 }',
    dicom: 'route: study\nstorage: shared\nwait: 100ms',
  });
  const first = await open(balancer.vip);
  expect(await first.store(ct('one'))).toBe(0);
  const second = await open(balancer.vip);
  expect(await second.store(ct('two'))).toBe(0);
  expect(await second.store(ct('one', 2), MEDIUM)).toBe(0xa700);
  expect(await second.store(ct('one', 2), HIGH)).toBe(0);
  expect([stored(one).length, stored(two).length]).toEqual([2, 1]);
  await second.release();
  await first.release();
});

test('urgent goes to the least busy server, whosever turn it is; a study that is somewhere stays there', async () => {
  const gate = createGate();
  const slow = ct('slow');
  const script = accepting({
    answer: async ({ command }) => {
      if (command.sopInstance === slow.sopInstance) await gate.opened;
      return false;
    },
  });
  const servers = [await scp(script), await scp(script)];
  const balancer = await balance(servers, {
    pool: 'balance: round-robin\nhealth: { check: none }',
    dicom: STUDY,
  });
  const modality = await open(balancer.vip);
  await begin(modality, slow, MEDIUM, false);
  const holding = await Promise.race(
    servers.map(async (server) => {
      await server.associations.find(({ messages }) => messages.length > 0);
      return server;
    }),
  );
  const idle = servers.find((server) => server !== holding)!;
  const gateway = await open(balancer.vip);
  for (let number = 1; number <= 5; number++)
    expect(await gateway.store(ct(`urgent ${number}`), HIGH)).toBe(0);
  expect([stored(holding), stored(idle).length]).toEqual([[slow.sopInstance], 5]);
  expect(await gateway.store(ct('slow', 2), HIGH)).toBe(0);
  expect([stored(holding).length, stored(idle).length]).toEqual([2, 5]);
  gate.open();
  expect(await responseOf(modality)).toBe(0);
  await modality.release();
  await gateway.release();
});

/** The status of the response that comes next. */
async function responseOf(association: ScuAssociation): Promise<number | undefined> {
  const arrival = await association.next();
  return arrival.kind === 'message' ? arrival.command.status : undefined;
}
