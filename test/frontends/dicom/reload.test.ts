/** New options while associations are open: they go on as they began, what comes and what waits follows the new. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BalanceName } from '../../../src/pools/pool.ts';
import { listen } from '../../../src/relay/listen.ts';
import { accepting, type Scp } from '../../peers/dicom-scp.ts';
import { associate, echoOnce, requestAssociation, type ScuAssociation } from '../../peers/dicom-scu.ts';
import { openConnection } from '../../peers/test-connection.ts';
import { createGate } from '../../peers/waiting.ts';
import { scp } from './setup.ts';
import {
  directorTo,
  poolOf,
  serversOf,
  startDicom,
  type TestFrontEnd,
  UNCHECKED,
} from './start-front-end.ts';

const addressesOf = (servers: readonly Scp[]) => servers.map(({ address }) => address);
const NO_LIMITS = { associations: undefined, perCalling: undefined, perServer: undefined };

/** Waits until so many associations have asked, and have no server yet. */
async function waiting({ frontEnd }: TestFrontEnd, count: number): Promise<void> {
  const asked = () => [...frontEnd.connections()].filter(({ facts, server }) => facts.calling && !server);
  while (asked().length < count) await new Promise(setImmediate);
}

test('another pool: an association that is open stays where it is, the next goes where it says now', async () => {
  const [before, after] = [await scp(), await scp()];
  const dicom = await startDicom([before.address]);
  const open = await associate(dicom.address);
  const pool = poolOf('Q', [after.address]);
  dicom.frontEnd.reconfigure({ ...dicom.options, director: directorTo(pool), pools: [pool], pool });
  expect(await open.echo()).toBe(0);
  expect(await echoOnce(dicom.address)).toBe('0000');
  expect(after.associations.length).toBe(1);
  // Its server can still be halted, though no rule leads there any more.
  dicom.servers[0]!.halt();
  expect(await open.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
});

test('other time-outs: an association that is open keeps those it began with', async () => {
  const server = await scp();
  const dicom = await startDicom([server.address]);
  const before = await associate(dicom.address);
  dicom.frontEnd.reconfigure({ ...dicom.options, timeouts: { ...dicom.options.timeouts, idle: 200 } });
  const after = await associate(dicom.address);
  expect(await after.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
  expect(await before.echo()).toBe(0);
  await before.release();
});

test('a limit that is lower than what is open: nothing is ended, and the next is let in when there is room', async () => {
  const server = await scp();
  const dicom = await startDicom([server.address]);
  const open = [await associate(dicom.address), await associate(dicom.address)];
  dicom.frontEnd.reconfigure({ ...dicom.options, limits: { ...NO_LIMITS, perCalling: 1 } });
  expect(await echoOnce(dicom.address)).toBe('rejected 2/3/2');
  await open[0]!.release();
  await dicom.associations.count(1, ({ end }) => end === 'release');
  expect(await echoOnce(dicom.address)).toBe('rejected 2/3/2');
  await open[1]!.release();
  await dicom.associations.count(2, ({ end }) => end === 'release');
  expect(await echoOnce(dicom.address)).toBe('0000');
});

test('an association that waits looks again, in the pool that it belongs to now', async () => {
  const [full, free] = [await scp(), await scp()];
  const dicom = await startDicom([full.address], {
    more: { wait: 20_000, limits: { ...NO_LIMITS, perServer: 1 } },
  });
  const first = await associate(dicom.address);
  const second = await requestAssociation(dicom.address);
  await waiting(dicom, 1);
  const pool = poolOf('Q', [free.address]);
  dicom.frontEnd.reconfigure({ ...dicom.options, director: directorTo(pool), pools: [pool], pool });
  await second.receiveAnswer();
  expect(second.outcome).toBe('accepted');
  expect(free.associations.length).toBe(1);
  await second.release();
  await first.release();
});

test('an association that waits keeps its place and its patience over a reload', async () => {
  const server = await scp();
  const limits = { ...NO_LIMITS, associations: 1 };
  const dicom = await startDicom([server.address], { more: { wait: 20_000, limits } });
  const first = await associate(dicom.address);
  const second = await requestAssociation(dicom.address, { calling: 'CT2' });
  await waiting(dicom, 1);
  dicom.frontEnd.reconfigure({ ...dicom.options, wait: 0 });
  expect(await echoOnce(dicom.address, { calling: 'CT3' })).toBe('rejected 2/3/2');
  await first.release();
  await second.receiveAnswer();
  expect(second.outcome).toBe('accepted');
  await second.release();
});

test('an association that is being dialled for goes on, by the choice that was made', async () => {
  const gate = createGate();
  const [slow, other] = [await scp(accepting({ holdAccept: gate.opened })), await scp()];
  const dicom = await startDicom([slow.address]);
  const association = associate(dicom.address);
  await slow.associations.find(({ request }) => request.length > 0);
  const pool = poolOf('Q', [other.address]);
  dicom.frontEnd.reconfigure({ ...dicom.options, director: directorTo(pool), pools: [pool], pool });
  gate.open();
  expect((await association).outcome).toBe('accepted');
  expect(other.associations.length).toBe(0);
  await (await association).release();
});

test('other listeners: the new ones take associations, the old ones are left to whoever bound them', async () => {
  const server = await scp();
  const dicom = await startDicom([server.address]);
  const open = await associate(dicom.address);
  const [old] = dicom.options.listeners;
  const added = await listen({ host: '127.0.0.1', port: 0 });
  dicom.frontEnd.reconfigure({ ...dicom.options, listeners: [added] });
  await old!.close();
  expect(dicom.frontEnd.endpoints).toEqual([added.endpoint]);
  expect(await echoOnce(added.endpoint)).toBe('0000');
  await expect(openConnection(dicom.address)).rejects.toThrow('ECONNREFUSED');
  expect(await open.echo()).toBe(0);
  await open.release();
});

test('whenUnavailable: refuse, and a reload that takes it back: the port is open again', async () => {
  const server = await scp();
  const dicom = await startDicom([server.address], { more: { whenUnavailable: 'refuse' } });
  dicom.servers[0]!.halt();
  while (
    await openConnection(dicom.address).then(
      (one) => {
        one.reset();
        return true;
      },
      () => false,
    )
  )
    await new Promise(setImmediate);
  dicom.frontEnd.reconfigure({ ...dicom.options, whenUnavailable: 'reject' });
  let answer = '';
  while (answer === '') answer = await echoOnce(dicom.address).catch(() => '');
  expect(answer).toBe('rejected 2/3/1');
});

/** What happens between operations. */
const deed = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('associate' as const), calling: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('echo' as const), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), which: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('drain' as const, 'strict' as const, 'halt' as const, 'online' as const),
      server: fc.nat(2),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('reload' as const),
      balance: fc.constantFrom<BalanceName>('first', 'round-robin', 'least-busy', 'hash'),
      without: fc.option(fc.nat(2)),
      perCalling: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    }),
  },
);

test('property: drains, halts, reloads at any moment: only a halt ends an association, and every counter comes back to 0', async () => {
  const peers = [await scp(), await scp(), await scp()];
  const servers = serversOf(addressesOf(peers));
  const wait = { wait: 20_000 };
  const dicom = await startDicom(addressesOf(peers), { more: wait });
  const { frontEnd, pool } = dicom;
  const everyServer = new Set(pool.servers);
  const keepUp = (isLeft: (name: string) => boolean) => {
    const left = pool.servers.filter(({ name }) => isLeft(name));
    if (!left.some(({ eligible }) => eligible)) left[0]?.online();
  };
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { maxLength: 50, size: 'max' }), async (deeds) => {
      const open: { readonly scu: ScuAssociation; readonly server: string }[] = [];
      const halted = new Set<string>();
      const asking: Promise<ScuAssociation>[] = [];
      const settle = async () => {
        for (const one of asking.splice(0)) {
          const scu = await one;
          expect(scu.outcome).toBe('accepted');
          const { port } = scu.connection.socket.address() as { port: number };
          const view = [...frontEnd.connections()].find(({ client }) => client.endsWith(`:${port}`));
          if (view?.server) open.push({ scu, server: view.server });
          else expect(await scu.waitForEnd()).toMatchObject({ end: 'abort' });
        }
      };
      let perCalling: number | undefined;
      for (const one of deeds) {
        switch (one.kind) {
          case 'associate': {
            const calling = `CT${one.calling}`;
            asking.push(associate(dicom.address, { calling }));
            if (perCalling === undefined) await settle();
            break;
          }
          case 'echo': {
            const at = open[one.which % Math.max(open.length, 1)];
            if (!at) break;
            const status = await at.scu.echo().catch((error: Error) => error.message);
            if (status !== 0) {
              expect(status).toContain('abort 2/0');
              expect(halted).toContain(at.server);
              open.splice(open.indexOf(at), 1);
              at.scu.connection.end();
            }
            break;
          }
          case 'release':
          case 'reset': {
            const [at] = open.splice(one.which % Math.max(open.length, 1), 1);
            if (!at) break;
            if (one.kind === 'reset') at.scu.connection.reset();
            else await at.scu.release().catch((error: Error) => expect(error.message).toContain('abort 2/0'));
            at.scu.connection.end();
            break;
          }
          case 'reload': {
            const left = servers.filter((_, index) => index !== one.without);
            keepUp((name) => left.some((wanted) => wanted.name === name));
            pool.reconfigure({ balance: one.balance, servers: left, health: UNCHECKED });
            for (const server of pool.servers) everyServer.add(server);
            ({ perCalling } = one);
            frontEnd.reconfigure({ ...dicom.options, limits: { ...NO_LIMITS, perCalling } });
            break;
          }
          default: {
            const server = pool.servers[one.server % pool.servers.length]!;
            if (one.kind !== 'online') keepUp((name) => name !== server.name);
            if (one.kind === 'halt') halted.add(server.name);
            if (one.kind === 'strict') server.drain(true);
            else server[one.kind]();
          }
        }
      }
      // Who waits for a limit gets in when it is gone.
      frontEnd.reconfigure(dicom.options);
      await settle();
      for (const { scu, server } of open) {
        const end = await scu.release().then(
          () => 'released',
          (error: Error) => error.message,
        );
        if (end !== 'released') expect(halted).toContain(server);
        scu.connection.end();
      }
      while ([...frontEnd.connections()].length > 0) await new Promise(setImmediate);
      for (const { name, active, load } of everyServer) {
        const { connections, operations, bytesInFlight } = load;
        expect([name, active, connections, operations, bytesInFlight]).toEqual([name, 0, 0, 0, 0]);
      }
      for (const server of pool.servers) server.online();
    }),
    { numRuns: 15 },
  );
});
