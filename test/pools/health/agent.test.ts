import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type AgentResult, createAgentCheck, parseAgentLine } from '../../../src/pools/health/agent.ts';
import type { CheckTarget } from '../../../src/pools/health/check.ts';
import { createDeadlines } from '../../../src/relay/deadlines.ts';
import { freePort } from '../../peers/processes.ts';
import { type TestConnection, TestListener } from '../../peers/test-connection.ts';
import { Journal } from '../../peers/waiting.ts';
import { ManualDeadlines } from './manual-deadlines.ts';

describe('a line of an agent', () => {
  test.each([
    ['75%', { share: 0.75 }],
    ['0%', { share: 0 }],
    ['250%', { share: 2.5 }],
    ['999999%', { share: 10 }],
    ['maxconn:30', { maxConnections: 30 }],
    ['maxconn:0', { maxConnections: Number.POSITIVE_INFINITY }],
    ['ready', { duty: 'online' }],
    ['drain', { duty: 'drain' }],
    ['maint', { duty: 'strict-drain' }],
    ['up', { health: 'up' }],
    ['down', { health: 'down' }],
    ['fail', { health: 'down' }],
    ['failed', { health: 'down' }],
    ['stopped', { health: 'down' }],
    ['down#disk 90% full, drain', { health: 'down' }],
    ['down #ready', { health: 'down' }],
    ['up ready 50% maxconn:12', { health: 'up', duty: 'online', share: 0.5, maxConnections: 12 }],
    ['up,\tready,,80%', { health: 'up', duty: 'online', share: 0.8 }],
    ['READY Up', { duty: 'online', health: 'up' }],
    ['drain ready', { duty: 'online' }],
  ] as const)('%s', (line, report) => {
    expect(parseAgentLine(line)).toEqual(report);
  });

  test.each(['', ' ', 'downtown', 'up!', '75', '-5%', '7.5%', 'maxconn:', 'maxconn: 30', '#down', 'ready=1'])(
    'nothing is known in "%s"',
    (line) => expect(parseAgentLine(line)).toBeUndefined(),
  );

  test('whatever an agent writes: a report of words that are in it, or none', () => {
    const known = fc.constantFrom(
      '75%',
      'maxconn:3',
      'ready',
      'drain',
      'maint',
      'up',
      'down',
      'fail',
      'stopped',
    );
    const unknown = fc.stringMatching(/^[a-z]{0,3}[0-9!:.]{1,5}$/);
    const between = fc.constantFrom(' ', '\t', ',', ', ', '  ');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.oneof(known, unknown), between)),
        fc.string(),
        (words, description) => {
          const line = words.flat().join('');
          const report = parseAgentLine(`${line}#${description}`);
          // The same, asked word by word: the last one that speaks of something counts.
          const expected = Object.assign({}, ...words.map(([word]) => parseAgentLine(word)));
          expect(report ?? {}).toEqual(expected);
        },
      ),
    );
    fc.assert(
      fc.property(fc.string(), (line) => {
        const { share = 0, maxConnections = 1, ...rest } = parseAgentLine(line) ?? {};
        expect(share).toBeGreaterThanOrEqual(0);
        expect(maxConnections).toBeGreaterThan(0);
        expect(Object.keys(rest).every((key) => key === 'duty' || key === 'health')).toBe(true);
      }),
    );
  });
});

async function serve(talk: (connection: TestConnection) => unknown) {
  const connections = new Journal<TestConnection>('connections');
  const server = new TestListener((connection) => {
    connections.add(connection);
    void talk(connection);
  });
  await server.start();
  onTestFinished(() => server.stop());
  return { ...server.address, connections };
}

function agentAt(target: Partial<CheckTarget> & { port: number }) {
  const deadlines = target.deadlines ?? createDeadlines({ tickMs: 5 });
  onTestFinished(() => deadlines.close());
  return createAgentCheck({ host: '127.0.0.1', timeout: 20_000, now: () => 0, ...target, deadlines });
}

function heard(target: Partial<CheckTarget> & { port: number }): Promise<AgentResult> {
  return new Promise((resolve) => agentAt(target).start(resolve));
}

describe('agent', () => {
  test('one line is read, and the connection closed in order', async () => {
    const { port, connections } = await serve((connection) =>
      connection.write(Buffer.from('up 75%\r\ndown\n')),
    );
    expect(await heard({ port })).toEqual({
      report: { health: 'up', share: 0.75 },
      reason: 'its agent says: up 75%',
    });
    expect(await connections.items[0]!.ending).toBe('end');
  });

  test('a byte at a time; or ended by the connection alone', async () => {
    const dribbling = await serve((connection) => connection.dribble(Buffer.from('drain#backup\n')));
    expect(await heard(dribbling)).toEqual({
      report: { duty: 'drain' },
      reason: 'its agent says: drain#backup',
    });
    const ending = await serve(async (connection) => {
      await connection.write(Buffer.from('maint'));
      connection.end();
    });
    expect((await heard(ending)).report).toEqual({ duty: 'strict-drain' });
  });

  test.each<[string, (connection: TestConnection) => unknown, string]>([
    ['says nothing', (connection) => connection.end(), 'its agent says nothing'],
    [
      'says something else',
      (connection) => connection.write(Buffer.from('hello\x07\n')),
      'its agent says: hello\\x7: no word that is known',
    ],
    [
      'never ends its line',
      (connection) => connection.write(Buffer.alloc(5000, 'x')),
      'its agent says more than 1024 bytes in a line',
    ],
    ['resets', (connection) => connection.reset(), 'its agent cannot be heard: 127.0.0.1:'],
  ])('an agent that %s changes nothing', async (_, talk, reason) => {
    const result = await heard(await serve(talk));
    expect(result.report).toBeUndefined();
    expect(result.reason).toContain(reason);
  });

  test('an agent that is not there, or silent, changes nothing', async () => {
    const port = await freePort();
    expect(await heard({ port })).toEqual({
      report: undefined,
      reason: `its agent cannot be heard: 127.0.0.1:${port} refuses connections`,
    });
    const silent = await serve(() => {});
    const deadlines = new ManualDeadlines();
    const result = heard({ port: silent.port, timeout: 2000, deadlines });
    await silent.connections.count(1);
    deadlines.pass(2000);
    expect(await result).toEqual({ report: undefined, reason: 'its agent says nothing within 2000 ms' });
  });

  test('cancelled, it says nothing', async () => {
    const silent = await serve(() => {});
    let said = 0;
    const cancel = agentAt({ port: silent.port }).start(() => said++);
    await silent.connections.count(1);
    cancel();
    await silent.connections.items[0]!.ending;
    expect(said).toBe(0);
  });
});
