/** Servers that are drained, halted, taken out of the configuration, or that failed over: what their associations do. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { COMMAND, writeCommand } from '../../peers/commands.ts';
import { accepting, type Scp, type ScpAssociation, stalling } from '../../peers/dicom-scp.ts';
import { associate, echoOnce, type ScuAssociation } from '../../peers/dicom-scu.ts';
import { CT_IMAGE_STORAGE, pData, releaseRequest, releaseResponse } from '../../peers/pdus.ts';
import { createGate } from '../../peers/waiting.ts';
import { scp } from './setup.ts';
import { serversOf, startDicom, type TestFrontEnd, UNCHECKED } from './start-front-end.ts';

const store = {
  field: COMMAND.C_STORE_RQ,
  sopClass: CT_IMAGE_STORAGE,
  sopInstance: '1.2.3',
  hasDataSet: true,
} as const;
const addressesOf = (servers: readonly Scp[]) => servers.map(({ address }) => address);
const lastOf = ({ associations }: Scp): ScpAssociation => associations.items.at(-1)!;

/** Waits until so many bytes behind the request have come from the only client. */
async function passed({ frontEnd }: TestFrontEnd, { request }: ScuAssociation, bytes: number): Promise<void> {
  const come = () => [...frontEnd.connections()][0]!.bytes.toServer;
  while (come() < request.length + bytes) await new Promise(setImmediate);
}

/** How the server saw the end of the association that came last. */
async function endAt(one: Scp): Promise<string> {
  const { end, abortCode = '' } = await one.associations.find((association) => association.end !== 'open');
  return `${end} ${abortCode}`.trim();
}

test('halt: an association between two operations is aborted at once, and the next goes elsewhere', async () => {
  const servers = [await scp(), await scp()];
  const dicom = await startDicom(addressesOf(servers));
  const idle = await associate(dicom.address);
  const used = await associate(dicom.address);
  expect(await used.echo()).toBe(0);
  dicom.servers[0]!.halt();
  for (const one of [idle, used]) expect(await one.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
  const ends = await servers[0]!.associations.count(2, ({ end }) => end !== 'open');
  expect(ends.map(({ end, abortCode }) => `${end} ${abortCode}`)).toEqual(['abort 2/0', 'abort 2/0']);
  expect(await echoOnce(dicom.address)).toBe('0000');
  expect(servers[1]!.associations.length).toBe(1);
  const [line] = await dicom.associations.count(2, ({ end }) => end === 'abort');
  expect(line).toMatchObject({ server: 's1', code: '2/0', detail: 'its server was halted' });
  await dicom.associations.count(1, ({ end }) => end === 'release');
  expect(dicom.servers.map(({ active }) => active)).toEqual([0, 0]);
});

test('halt: a C-STORE that is under way is stored and answered, then the association is aborted', async () => {
  const gate = createGate();
  const server = await scp(accepting({ holdResponse: gate.opened }));
  const dicom = await startDicom(addressesOf([server]));
  const scu = await associate(dicom.address, { propose: [CT_IMAGE_STORAGE] });
  const contextId = scu.contextFor(CT_IMAGE_STORAGE);
  const data = pData(contextId, 'data', true, Buffer.alloc(50_000, 7));
  await scu.write(pData(contextId, 'command', true, writeCommand({ ...store, messageId: 1 })));
  await scu.write(data.subarray(0, 20_000));
  await passed(dicom, scu, 20_000);
  dicom.servers[0]!.halt();
  await scu.write(data.subarray(20_000));
  await server.associations.find(({ messages }) => messages.length === 1);
  gate.open();
  const answer = await scu.next();
  expect(answer).toMatchObject({ kind: 'message', command: { respondsTo: 1, status: 0 } });
  expect(await scu.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
  expect(await endAt(server)).toBe('abort 2/0');
  expect(lastOf(server).messages[0]!.dataSet).toHaveLength(50_000);
  expect((await dicom.associations.count(1))[0]).toMatchObject({
    operations: { 'C-STORE': { '0000': 1 } },
    end: 'abort',
  });
});

test('halt: half of a command is no safe point', async () => {
  const server = await scp();
  const dicom = await startDicom(addressesOf([server]));
  const scu = await associate(dicom.address, { propose: [CT_IMAGE_STORAGE] });
  const contextId = scu.contextFor(CT_IMAGE_STORAGE);
  const command = writeCommand({ ...store, hasDataSet: false, messageId: 1 });
  await scu.write(pData(contextId, 'command', false, command.subarray(0, 20)));
  await passed(dicom, scu, 32);
  dicom.servers[0]!.halt();
  await scu.write(pData(contextId, 'command', true, command.subarray(20)));
  expect(await scu.next()).toMatchObject({ kind: 'message', command: { respondsTo: 1, status: 0 } });
  expect(await scu.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
});

/** What is stuck → how client and server see the end when the time is over. */
test.each([
  ['an operation that is never answered', 'command', 'abort 2/0', 'abort 2/0'],
  ['a client inside a PDU', 'half', 'abort 2/0', 'reset'],
  ['a server inside a PDU', 'half answer', 'reset', 'abort 2/0'],
] as const)(
  'halt: %s is cut when the time of the pool is over: an A-ABORT only at a boundary',
  async (_, what, atClient, atServer) => {
    const server = await scp(
      accepting({
        status: () => undefined,
        answer: async ({ contextId }, association) => {
          if (what !== 'half answer') return false;
          await association.write(pData(contextId, 'command', true, Buffer.alloc(200)).subarray(0, 100));
          return true;
        },
      }),
    );
    const dicom = await startDicom(addressesOf([server]), { pool: { drain: 150 } });
    const scu = await associate(dicom.address, { propose: [CT_IMAGE_STORAGE] });
    const contextId = scu.contextFor(CT_IMAGE_STORAGE);
    const hasDataSet = what === 'half';
    const command = pData(contextId, 'command', true, writeCommand({ ...store, hasDataSet, messageId: 1 }));
    const half = pData(contextId, 'data', true, Buffer.alloc(900)).subarray(0, 300);
    const sent = hasDataSet ? Buffer.concat([command, half]) : command;
    await scu.write(sent);
    await passed(dicom, scu, sent.length);
    if (!hasDataSet) await server.associations.find(({ messages }) => messages.length === 1);
    if (what === 'half answer') await scu.connection.read(100);
    dicom.servers[0]!.halt();
    const { end, code = '' } = await scu.waitForEnd();
    expect(`${end} ${code}`.trim()).toBe(atClient);
    expect(await endAt(server)).toBe(atServer);
    expect((await dicom.associations.count(1))[0]).toMatchObject({
      end: 'abort',
      detail: 'its server was halted, and the time to finish is over',
    });
    expect(dicom.servers[0]!.active).toBe(0);
  },
);

test('drain: associations that are open go on, the next goes elsewhere, the server becomes drained with the last', async () => {
  const servers = [await scp(), await scp()];
  const dicom = await startDicom(addressesOf(servers), { pool: { drain: 20 } });
  const open = await associate(dicom.address);
  const [one] = dicom.servers;
  one!.drain();
  expect(await echoOnce(dicom.address)).toBe('0000');
  expect(servers.map(({ associations }) => associations.length)).toEqual([1, 1]);
  // Longer than the time of the pool: only a halt ends what is open.
  await pause(100);
  expect(await open.echo()).toBe(0);
  expect(one!.state).toBe('draining');
  await open.release();
  await dicom.associations.count(2, ({ end }) => end === 'release');
  expect([one!.state, one!.active]).toEqual(['drained', 0]);
  one!.online();
  expect(await echoOnce(dicom.address)).toBe('0000');
  expect(servers[0]!.associations.length).toBe(2);
});

test('halt and online before the operation has ended: the association goes on', async () => {
  const gate = createGate();
  const server = await scp(accepting({ holdResponse: gate.opened }));
  const dicom = await startDicom(addressesOf([server]), { pool: { drain: 50 } });
  const scu = await associate(dicom.address);
  const first = scu.echo();
  await server.associations.find(({ messages }) => messages.length === 1);
  dicom.servers[0]!.halt();
  dicom.servers[0]!.online();
  await pause(150);
  gate.open();
  expect(await first).toBe(0);
  expect(await scu.echo()).toBe(0);
  await scu.release();
});

test('halt: a release that is under way goes its own way', async () => {
  const gate = createGate();
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    if ((await association.next()).kind !== 'release-request') throw new Error('no release');
    association.ended('release');
    await gate.opened;
    await association.write(releaseResponse());
    association.connection.end();
  });
  const dicom = await startDicom(addressesOf([server]));
  const scu = await associate(dicom.address);
  await scu.write(releaseRequest());
  await endAt(server);
  dicom.servers[0]!.halt();
  gate.open();
  expect(await scu.next()).toMatchObject({ kind: 'release-response' });
  scu.connection.end();
  expect((await dicom.associations.count(1))[0]).toMatchObject({ end: 'release' });
});

test('halt while the request is being answered: the next server gets it, and the client sees nothing', async () => {
  const servers = [await scp(stalling()), await scp()];
  const dicom = await startDicom(addressesOf(servers));
  const association = associate(dicom.address);
  await servers[0]!.associations.find(({ request }) => request.length > 0);
  dicom.servers[0]!.halt();
  expect((await association).outcome).toBe('accepted');
  expect(await endAt(servers[0]!)).toBe('abort 2/0');
  expect(dicom.servers.map(({ active }) => active)).toEqual([0, 1]);
  await (await association).release();
  expect((await dicom.associations.count(1))[0]).toMatchObject({ server: 's2', attempts: 2, end: 'release' });
});

test('a server that the configuration no longer has: its associations finish, the next goes elsewhere', async () => {
  const servers = [await scp(), await scp()];
  const dicom = await startDicom(addressesOf(servers));
  const open = await associate(dicom.address);
  const gone = dicom.servers[0]!;
  const left = serversOf(addressesOf(servers)).slice(1);
  dicom.pool.reconfigure({ balance: 'first', servers: left, health: UNCHECKED });
  dicom.frontEnd.reconfigure(dicom.options);
  expect(await echoOnce(dicom.address)).toBe('0000');
  expect(await open.echo()).toBe(0);
  expect([gone.state, gone.active]).toEqual(['draining', 1]);
  await open.release();
  await dicom.associations.count(2);
  expect([gone.state, gone.active]).toEqual(['drained', 0]);
});

test('failed over: associations with the old server are aborted at once, whatever is open there', async () => {
  const servers = [await scp(accepting({ status: () => undefined })), await scp()];
  const dicom = await startDicom(addressesOf(servers), {
    pool: { mode: 'single-active', health: { ...UNCHECKED, isChecked: true } },
  });
  const scu = await associate(dicom.address);
  await scu.start({ field: COMMAND.C_ECHO_RQ, sopClass: '1.2.840.10008.1.1', hasDataSet: false });
  await servers[0]!.associations.find(({ messages }) => messages.length === 1);
  dicom.servers[0]!.checked('down', 'refused');
  expect(await scu.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
  expect(await endAt(servers[0]!)).toBe('abort 2/0');
  expect(await echoOnce(dicom.address)).toBe('0000');
  expect(servers[1]!.associations.length).toBe(1);
});
