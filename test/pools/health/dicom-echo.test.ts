import { describe, expect, onTestFinished, test } from 'vitest';
import { type CheckResult, createCheck } from '../../../src/pools/health/check.ts';
import { echo } from '../../../src/pools/health/dicom-echo.ts';
import { createDeadlines, type Deadlines } from '../../../src/relay/deadlines.ts';
import { COMMAND, responseTo } from '../../peers/commands.ts';
import {
  aborting,
  accepting,
  closing,
  dribbling,
  dyingInsidePdu,
  rejecting,
  resetting,
  type Scp,
  type ScpScript,
  stalling,
  startScp,
  talkingGarbage,
} from '../../peers/dicom-scp.ts';
import { ManualDeadlines } from './manual-deadlines.ts';

const TITLES = { calling: 'GANTRY', called: 'ARCHIVE' };

async function serve(script: ScpScript): Promise<Scp> {
  const server = await startScp(script);
  onTestFinished(() => server.stop());
  return server;
}

interface Timing {
  readonly timeout?: number;
  readonly now?: () => number;
  readonly deadlines?: Deadlines;
}

function check(server: Scp, { timeout = 10_000, now = () => performance.now(), deadlines }: Timing = {}) {
  const used = deadlines ?? createDeadlines();
  onTestFinished(() => used.close());
  return createCheck(
    { check: 'dicom-echo', ...TITLES },
    { ...server.address, timeout, deadlines: used, now },
  );
}

function resultOf(server: Scp, timing?: Timing): Promise<CheckResult> {
  return new Promise((resolve) => check(server, timing).start(resolve));
}

describe('dicom-echo check', () => {
  test('associates with the AE titles, echoes, releases: up', async () => {
    const server = await serve(accepting());
    expect(await resultOf(server)).toMatchObject({ outcome: 'up', reason: 'answers a C-ECHO' });
    const [association] = server.associations.items;
    expect(association!.parsed).toMatchObject({ called: 'ARCHIVE', calling: 'GANTRY' });
    expect(association!.messages.map(({ command }) => command.field)).toEqual([COMMAND.C_ECHO_RQ]);
    await server.associations.find(({ end }) => end === 'release');
  });

  test('an accept that comes a byte at a time', async () => {
    expect((await resultOf(await serve(dribbling()))).outcome).toBe('up');
  });

  test('refuses connections: down', async () => {
    const server = await serve(accepting());
    await server.stop();
    const { outcome, reason } = await resultOf(server);
    expect([outcome, reason]).toEqual(['down', `${server.endpoint} refuses connections`]);
  });

  test('a server that accepts TCP and never answers is found: down', async () => {
    const server = await serve(stalling());
    const deadlines = new ManualDeadlines();
    const result = resultOf(server, { timeout: 3000, deadlines });
    await server.associations.find(({ parsed }) => parsed !== undefined);
    deadlines.pass(3000);
    expect(await result).toMatchObject({
      outcome: 'down',
      reason: 'takes connections, but goes without answering an association request for 3000 ms',
    });
    await server.associations.find(({ end }) => end === 'abort');
  });

  test('accepts and never answers the C-ECHO: down', async () => {
    const server = await serve(accepting({ status: () => undefined }));
    const deadlines = new ManualDeadlines();
    const result = resultOf(server, { timeout: 3000, deadlines });
    await server.associations.find(({ messages }) => messages.length > 0);
    deadlines.pass(3000);
    expect(await result).toMatchObject({
      outcome: 'down',
      reason: 'accepts associations, but goes without answering a C-ECHO for 3000 ms',
    });
    await server.associations.find(({ end }) => end === 'abort');
  });

  test.each([
    [2, 3, 1, 'temporary-congestion'],
    [2, 3, 2, 'local-limit-exceeded'],
    [2, 1, 1, 'no-reason-given'],
  ])('rejects for now (%i/%i/%i): busy', async (result, source, reason, text) => {
    const server = await serve(rejecting(result, source, reason));
    expect(await resultOf(server)).toMatchObject({
      outcome: 'busy',
      reason: `busy: rejects for now (${result}/${source}/${reason}, ${text})`,
    });
  });

  test.each([
    [1, 1, 7, 'called-AE-title-not-recognized'],
    [1, 1, 3, 'calling-AE-title-not-recognized'],
  ])(
    'rejects for ever (%i/%i/%i): misconfigured, and the reason says which AE',
    async (result, source, reason, text) => {
      const server = await serve(rejecting(result, source, reason));
      expect(await resultOf(server)).toMatchObject({
        outcome: 'misconfigured',
        reason: `rejects calling AE GANTRY, called AE ARCHIVE for ever (${result}/${source}/${reason}, ${text})`,
      });
    },
  );

  test('slow: busy', async () => {
    const server = await serve(accepting());
    let ms = 0;
    const now = () => (ms += 4000);
    expect(await resultOf(server, { timeout: 5000, now })).toMatchObject({
      outcome: 'busy',
      reason: 'busy: took 4000 ms for a C-ECHO',
    });
  });

  test('answers with a failure: down; out of resources: busy', async () => {
    expect(await resultOf(await serve(accepting({ status: () => 0x0110 })))).toMatchObject({
      outcome: 'down',
      reason: 'answers a C-ECHO with status 0110',
    });
    expect((await resultOf(await serve(accepting({ status: () => 0xa700 })))).outcome).toBe('busy');
  });

  test('does not answer the release: up all the same', async () => {
    const releasing = Promise.withResolvers<void>();
    const server = await serve(async (association) => {
      await association.receiveRequest();
      await association.sendAccept();
      const arrival = await association.next();
      if (arrival.kind !== 'message') return;
      await association.send(arrival.contextId, responseTo(arrival.command, 0));
      if ((await association.next()).kind === 'release-request') releasing.resolve();
      await association.connection.ending;
      association.connection.end();
    });
    const deadlines = new ManualDeadlines();
    const result = resultOf(server, { timeout: 3000, deadlines, now: () => 0 });
    await releasing.promise;
    deadlines.pass(3000);
    expect((await result).outcome).toBe('up');
  });

  test('accepts the association without Verification: misconfigured', async () => {
    const server = await serve(accepting({ judge: () => ({ result: 3, transferSyntax: '' }) }));
    expect(await resultOf(server)).toMatchObject({
      outcome: 'misconfigured',
      reason: 'accepts calling AE GANTRY, called AE ARCHIVE, but no Verification',
    });
  });

  test.each<[string, ScpScript, RegExp]>([
    ['aborts', aborting(2, 1), /aborts instead of answering an association request: unrecognized-PDU/],
    ['resets', resetting(), /reset the connection/],
    ['closes', closing(), /closes the connection instead of answering an association request/],
    ['talks garbage', talkingGarbage(), /does not speak DICOM/],
    ['dies inside its answer', dyingInsidePdu(), /reset the connection/],
  ])('%s: down', async (_, script, reason) => {
    const result = await resultOf(await serve(script));
    expect(result.outcome).toBe('down');
    expect(result.reason).toMatch(reason);
  });

  test('cancelled, it says nothing and resets', async () => {
    const server = await serve(stalling());
    let said = 0;
    const cancel = check(server).start(() => said++);
    await server.associations.find(({ parsed }) => parsed !== undefined);
    cancel();
    await server.associations.find(({ end }) => end === 'reset');
    expect(said).toBe(0);
  });

  test('for somebody who asks on their own', async () => {
    const server = await serve(accepting());
    expect(await echo({ ...server.address, ...TITLES, timeout: 10_000 })).toMatchObject({ outcome: 'up' });
  });
});
