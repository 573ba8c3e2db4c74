/** Pools of scripted servers, asked as several AE titles. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type PoolToProbe, type ProbeOptions, probePool } from '../../src/probe/prober.ts';
import { type Proposal, proposalsFor } from '../../src/probe/proposals.ts';
import { createDeadlines } from '../../src/relay/deadlines.ts';
import { accepting, rejecting, resetting, type Scp, type ScpScript, startScp } from '../peers/dicom-scp.ts';
import { CT_IMAGE_STORAGE, EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION } from '../peers/pdus.ts';
import { ManualDeadlines } from '../pools/health/manual-deadlines.ts';

const CT: Proposal = { sopClass: CT_IMAGE_STORAGE, transferSyntax: EXPLICIT_LITTLE };
const CT_IMPLICIT: Proposal = { sopClass: CT_IMAGE_STORAGE, transferSyntax: IMPLICIT_LITTLE };

async function serve(script: ScpScript): Promise<Scp> {
  const server = await startScp(script);
  onTestFinished(() => server.stop());
  return server;
}

function poolOf(servers: readonly Scp[], more: Partial<PoolToProbe> = {}): PoolToProbe {
  return {
    name: 'archive',
    servers: servers.map(({ address }, index) => ({
      name: `pacs-${'abc'[index]}`,
      ...address,
      ae: undefined,
    })),
    link: {},
    titles: [
      { calling: 'CT1', called: 'ARCHIVE' },
      { calling: 'CT3', called: 'ARCHIVE' },
    ],
    proposals: [CT, CT_IMPLICIT],
    ...more,
  };
}

async function probe(pool: PoolToProbe, options: Partial<ProbeOptions> = {}) {
  const deadlines = createDeadlines();
  onTestFinished(() => deadlines.close());
  return probePool(pool, { deadlines, timeout: 10_000, ...options });
}

/** Answers CT3 in its own way, and everybody else as usual. */
function except(script: ScpScript, otherwise: ScpScript = accepting()): ScpScript {
  return async (association) => {
    const received = association.receiveRequest();
    await received;
    association.receiveRequest = () => received;
    await (association.parsed!.calling === 'CT3' ? script : otherwise)(association);
  };
}

const contextsOf = (server: Scp) =>
  server.associations.items.map(({ parsed }) => [parsed!.calling, parsed!.contexts.length]);

describe('a pool that is probed', () => {
  test('each title: Verification alone first, then what it is after; who is not known is asked no more', async () => {
    const server = await serve(except(rejecting(1, 1, 3)));
    const { servers } = await probe(poolOf([server]));
    expect(contextsOf(server)).toEqual([
      ['CT1', 1],
      ['CT1', 3],
      ['CT3', 1],
    ]);
    expect(servers[0]).toMatchObject({ server: 'pacs-a', address: server.endpoint, problem: undefined });
    expect(servers[0]!.titles).toEqual([
      {
        ...{ calling: 'CT1', called: 'ARCHIVE', answer: 'accepted', code: undefined, reason: undefined },
        contexts: { [CT_IMAGE_STORAGE]: [EXPLICIT_LITTLE, IMPLICIT_LITTLE] },
      },
      {
        ...{ calling: 'CT3', called: 'ARCHIVE', answer: 'rejected', code: '1/1/3', contexts: undefined },
        reason: '1/1/3: rejected permanently by the service user, calling AE title not recognized',
      },
    ]);
  });

  test.each([
    [
      rejecting(1, 1, 7),
      'rejected',
      '1/1/7: rejected permanently by the service user, called AE title not recognized',
    ],
    [
      rejecting(1, 2, 1),
      'rejected',
      '1/2/1: rejected permanently by the service provider (ACSE), no reason given',
    ],
    [
      rejecting(2, 3, 2),
      'busy',
      '2/3/2: rejected for now by the service provider (presentation), local limit exceeded',
    ],
    [rejecting(1, 1, 56), 'rejected', '1/1/56: rejected permanently by the service user, source 1 reason 56'],
    [rejecting(1, 9, 1), 'rejected', '1/9/1: rejected permanently by the source 9, source 9 reason 1'],
    [resetting(), 'refused', 'resets the connection instead of answering'],
  ] as const)('a rejection in words', async (script, answer, reason) => {
    const { servers } = await probe(poolOf([await serve(except(script))]));
    expect(servers[0]!.titles[1]).toMatchObject({ answer, reason, contexts: undefined });
  });

  test('one association at a time to a server, all servers of the pool at once', async () => {
    let most = 0;
    const counting = (): ScpScript => {
      let open = 0;
      return async (association) => {
        most = Math.max(most, ++open);
        await accepting()(association);
        open--;
      };
    };
    const both = [await serve(counting()), await serve(counting())];
    await probe(poolOf(both));
    expect(most).toBe(1);
    expect(both.map(({ associations }) => associations.length)).toEqual([4, 4]);
  });

  test('more contexts than an association can have go over several, Verification in each', async () => {
    const server = await serve(accepting());
    const proposals = proposalsFor();
    const { servers, proposed } = await probe(
      poolOf([server], { titles: [{ calling: 'CT1', called: 'X' }], proposals }),
    );
    const requests = server.associations.items.map(({ parsed }) => parsed!.contexts);
    expect(requests.every(([first]) => first!.abstractSyntax === VERIFICATION)).toBe(true);
    expect(requests.map(({ length }) => length)).toEqual([1, 128, proposals.length - 127 + 1]);
    expect(servers[0]!.titles[0]!.contexts).toEqual(proposed);
  });

  test('the AE title of a server goes before what a client calls it', async () => {
    const server = await serve(accepting());
    const servers = [{ name: 'pacs-a', ...server.address, ae: 'PACS_A' }];
    const report = await probe(poolOf([], { servers }));
    expect(server.associations.items.map(({ parsed }) => parsed!.called)).toEqual(Array(4).fill('PACS_A'));
    expect(report.servers[0]!.ae).toBe('PACS_A');
  });

  test('a server that is not there is asked once, and the others are asked on', async () => {
    const [a, b] = [await serve(accepting()), await serve(accepting())];
    await a.stop();
    const { servers } = await probe(poolOf([a, b]));
    expect(servers.map(({ problem }) => problem)).toEqual([
      { kind: 'unreachable', reason: `${a.endpoint} refuses connections` },
      undefined,
    ]);
    expect(servers[0]!.titles).toEqual([]);
    expect(servers[1]!.titles.length).toBe(2);
  });

  test('a server that knows a title, and then has no place: accepted, contexts not known', async () => {
    const busy = await serve(except(rejecting(2, 3, 1)));
    busy.script = async (association) => {
      const script = busy.associations.length === 2 ? rejecting(2, 3, 1) : accepting();
      await script(association);
    };
    const { servers } = await probe(poolOf([busy]));
    expect(servers[0]!.titles[0]).toMatchObject({
      answer: 'accepted',
      reason: '2/3/1: rejected for now by the service provider (presentation), temporary congestion',
      contexts: undefined,
    });
    expect(servers[0]!.titles[1]!.contexts).toBeDefined();
  });

  test('a server that rejects for now is asked again, when that is wanted', async () => {
    const server = await serve(rejecting(2, 3, 2));
    const deadlines = new ManualDeadlines();
    const report = probe(poolOf([server], { titles: [{ calling: 'CT1', called: 'X' }] }), {
      deadlines,
      retries: 1,
    });
    await server.associations.find(({ end }) => end === 'end');
    server.script = accepting();
    await vi.waitFor(() => expect(deadlines.next).toBe(1500), { timeout: 30_000 });
    deadlines.pass(1500);
    expect((await report).servers[0]!.titles[0]!.answer).toBe('accepted');
    expect(server.associations.length).toBe(3);
  });

  test('held back before any association: left out, whatever was asked already', async () => {
    const server = await serve(accepting());
    const holdBack = () =>
      server.associations.length === 2 ? 'its last free connection is for work' : undefined;
    const { servers } = await probe(poolOf([server]), { holdBack });
    expect(server.associations.length).toBe(2);
    expect(servers[0]).toMatchObject({
      problem: { kind: 'left-out', reason: 'its last free connection is for work' },
      titles: [],
    });
  });

  test('stopped before it began, or without a port: nobody is dialled', async () => {
    const server = await serve(accepting());
    const stopped = await probe(poolOf([server]), { signal: AbortSignal.abort() });
    const servers = [{ name: 'pacs-a', host: '127.0.0.1', port: undefined, ae: undefined }];
    const portless = await probe(poolOf([], { servers }));
    expect([stopped, portless].map((report) => report.servers[0]!.problem)).toEqual([
      { kind: 'left-out', reason: 'the probe was stopped' },
      { kind: 'unreachable', reason: 'neither the server nor a VIP has a port' },
    ]);
    expect(server.associations.length).toBe(0);
  });

  test('tells how far it is', async () => {
    const told: [number, number][] = [];
    await probe(poolOf([await serve(accepting()), await serve(accepting())]), {
      progress: (count, total) => told.push([count, total]),
    });
    expect(told).toEqual(Array.from({ length: 8 }, (_, index) => [index + 1, 8]));
  });

  test('with the PROXY header of the pool, as work has it', async () => {
    const server = await serve(async (association) => {
      const first = (await association.connection.readSome())!;
      association.connection.reset();
      expect(first.subarray(0, 15).toString('latin1')).toBe('PROXY UNKNOWN\r\n');
      association.ended('reset');
    });
    await probe(poolOf([server], { link: { proxyProtocol: 1 }, titles: [{ calling: 'CT1', called: 'X' }] }));
    expect(server.associations.items[0]!.end).toBe('reset');
  });
});
