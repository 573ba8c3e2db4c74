/** Further associations: what the lead accepted is asked of other servers, and what becomes of those associations. */
import { describe, expect, test } from 'vitest';
import { COMMAND } from '../../../peers/commands.ts';
import { accepting, type Scp, type ScpScript, serve } from '../../../peers/dicom-scp.ts';
import {
  type AcceptOptions,
  abort,
  CT_IMAGE_STORAGE,
  IMPLICIT_LITTLE,
  item,
  MR_IMAGE_STORAGE,
  type ProposedContext,
  readAccept,
  readRequest,
  releaseRequest,
  VERIFICATION,
} from '../../../peers/pdus.ts';
import { createGate } from '../../../peers/waiting.ts';
import { scp } from '../setup.ts';
import {
  endsAt,
  instanceOf,
  nextStatus,
  open,
  REFUSED,
  received,
  type StudyRig,
  type StudySketch,
  startStudy,
  storeCommand,
} from './start-study.ts';

const STUDY_ELSEWHERE = '1.2.2';
const UNSUPPORTED = 0x0122;

/** The lead is `s1`; a study is on `s2`. */
async function twoServers(
  lead: ScpScript = accepting(),
  further: ScpScript = accepting(),
  sketch: StudySketch = {},
): Promise<{ rig: StudyRig; servers: readonly [Scp, Scp] }> {
  const servers = [await scp(lead), await scp(further)] as const;
  const rig = await startStudy(servers, sketch);
  rig.pin(STUDY_ELSEWHERE, 's2');
  return { rig, servers };
}

/** Lets the event loop turn until `isSo`. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

/** Accepts what `supported` says, rejects the rest. */
const supporting =
  (...supported: readonly string[]): NonNullable<AcceptOptions['judge']> =>
  ({ abstractSyntax, transferSyntaxes }: ProposedContext) => ({
    result: supported.includes(abstractSyntax) ? 0 : 3,
    transferSyntax: transferSyntaxes[0]!,
  });

describe('what is proposed', () => {
  const ITEMS = {
    role: item(0x54, Buffer.of(0, CT_IMAGE_STORAGE.length), CT_IMAGE_STORAGE, Buffer.of(1, 1)),
    extended: item(0x56, Buffer.of(0, CT_IMAGE_STORAGE.length), CT_IMAGE_STORAGE, Buffer.of(2, 1, 1)),
    identity: item(0x58, Buffer.of(1, 0, 0, 6), 'tester', Buffer.of(0, 0)),
  };
  const asyncWindow = item(0x53, Buffer.of(0, 5, 0, 5));

  test('roles, extended negotiation and user identity are untouched, the asynchronous window is taken out', async () => {
    const { rig, servers } = await twoServers(accepting({ userItems: [asyncWindow] }));
    const scu = await open(rig, { userItems: [asyncWindow, ...Object.values(ITEMS)] });
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE))).toBe(0);
    for (const server of servers) {
      const { request } = server.associations.items[0]!;
      for (const one of Object.values(ITEMS)) expect(request.includes(one)).toBe(true);
      expect(request.includes(asyncWindow)).toBe(false);
    }
    expect(servers[0].associations.items[0]!.accept!.includes(asyncWindow)).toBe(true);
    expect(scu.answer.includes(asyncWindow)).toBe(false);
    await scu.release();
  });

  test('the same context ids, only those that the lead accepted, each with the transfer syntax that it accepted', async () => {
    const judge: AcceptOptions['judge'] = ({ abstractSyntax }) => ({
      result: abstractSyntax === MR_IMAGE_STORAGE ? 3 : 0,
      transferSyntax: IMPLICIT_LITTLE,
    });
    const { rig, servers } = await twoServers(accepting({ judge }));
    const scu = await open(rig, { propose: [VERIFICATION, MR_IMAGE_STORAGE, CT_IMAGE_STORAGE] });
    // Nothing of it can be understood as implicit little endian: it is for the lead, and the study comes from elsewhere.
    expect(await scu.store(implicit(STUDY_ELSEWHERE))).toBe(0);
    expect(readRequest(servers[1].associations.items[0]!.request).contexts).toEqual([
      { id: 1, abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT_LITTLE] },
      { id: 5, abstractSyntax: CT_IMAGE_STORAGE, transferSyntaxes: [IMPLICIT_LITTLE] },
    ]);
    await scu.release();
  });

  function implicit(study: string) {
    const uid = Buffer.from(study.length % 2 === 0 ? study : `${study}\0`);
    const header = Buffer.from([0x20, 0, 0x0d, 0, uid.length, 0, 0, 0]);
    return { ...instanceOf(study), dataSet: Buffer.concat([header, uid]) };
  }

  test('another called AE: the server’s own is asked for, the client sees the one that it called', async () => {
    const { rig, servers } = await twoServers(accepting(), accepting(), {
      servers: [{ ae: 'NODE1' }, { ae: 'NODE2' }],
    });
    const scu = await open(rig, { called: 'ARCHIVE' });
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE))).toBe(0);
    const called = servers.map(({ associations }) => associations.items[0]!.parsed!.called);
    expect(called).toEqual(['NODE1', 'NODE2']);
    expect(scu.answer.subarray(10, 26).toString()).toBe('ARCHIVE'.padEnd(16));
    await scu.release();
  });
});

describe('maximum length', () => {
  test.each([
    [0, 131_072],
    [1_048_576, 131_072],
    [16_384, 16_384],
  ])('a lead that takes %i bytes: the client is told %i', async (maxLength, told) => {
    const server = await scp(accepting({ maxLength }));
    const rig = await startStudy([server]);
    const scu = await open(rig);
    expect(readAccept(scu.answer).maxLength).toBe(told);
    await scu.release();
  });

  test.each([4096, 130, 8])(
    'a further server that takes %i bytes gets shorter PDUs, and the same bytes',
    async (maxLength) => {
      let longest = 0;
      const further: ScpScript = async (association) => {
        const readPdu = association.readPdu.bind(association);
        await association.receiveRequest();
        await association.sendAccept({ maxLength });
        association.readPdu = async (what) => {
          const pdu = await readPdu(what);
          longest = Math.max(longest, pdu.bytes.length - 6);
          return pdu;
        };
        await serve(association);
      };
      const { rig, servers } = await twoServers(accepting({ maxLength: 65_536 }), further);
      const scu = await open(rig);
      const instance = instanceOf(STUDY_ELSEWHERE, 1, 50_000);
      expect(await scu.store(instance)).toBe(0);
      expect(longest).toBe(maxLength);
      expect(servers[1].messages()[0]!.dataSet.equals(instance.dataSet)).toBe(true);
      await scu.release();
    },
  );
});

describe('a further server that lacks a context', () => {
  test.each([
    ['its own context', [VERIFICATION]],
    ['another one: what the lead accepted was promised for all', [VERIFICATION, CT_IMAGE_STORAGE]],
  ])('new study, and it lacks %s: it is no candidate', async (_, supported) => {
    const servers = [await scp(), await scp(accepting({ judge: supporting(...supported) }))];
    const rig = await startStudy(servers, { pool: { balance: 'round-robin' } });
    const scu = await open(rig);
    for (let number = 1; number <= 4; number++)
      expect(await scu.store(instanceOf(`1.2.${number}`, number))).toBe(0);
    expect(received(servers[0]!)).toHaveLength(4);
    expect(servers[1]!.associations.length).toBe(1);
    await scu.release();
  });

  test('pinned study: 0x0122, the association lives on, and the study stays where it is', async () => {
    const { rig, servers } = await twoServers(accepting(), accepting({ judge: supporting(VERIFICATION) }));
    const scu = await open(rig);
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE))).toBe(UNSUPPORTED);
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE, 3))).toBe(UNSUPPORTED);
    expect(await scu.store(instanceOf('1.2.9', 2))).toBe(0);
    expect([servers[0], servers[1]].map((server) => received(server).length)).toEqual([1, 0]);
    expect(rig.placeOf(STUDY_ELSEWHERE)).toBe('s2');
    await scu.release();
  });
});

test('a further server that lacks another context: of a pinned study, what it accepts is stored, again and again', async () => {
  const lacking = accepting({ judge: supporting(VERIFICATION, CT_IMAGE_STORAGE) });
  const { rig, servers } = await twoServers(accepting(), lacking);
  const scu = await open(rig);
  for (let number = 1; number <= 3; number++)
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE, number))).toBe(0);
  expect(received(servers[1])).toHaveLength(3);
  await scu.release();
});

describe('an idle server', () => {
  const ENDS: Record<string, (one: Scp) => Promise<void>> = {
    'that releases': async ({ associations }) => associations.items.at(-1)!.write(releaseRequest()),
    'that aborts': async ({ associations }) => associations.items.at(-1)!.write(abort(2, 0)),
    'that closes': async ({ associations }) => associations.items.at(-1)!.connection.end(),
    'that is killed': async ({ associations }) => associations.items.at(-1)!.connection.reset(),
  };

  test.each(Object.keys(ENDS))('%s is invisible, and is asked again when it is needed', async (how) => {
    const { rig, servers } = await twoServers();
    const scu = await open(rig);
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE))).toBe(0);
    await ENDS[how]!(servers[1]);
    await until(() => rig.servers[1]!.active === 0);
    expect(await scu.echo()).toBe(0);
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE, 2))).toBe(0);
    expect(servers[1].associations.length).toBe(2);
    expect(received(servers[1])).toHaveLength(2);
    await scu.release();
  });

  test('without work for 10 s is released, and asked again when it is needed; the lead stays', async () => {
    const { rig, servers } = await twoServers();
    const scu = await open(rig);
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE))).toBe(0);
    await rig.advance(6_000);
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE, 2))).toBe(0);
    await rig.advance(6_000);
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE, 3))).toBe(0);
    expect(servers[1].associations.length).toBe(1);
    await rig.advance(10_000);
    expect(await endsAt(servers[1])).toEqual(['release']);
    await until(() => rig.servers[1]!.active === 0);
    expect(await scu.store(instanceOf(STUDY_ELSEWHERE, 4))).toBe(0);
    expect(servers.map(({ associations }) => associations.length)).toEqual([1, 2]);
    expect(servers[0].associations.items[0]!.end).toBe('open');
    await scu.release();
  });

  test('is not released while it still gets an instance that it has answered already', async () => {
    const further: ScpScript = async (association) => {
      await association.receiveRequest();
      await association.sendAccept();
      await association.readPdu();
      await association.send(3, {
        field: COMMAND.C_STORE_RQ | 0x8000,
        respondsTo: 1,
        status: REFUSED,
        hasDataSet: false,
      });
      await serve(association);
    };
    const { rig, servers } = await twoServers(accepting(), further);
    const scu = await open(rig);
    const instance = instanceOf(STUDY_ELSEWHERE, 1, 60_000);
    await scu.start(storeCommand(instance));
    const half = instance.dataSet.subarray(0, 20_000);
    await scu.write(fragment(half, false));
    expect(await nextStatus(scu)).toBe('a700 @1');
    await rig.advance(10_000);
    await scu.write(fragment(instance.dataSet.subarray(20_000), true));
    expect(await scu.echo()).toBe(0);
    expect(servers[1].associations.items[0]!.end).toBe('open');
    await scu.release();
  });

  function fragment(bytes: Buffer, isLast: boolean): Buffer {
    const header = Buffer.alloc(12);
    header[0] = 4;
    header.writeUInt32BE(bytes.length + 6, 2);
    header.writeUInt32BE(bytes.length + 2, 6);
    header[10] = 3;
    header[11] = isLast ? 2 : 0;
    return Buffer.concat([header, bytes]);
  }
});

describe('halt', () => {
  test.each([0, 1])(
    'of an idle server (the lead is 0, this is %i) is invisible to the client',
    async (which) => {
      const { rig, servers } = await twoServers();
      const scu = await open(rig);
      expect(await scu.store(instanceOf(STUDY_ELSEWHERE))).toBe(0);
      rig.servers[which]!.halt();
      expect(await endsAt(servers[which]!)).toEqual(['release']);
      expect(await scu.echo()).toBe(0);
      expect(await scu.store(instanceOf(STUDY_ELSEWHERE, 2))).toBe(0);
      expect(await scu.store(instanceOf('1.2.9', 3))).toBe(0);
      expect(servers[which]!.associations.length).toBe(1);
      await scu.release();
      expect((await rig.associations.count(1))[0]).toMatchObject({ end: 'release' });
    },
  );

  test.each([0, 1])(
    'of a server with an instance under way (the lead is 0, this is %i): it finishes that',
    async (which) => {
      const gate = createGate();
      const script = accepting({ holdResponse: gate.opened });
      const { rig, servers } = await twoServers(script, script);
      const scu = await open(rig);
      const stored = scu.store(instanceOf(which === 0 ? '1.2.9' : STUDY_ELSEWHERE));
      await until(() => received(servers[which]!).length === 1);
      rig.servers[which]!.halt();
      gate.open();
      expect(await stored).toBe(0);
      expect(await endsAt(servers[which]!)).toEqual(['release']);
      expect(await scu.echo()).toBe(0);
      expect(received(servers[1 - which]!)).toEqual([]);
      await scu.release();
    },
  );

  test('of a server that does not answer in time: another one does it', async () => {
    const { rig, servers } = await twoServers(accepting({ status: () => undefined }), accepting(), {
      pool: { drain: 100 },
    });
    const scu = await open(rig);
    const stored = scu.store(instanceOf('1.2.9'));
    await until(() => received(servers[0]).length === 1);
    rig.servers[0]!.halt();
    expect(await stored).toBe(0);
    expect(received(servers[1])).toHaveLength(1);
    await scu.release();
  });
});
