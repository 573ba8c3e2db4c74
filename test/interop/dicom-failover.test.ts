/** One of two servers breaks and is mended again, while DCMTK's senders go on sending through the balancer. */
import { expect, test } from 'vitest';
import type { AssociationEvent } from '../../src/observe/events.ts';
import { dcmsend, startStorescp, storescu } from '../peers/dcmtk.ts';
import { type InstanceFile, writeInstances } from '../peers/dicom-files.ts';
import { accepting, rejecting, startScp } from '../peers/dicom-scp.ts';
import { describeWith, type RunResult, startProgram, waitForPort } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';
import { pathOf, startVip, stopLater } from './dicom-setup.ts';

/** A server that can be broken while nothing goes on there, and mended. */
interface Breakable {
  readonly endpoint: string;
  breakDown(): Promise<void>;
  mend(): Promise<void>;
}

describeWith(['dcmtk'], 'one of two servers', () => {
  test.for([
    // Last: does the check take it out? If not, every association that comes to it goes on to the next.
    ['stopped', 'connect', stoppedServer, true],
    ['stopped', 'dicom-echo', stoppedServer, true],
    ['refused', 'connect', refusedServer, false],
    ['refused', 'dicom-echo', refusedServer, true],
    ['rejecting for now', 'connect', rejectingServer, false],
    ['rejecting for now', 'dicom-echo', rejectingServer, false],
  ] as const)(
    '%s, checked by %s: no association of a sender fails. Restarted: it gets work again',
    async ([, check, startBreakable, isTakenOut]) => {
      const a = await startBreakable();
      const b = stopLater(await startStorescp(pathOf('b')));
      const { vip, associations, servers } = await startVip(
        [
          { name: 'a', endpoint: a.endpoint },
          { name: 'b', endpoint: b.endpoint },
        ],
        { pool: `balance: round-robin\nhealth: { check: ${check}, interval: 100ms, rise: 1, fall: 2 }` },
      );
      const instances = writeInstances(pathOf('files'), 8);
      let runs = 0;
      /** Sends until `enough` of the associations since then, and waits until the last one is over on all sides. */
      async function sendUntil(enough: (since: readonly AssociationEvent[]) => boolean) {
        const start = associations.length;
        const senders = startSenders(vip, instances);
        await associations.find(() => enough(associations.items.slice(start)));
        const exits = await senders.stop();
        expect(exits.filter(({ code }) => code !== 0)).toEqual([]);
        runs += exits.length;
        await associations.count(runs);
        return associations.items.slice(start);
      }

      await sendUntil((since) => count(since, 'a') >= 3 && count(since, 'b') >= 3);

      await a.breakDown();
      const broken = await sendUntil((since) => count(since, 'b') >= 10);
      expect(count(broken, 'a')).toBe(0);
      if (isTakenOut) await servers.find(({ server, state }) => server === 'a' && state === 'down');
      else expect(broken.some(({ attempts }) => attempts === 2)).toBe(true);

      servers.clear();
      await a.mend();
      if (isTakenOut) await servers.find(({ server, state }) => server === 'a' && state === 'up');
      await sendUntil((since) => count(since, 'a') >= 3);

      expect(associations.length).toBe(runs);
      for (const { end, operations } of associations.items) {
        expect({ end, operations }).toEqual({ end: 'release', operations: { 'C-STORE': { '0000': 2 } } });
      }
    },
  );
});

describeWith(['dcmtk'], 'a server that aborts', () => {
  test.for(['--abort-after', '--abort-during'])(
    'storescp %s: the sender hears the abort, and the balancer has nothing left of it',
    async (option) => {
      const server = stopLater(await startStorescp(pathOf('a'), { args: [option] }));
      const { vip, associations } = await startVip([{ name: 'a', endpoint: server.endpoint }]);
      const [instance] = writeInstances(pathOf('files'), 1, 512);
      const run = await storescu(vip, [instance!.path], { args: ['-R', '-v'] });
      expect(run.output).toContain('Peer Aborted Association');
      expect(await associations.find(() => true)).toMatchObject({ end: 'abort', operations: {} });
    },
  );
});

function count(associations: readonly AssociationEvent[], name: string): number {
  return associations.filter(({ server }) => server === name).length;
}

/** Three senders side by side, one association after the other, until they are told to stop. */
function startSenders(vip: Address, instances: readonly InstanceFile[]) {
  const exits: RunResult[] = [];
  let isOn = true;
  async function sendOn(send: typeof storescu, calling: string): Promise<void> {
    for (let next = 0; isOn; next = (next + 2) % instances.length) {
      const paths = instances.slice(next, next + 2).map(({ path }) => path);
      exits.push(await send(vip, paths, { calling }));
    }
  }
  const sending = [sendOn(storescu, 'CT1'), sendOn(storescu, 'CT2'), sendOn(dcmsend, 'CT3')];
  return {
    /** How the runs ended. */
    async stop(): Promise<readonly RunResult[]> {
      isOn = false;
      await Promise.all(sending);
      return exits;
    },
  };
}

/** Killed (-9), and started again. */
async function stoppedServer(): Promise<Breakable> {
  const server = stopLater(await startStorescp(pathOf('a')));
  return { endpoint: server.endpoint, breakDown: () => server.stop(), mend: () => server.restart() };
}

/** `storescp --refuse` in its place. */
async function refusedServer(): Promise<Breakable> {
  const server = stopLater(await startStorescp(pathOf('a')));
  const { port } = server.address;
  let refusing: ReturnType<typeof startProgram> | undefined;
  stopLater({ stop: async () => refusing?.stop() });
  return {
    endpoint: server.endpoint,
    async breakDown() {
      await server.stop();
      refusing = startProgram('storescp', ['-q', '--refuse', String(port)]);
      await waitForPort(port, refusing);
    },
    async mend() {
      await refusing!.stop();
      await server.restart();
    },
  };
}

/** Answers every request with 2/3/1, temporary congestion. */
async function rejectingServer(): Promise<Breakable> {
  const server = stopLater(await startScp());
  return {
    endpoint: server.endpoint,
    async breakDown() {
      server.script = rejecting(2, 3, 1);
    },
    async mend() {
      server.script = accepting();
    },
  };
}
