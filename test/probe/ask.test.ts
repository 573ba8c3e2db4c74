/** Every way in which a server may answer an association that asks for nothing. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Answer, ask, MOST_CONTEXTS } from '../../src/probe/ask.ts';
import type { Proposal } from '../../src/probe/proposals.ts';
import { createDeadlines, type Deadlines } from '../../src/relay/deadlines.ts';
import {
  aborting,
  accepting,
  closing,
  dribbling,
  rejecting,
  resetting,
  type Scp,
  type ScpScript,
  stalling,
  startScp,
  talkingGarbage,
} from '../peers/dicom-scp.ts';
import {
  CT_IMAGE_STORAGE,
  EXPLICIT_LITTLE,
  IMPLICIT_LITTLE,
  MR_IMAGE_STORAGE,
  releaseRequest,
  VERIFICATION,
} from '../peers/pdus.ts';
import { TestListener } from '../peers/test-connection.ts';
import { createGate } from '../peers/waiting.ts';
import { ManualDeadlines } from '../pools/health/manual-deadlines.ts';

const VERIFY: Proposal = { sopClass: VERIFICATION, transferSyntax: IMPLICIT_LITTLE };

async function serve(script: ScpScript): Promise<Scp> {
  const server = await startScp(script);
  onTestFinished(() => server.stop());
  return server;
}

interface Asking {
  readonly proposals?: readonly Proposal[];
  readonly deadlines?: Deadlines;
  readonly signal?: AbortSignal;
}

function asked(server: Scp, { proposals = [VERIFY], deadlines, signal }: Asking = {}): Promise<Answer> {
  const used = deadlines ?? createDeadlines();
  onTestFinished(() => used.close());
  return ask(
    { target: server.address, link: {}, calling: 'CT1', called: 'ARCHIVE', proposals },
    { deadlines: used, timeout: 10_000, signal },
  );
}

describe('one question to a server', () => {
  test('accepted: with these AE titles, a context a proposal, and released', async () => {
    const server = await serve(accepting());
    const proposals = [VERIFY, { sopClass: CT_IMAGE_STORAGE, transferSyntax: EXPLICIT_LITTLE }];
    expect(await asked(server, { proposals })).toEqual({ kind: 'accepted', accepted: proposals });
    const [association] = server.associations.items;
    expect(association!.parsed).toMatchObject({
      called: 'ARCHIVE',
      calling: 'CT1',
      contexts: [
        { id: 1, abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT_LITTLE] },
        { id: 3, abstractSyntax: CT_IMAGE_STORAGE, transferSyntaxes: [EXPLICIT_LITTLE] },
      ],
    });
    expect([association!.end, association!.messages.length]).toEqual(['release', 0]);
  });

  test('as many contexts as an association can have, also a byte at a time', async () => {
    const proposals = Array.from({ length: MOST_CONTEXTS }, (_, index) => ({
      sopClass: `${CT_IMAGE_STORAGE}.${index}`,
      transferSyntax: EXPLICIT_LITTLE,
    }));
    const server = await serve(dribbling());
    expect(await asked(server, { proposals })).toEqual({ kind: 'accepted', accepted: proposals });
    expect(server.associations.items[0]!.parsed!.contexts.at(-1)!.id).toBe(255);
  });

  test('a context that is refused, or accepted with another transfer syntax than the one proposed, is not taken', async () => {
    const server = await serve(
      accepting({
        judge: ({ abstractSyntax, transferSyntaxes }) => {
          if (abstractSyntax === CT_IMAGE_STORAGE) return { result: 4, transferSyntax: transferSyntaxes[0]! };
          if (abstractSyntax === MR_IMAGE_STORAGE) return { result: 0, transferSyntax: IMPLICIT_LITTLE };
          return { result: 0, transferSyntax: transferSyntaxes[0]! };
        },
      }),
    );
    const proposals = [
      VERIFY,
      { sopClass: CT_IMAGE_STORAGE, transferSyntax: EXPLICIT_LITTLE },
      { sopClass: MR_IMAGE_STORAGE, transferSyntax: EXPLICIT_LITTLE },
    ];
    expect(await asked(server, { proposals })).toEqual({ kind: 'accepted', accepted: [VERIFY] });
  });

  test.each([
    [
      'a permanent rejection',
      rejecting(1, 1, 3),
      { kind: 'rejected', reject: { result: 1, source: 1, reason: 3 } },
    ],
    [
      'a transient rejection',
      rejecting(2, 3, 2),
      { kind: 'rejected', reject: { result: 2, source: 3, reason: 2 } },
    ],
    ['an abort', aborting(2, 2), { kind: 'refused', reason: 'aborts (unexpected-PDU)' }],
    ['a close', closing(), { kind: 'refused', reason: 'closes the connection instead of answering' }],
    ['a reset', resetting(), { kind: 'refused', reason: 'resets the connection instead of answering' }],
    [
      'garbage',
      talkingGarbage(),
      { kind: 'refused', reason: 'answers with what is not DICOM: the first byte begins no DICOM PDU' },
    ],
    [
      'a PDU out of turn',
      talkingGarbage(releaseRequest()),
      { kind: 'refused', reason: 'answers an association request out of turn' },
    ],
  ] as const)('%s', async (_name, script, answer) => {
    expect(await asked(await serve(script))).toEqual(answer);
  });

  test('nobody listens', async () => {
    const server = await serve(accepting());
    await server.stop();
    const reason = `${server.endpoint} refuses connections`;
    expect(await asked(server)).toEqual({ kind: 'unreachable', reason });
  });

  test('takes the connection and never answers: an A-ABORT, and it is told', async () => {
    const server = await serve(stalling());
    const deadlines = new ManualDeadlines();
    const answer = asked(server, { deadlines });
    const association = await server.associations.find(({ parsed }) => parsed !== undefined);
    deadlines.pass(10_000);
    await server.associations.find(({ end }) => end === 'abort');
    association.connection.end();
    expect(await answer).toEqual({
      kind: 'unreachable',
      reason: 'takes connections, but does not answer an association request within 10000 ms',
    });
  });

  test('accepts and never lets go: what it accepted counts', async () => {
    const gate = createGate();
    const server = await serve(async (association) => {
      await association.receiveRequest();
      await association.sendAccept();
      await association.next();
      gate.open();
      for (;;) {
        const arrival = await association.next();
        if (arrival.kind === 'abort') association.ended('abort');
        if (arrival.kind === 'ended') return association.connection.end();
      }
    });
    const deadlines = new ManualDeadlines();
    const answer = asked(server, { deadlines });
    await gate.opened;
    deadlines.pass(10_000);
    expect(await answer).toEqual({ kind: 'accepted', accepted: [VERIFY] });
    expect(server.associations.items[0]!.end).toBe('abort');
  });

  test('stopped: the connection is gone at once', async () => {
    const server = await serve(stalling());
    const stop = new AbortController();
    const answer = asked(server, { signal: stop.signal });
    await server.associations.find(({ parsed }) => parsed !== undefined);
    stop.abort();
    expect(await answer).toMatchObject({ kind: 'unreachable' });
    await server.associations.find(({ end }) => end === 'reset');
  });

  test('resolves when the connection is gone, so that the next one does not meet it', async () => {
    let open = 0;
    const listener = new TestListener((connection) => {
      open++;
      void connection.ending.then(() => {
        open--;
        connection.end();
      });
      void connection.readSome().then(() => connection.write(Buffer.of(3, 0, 0, 0, 0, 4, 0, 1, 1, 7)));
    });
    await listener.start();
    onTestFinished(() => listener.stop());
    const deadlines = createDeadlines();
    onTestFinished(() => deadlines.close());
    const question = { target: listener.address, link: {}, calling: 'A', called: 'B', proposals: [VERIFY] };
    await ask(question, { deadlines, timeout: 10_000 });
    expect(open).toBe(0);
  });
});
