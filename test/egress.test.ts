/** What servers begin: by called AE title to a destination, on listeners that come and go with the configuration. */
import { afterEach, expect, test } from 'vitest';
import { statusOf } from './peers/admin-api.ts';
import { createInstances } from './peers/dicom-files.ts';
import { type Scp, startScp } from './peers/dicom-scp.ts';
import { associate, echoOnce } from './peers/dicom-scu.ts';
import { CT_IMAGE_STORAGE } from './peers/pdus.ts';
import { freePort } from './peers/processes.ts';
import { startTestBalancer, type TestBalancer } from './peers/start-balancer.ts';
import { openConnection } from './peers/test-connection.ts';

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of undo.splice(0).reverse()) await stop();
});

async function scp(): Promise<Scp> {
  const server = await startScp();
  undo.push(() => server.stop());
  return server;
}

async function start(yaml: string): Promise<TestBalancer> {
  const balancer = await startTestBalancer(yaml);
  undo.push(() => balancer.stop());
  return balancer;
}

/** `egress`: the lines below `dicom`. */
const vip = (server: Scp, egress: string) => `admin: { listen: "127.0.0.1:0" }
pools: { p: { servers: ["${server.endpoint}"], health: { check: none } } }
vips:
  ARCHIVE:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    pool: p
    dicom:
      route: study
      storage: shared
${egress}`;

const egress = (destinations: Readonly<Record<string, Scp>>, port = 0) => `
      egress:
        listen: ["127.0.0.1:${port}"]
        destinations:
${Object.entries(destinations)
  .map(([ae, { endpoint }]) => `          "${ae}": "${endpoint}"`)
  .join('\n')}
`;

test('the called AE title names the destination, and titles are untouched', async () => {
  const [server, one, two] = [await scp(), await scp(), await scp()];
  const balancer = await start(vip(server, egress({ ONE: one, 'TW*': two })));
  const at = balancer.address('ARCHIVE', 1);
  expect(await echoOnce(at, { called: 'ONE', calling: 'PACS_A' })).toBe('0000');
  expect(await echoOnce(at, { called: 'TW*', calling: 'PACS_A' })).toBe('0000');
  for (const destination of [one, two]) expect(destination.associations.length).toBe(1);
  expect(one.associations.items[0]!.parsed).toMatchObject({ called: 'ONE', calling: 'PACS_A' });
  // An AE title is no pattern, and none has a destination that is not named.
  for (const called of ['TWO', 'one', 'ONE2', 'ARCHIVE'])
    expect(await echoOnce(at, { called, calling: 'PACS_A' })).toBe('rejected 1/1/7');
  expect(server.associations.length).toBe(0);
});

test('an association that may report on commitments as well: what it stores goes the same way', async () => {
  const [server, one] = [await scp(), await scp()];
  const balancer = await start(vip(server, egress({ ONE: one })));
  const propose = ['1.2.840.10008.1.20.1', CT_IMAGE_STORAGE];
  const scu = await associate(balancer.address('ARCHIVE', 1), { called: 'ONE', calling: 'PACS_A', propose });
  const [instance] = createInstances('CT', 1);
  expect(await scu.store(instance!)).toBe(0);
  expect(one.messages().map(({ dataSet }) => dataSet)).toEqual([instance!.dataSet]);
  expect(one.associations.items[0]!.parsed).toMatchObject({ called: 'ONE', calling: 'PACS_A' });
  await scu.release();
});

test('a destination that is not there: transient, so that the server tries again', async () => {
  const [server, one] = [await scp(), await scp()];
  const balancer = await start(vip(server, egress({ ONE: one })));
  await one.stop();
  const at = balancer.address('ARCHIVE', 1);
  expect(await echoOnce(at, { called: 'ONE' })).toBe('rejected 2/3/1');
  await one.restart();
  expect(await echoOnce(at, { called: 'ONE' })).toBe('0000');
});

test('status shows where it listens, and what is open there', async () => {
  const [server, one] = [await scp(), await scp()];
  const balancer = await start(vip(server, egress({ ONE: one })));
  const open = await associate(balancer.address('ARCHIVE', 1), { called: 'ONE' });
  const status = await statusOf(balancer);
  expect(status.vips).toMatchObject([{ name: 'ARCHIVE', connections: 1 }]);
  expect(status.vips[0]!.listen).toEqual(
    [0, 1].map((index) => `127.0.0.1:${balancer.address('ARCHIVE', index).port}`),
  );
  expect(status.pools.map(({ name }) => name)).toEqual(['p']);
  await open.release();
});

test('an egress comes, changes and goes with the configuration; what is open goes on', async () => {
  const [server, one, two] = [await scp(), await scp(), await scp()];
  const port = await freePort();
  const at = { host: '127.0.0.1', port };
  const balancer = await start(vip(server, ''));
  await balancer.apply(vip(server, egress({ ONE: one }, port)));
  const open = await associate(at, { called: 'ONE' });
  await balancer.apply(vip(server, egress({ ONE: two }, port)));
  expect(await echoOnce(at, { called: 'ONE' })).toBe('0000');
  expect(two.associations.length).toBe(1);
  await balancer.apply(vip(server, ''));
  await expect(openConnection(at)).rejects.toThrow();
  expect(await open.echo()).toBe(0);
  await open.release();
  expect(await echoOnce(balancer.address('ARCHIVE'))).toBe('0000');
});
