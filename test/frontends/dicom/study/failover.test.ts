/** Study routing when servers die: what the client sees, and where its instances are. */
import { describe, expect, test } from 'vitest';
import { COMMAND, responseTo, writeCommand } from '../../../peers/commands.ts';
import {
  aborting,
  accepting,
  rejecting,
  resetting,
  type Scp,
  type ScpAssociation,
  type ScpScript,
  serve,
} from '../../../peers/dicom-scp.ts';
import type { ScuAssociation } from '../../../peers/dicom-scu.ts';
import { abort, CT_IMAGE_STORAGE, pData, pDataSeries, releaseRequest } from '../../../peers/pdus.ts';
import { createGate } from '../../../peers/waiting.ts';
import { scp } from '../setup.ts';
import {
  endsAt,
  instanceOf,
  nextStatus,
  open,
  queryFor,
  REFUSED,
  received,
  STUDY_FIND,
  STUDY_MOVE,
  startStudy,
  storeCommand,
} from './start-study.ts';

const MIB = 1024 * 1024;
const N_ACTION = 0x0130;
const N_CREATE = 0x0140;

/** How a server goes away. */
const DEATHS: Record<string, (association: ScpAssociation) => unknown> = {
  'is killed': ({ connection }) => connection.reset(),
  closes: ({ connection }) => connection.end(),
  aborts: async (association) => {
    await association.write(abort(2, 0));
    association.connection.end();
  },
  releases: async (association) => {
    await association.write(releaseRequest());
    await association.next();
    association.connection.end();
  },
};

/** Takes an association and so many PDUs, and goes. */
function dyingAtPdu(count: number, die: (association: ScpAssociation) => unknown): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    for (let pdu = 0; pdu < count; pdu++) await association.readPdu();
    await die(association);
  };
}

/** Goes instead of answering a C-STORE. */
function dyingUnanswered(die: (association: ScpAssociation) => unknown): ScpScript {
  return accepting({
    async answer({ command }, association) {
      if (command.field !== COMMAND.C_STORE_RQ) return false;
      await die(association);
      return true;
    },
  });
}

function dataSetsAt(one: Scp): Buffer[] {
  return one.messages().map(({ dataSet }) => dataSet);
}

describe.each(Object.keys(DEATHS))('a server that %s', (how) => {
  test('after it has read an instance and before it answers: another one stores it, the client gets one response', async () => {
    const servers = [await scp(dyingUnanswered(DEATHS[how]!)), await scp()];
    const rig = await startStudy(servers);
    const scu = await open(rig);
    const instance = instanceOf('1.2.3', 1, 100_000);
    expect(await scu.store(instance)).toBe(0);
    expect(servers.map(dataSetsAt)).toEqual([[instance.dataSet], [instance.dataSet]]);
    expect(await scu.store(instanceOf('1.2.3', 2))).toBe(0);
    await scu.release();
    const [line] = await rig.associations.count(1);
    expect(line).toMatchObject({ end: 'release', replays: 1, operations: { 'C-STORE': { '0000': 2 } } });
    expect(received(servers[1]!)).toHaveLength(2);
  });

  test('in the middle of an instance, at every PDU: another one stores all of it', async () => {
    // A command and five fragments of its data set.
    const instance = instanceOf('1.2.3', 1, 80_000);
    for (let pdu = 0; pdu <= 5; pdu++) {
      const servers = [await scp(dyingAtPdu(pdu, DEATHS[how]!)), await scp()];
      const rig = await startStudy(servers);
      const scu = await open(rig);
      expect(await scu.store(instance), `at PDU ${pdu}`).toBe(0);
      expect(dataSetsAt(servers[1]!), `at PDU ${pdu}`).toEqual([instance.dataSet]);
      servers[0]!.script = accepting();
      expect(await scu.echo()).toBe(0);
      await scu.release();
    }
  });
});

test('a server that dies inside an instance while the client still sends: the other one gets it whole', async () => {
  const instance = instanceOf('1.2.3', 1, 200_000);
  const pdus = [...pDataSeries(3, 'data', instance.dataSet)];
  for (let half = 1; half < pdus.length; half += 3) {
    const servers = [await scp(dyingAtPdu(half, ({ connection }) => connection.reset())), await scp()];
    const rig = await startStudy(servers);
    const scu = await open(rig);
    await scu.write(pData(3, 'command', true, writeCommand({ ...storeCommand(instance), messageId: 1 })));
    for (const one of pdus.slice(0, half)) await scu.write(one);
    await servers[1]!.associations.find(({ request }) => request.length > 0);
    for (const one of pdus.slice(half)) await scu.write(one);
    expect(await nextStatus(scu)).toBe('0000 @1');
    expect(dataSetsAt(servers[1]!)).toEqual([instance.dataSet]);
    await scu.release();
  }
});

test('instances of other studies on the same association go on while one is replayed', async () => {
  const servers = [await scp(), await scp(dyingUnanswered(({ connection }) => connection.reset()))];
  const rig = await startStudy(servers);
  rig.pin('1.2.2', 's2');
  const scu = await open(rig);
  const [one, two] = [instanceOf('1.2.1', 1), instanceOf('1.2.2', 2)];
  expect(await scu.store(one)).toBe(0);
  expect(await scu.store(two)).toBe(0);
  expect(await scu.store(instanceOf('1.2.1', 3))).toBe(0);
  expect(received(servers[0]!)).toEqual(
    [one, two, instanceOf('1.2.1', 3)].map(({ sopInstance }) => sopInstance),
  );
  expect(rig.placeOf('1.2.2')).toBe('s1');
  await scu.release();
});

describe('a server is killed while a further server is being dialled', () => {
  test('the further one: the study goes to another', async () => {
    const gate = createGate();
    const servers = [await scp(), await scp(accepting({ holdAccept: gate.opened })), await scp()];
    const rig = await startStudy(servers);
    rig.pin('1.2.2', 's2');
    const scu = await open(rig);
    const stored = scu.store(instanceOf('1.2.2'));
    await servers[1]!.associations.find(({ request }) => request.length > 0);
    await servers[1]!.stop();
    expect(await stored).toBe(0);
    expect(received(servers[0]!)).toHaveLength(1);
    gate.open();
    await scu.release();
  });

  test('the lead: the client sees nothing', async () => {
    const gate = createGate();
    const servers = [await scp(), await scp(accepting({ holdAccept: gate.opened }))];
    const rig = await startStudy(servers);
    rig.pin('1.2.2', 's2');
    const scu = await open(rig);
    const stored = scu.store(instanceOf('1.2.2'));
    await servers[1]!.associations.find(({ request }) => request.length > 0);
    await servers[0]!.stop();
    gate.open();
    expect(await stored).toBe(0);
    expect(await scu.echo()).toBe(0);
    expect(received(servers[1]!)).toHaveLength(1);
    await scu.release();
  });

  test.each([
    ['rejects', rejecting(1, 1, 3)],
    ['rejects for a while', rejecting(2, 3, 2)],
    ['resets', resetting()],
    ['aborts', aborting()],
  ] as const)('the further one %s: the study goes to another', async (_, script) => {
    const servers = [await scp(), await scp(script)];
    const rig = await startStudy(servers);
    rig.pin('1.2.2', 's2');
    const scu = await open(rig);
    expect(await scu.store(instanceOf('1.2.2'))).toBe(0);
    expect(received(servers[0]!)).toHaveLength(1);
    expect(rig.placeOf('1.2.2')).toBe('s1');
    await scu.release();
  });
});

describe('every server is dead', () => {
  test.each([
    ['small', 64],
    ['larger than what is read ahead', 3 * MIB],
  ])(
    '0xA700 for an instance that is %s, and later ones are stored when a server is back',
    async (_, size) => {
      const servers = [await scp(), await scp()];
      const rig = await startStudy(servers);
      const scu = await open(rig);
      expect(await scu.store(instanceOf('1.2.3'))).toBe(0);
      for (const server of servers) await server.stop();
      expect(await scu.store(instanceOf('1.2.3', 2, size))).toBe(REFUSED);
      expect(await scu.echo()).toBe(0x0110);
      await servers[1]!.restart();
      const instance = instanceOf('1.2.3', 3, size);
      expect(await scu.store(instance)).toBe(0);
      expect(dataSetsAt(servers[1]!).map((one) => one.equals(instance.dataSet))).toEqual([true]);
      expect(await scu.echo()).toBe(0);
      await scu.release();
      expect((await rig.associations.count(1))[0]).toMatchObject({ end: 'release' });
    },
  );

  test('a large instance whose server is slow to accept is stored once it does', async () => {
    const gate = createGate();
    const servers = [await scp(), await scp(accepting({ holdAccept: gate.opened }))];
    const rig = await startStudy(servers);
    rig.pin('1.2.2', 's2');
    const scu = await open(rig);
    const instance = instanceOf('1.2.2', 1, 6 * MIB);
    const stored = scu.store(instance);
    await servers[1]!.associations.find(({ request }) => request.length > 0);
    gate.open();
    expect(await stored).toBe(0);
    expect(dataSetsAt(servers[1]!).map((one) => one.equals(instance.dataSet))).toEqual([true]);
    await scu.release();
  });
});

test.each([0xa700, 0xc000, 0xb000, 0x0122])(
  'success is only ever a server’s own: status %i comes back as it is, and nobody else is asked',
  async (status) => {
    const servers = [await scp(accepting({ status: () => status })), await scp()];
    const rig = await startStudy(servers);
    const scu = await open(rig);
    expect(await scu.store(instanceOf('1.2.3'))).toBe(status);
    expect(servers[1]!.associations.length).toBe(0);
    await scu.release();
  },
);

test('a server that answers before it has all of an instance: the client gets that answer, the server the rest', async () => {
  const instance = instanceOf('1.2.3', 1, 200_000);
  const script: ScpScript = async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    await association.readPdu();
    await association.send(3, responseTo({ ...storeCommand(instance), messageId: 1 }, REFUSED));
    let left = instance.dataSet.length;
    while (left > 0) left -= (await association.readPdu()).bytes.length - 12;
    await serve(association);
  };
  const server = await scp(script);
  const rig = await startStudy([server]);
  const scu = await open(rig);
  expect(await scu.store(instance)).toBe(REFUSED);
  expect(await scu.echo()).toBe(0);
  await scu.release();
  expect(await endsAt(server)).toEqual(['release']);
});

describe('the lead is lost', () => {
  test.each(Object.keys(DEATHS))('and has nothing to do (it %s): the client sees nothing', async (how) => {
    const servers = [await scp(), await scp()];
    const rig = await startStudy(servers);
    const scu = await open(rig);
    expect(await scu.echo()).toBe(0);
    const [lead] = servers[0]!.associations.items;
    if (how === 'releases') await lead!.write(releaseRequest());
    else await DEATHS[how]!(lead!);
    await servers[0]!.refuse();
    await gone(rig.servers[0]!);
    expect(await scu.echo()).toBe(0);
    expect(servers[1]!.messages()).toHaveLength(1);
    await scu.release();
    expect((await rig.associations.count(1))[0]).toMatchObject({ end: 'release', server: 's2' });
  });

  /** It gets a request and goes; afterwards only the other one is there. */
  async function lostWith(
    send: (scu: ScuAssociation) => Promise<number>,
    before?: (
      message: { contextId: number; command: Parameters<typeof responseTo>[0] },
      one: ScpAssociation,
    ) => Promise<void>,
  ) {
    const lead = await scp(
      accepting({
        async answer(message, association) {
          if (message.command.field !== COMMAND.C_ECHO_RQ) await before?.(message, association);
          association.connection.reset();
          return true;
        },
      }),
    );
    const servers = [lead, await scp()];
    const rig = await startStudy(servers);
    const scu = await open(rig);
    const status = await send(scu);
    expect(await scu.echo()).toBe(0);
    await scu.release();
    return { status, asked: servers[1]!.messages().map(({ command }) => command.field) };
  }

  const find = (scu: ScuAssociation) =>
    scu.operate({ field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true }, queryFor('1.2.3'));
  const gate = createGate();
  const pending: Parameters<typeof lostWith>[1] = async ({ contextId, command }, association) => {
    await association.send(
      contextId,
      { ...responseTo(command, 0xff00), hasDataSet: true },
      queryFor('1.2.3'),
    );
    await gate.opened;
  };

  test('with a C-ECHO open: another one answers it', async () => {
    const { status, asked } = await lostWith((scu) => scu.echo());
    expect([status, asked]).toEqual([0, [COMMAND.C_ECHO_RQ, COMMAND.C_ECHO_RQ]]);
  });

  test('with a C-FIND open: another one answers it', async () => {
    const { status, asked } = await lostWith(find);
    expect([status, asked]).toEqual([0, [COMMAND.C_FIND_RQ, COMMAND.C_ECHO_RQ]]);
  });

  test('with a C-FIND open that was answered in part: it fails, as another one would answer from its start', async () => {
    const { status, asked } = await lostWith(async (scu) => {
      await scu.start(
        { field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true },
        queryFor('1.2.3'),
      );
      expect(await nextStatus(scu)).toBe('ff00 @1');
      gate.open();
      const arrival = await scu.next();
      return (arrival.kind === 'message' && arrival.command.status) || 0;
    }, pending);
    expect([status, asked]).toEqual([REFUSED, [COMMAND.C_ECHO_RQ]]);
  });

  test.each([
    ['C-MOVE', COMMAND.C_MOVE_RQ, 0xa702],
    ['N-ACTION', N_ACTION, 0x0110],
    ['N-CREATE', N_CREATE, 0x0110],
  ])('with a %s open: it is never asked for elsewhere', async (_, field, failure) => {
    const { status, asked } = await lostWith((scu) =>
      scu.operate(
        { field, sopClass: STUDY_MOVE, sopInstance: '1.2.3.4', hasDataSet: true },
        queryFor('1.2.3'),
      ),
    );
    expect([status, asked]).toEqual([failure, [COMMAND.C_ECHO_RQ]]);
  });
});

async function gone(server: { readonly active: number }): Promise<void> {
  while (server.active > 0) await new Promise(setImmediate);
}

test('what is replayed is in the context it came in, of this client’s association', async () => {
  const servers = [await scp(dyingAtPdu(2, ({ connection }) => connection.reset())), await scp()];
  const rig = await startStudy(servers);
  const scu = await open(rig);
  await scu.store(instanceOf('1.2.3'));
  expect(servers[1]!.messages()[0]).toMatchObject({ contextId: scu.contextFor(CT_IMAGE_STORAGE) });
  await scu.release();
});
