import { expect, onTestFinished, test, vi } from 'vitest';
import { runCommand } from '../../src/cli/main.ts';
import { statusText } from '../../src/cli/status.ts';
import { openQuarantine, startQueueAdmin } from '../peers/queue-admin.ts';
import { type CliResult, runHere } from './run-cli.ts';

interface Asking {
  readonly admin: readonly string[];
  readonly gantry: (...words: string[]) => Promise<CliResult>;
}

async function start(queues: Parameters<typeof startQueueAdmin>[0], token?: string): Promise<Asking> {
  const { host, port } = (await startQueueAdmin(queues, token)).admin.endpoint;
  const admin = ['--admin', `http://${host}:${port}`];
  return { admin, gantry: (...words) => runHere(['queue', ...words, ...admin]) };
}

const poison = (...controlIds: string[]) => openQuarantine(...controlIds.map((controlId) => ({ controlId })));

test('status: each queue with its depth; JSON as the API has it', async () => {
  const orders = await poison('M1', 'M2');
  const results = await openQuarantine();
  const { gantry } = await start({ ORDERS: orders, RESULTS: results });
  const { code, stdout, stderr } = await gantry('status');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [head, first, second] = stdout.split('\n');
  expect(head).toMatch(/^VIP +MESSAGES +SIZE +SENDING +QUARANTINE +OLDEST +IN\/S +OUT\/S +FILE$/);
  expect(first).toMatch(/^ORDERS +2 +\d+ B +0 +2 +- +0 +0 +\S+\/queue$/);
  expect(second).toMatch(/^RESULTS +0 +0 B +0 +0 +- +0 +0 +\S+\/queue$/);
  expect(JSON.parse((await gantry('status', '--json')).stdout)[0]).toMatchObject({ vip: 'ORDERS', held: 2 });
  await orders.close();
  expect((await gantry('status')).stdout).toMatch(/ORDERS +\? +\? .*cannot be read now/);
  expect((await (await start({})).gantry('status')).stdout).toBe('no VIP has a durable queue\n');
});

test('list: what is in quarantine and why; nothing that a terminal obeys', async () => {
  const { gantry } = await start({
    ORDERS: await openQuarantine({ controlId: 'M1' }, { controlId: '\x1b[2J\x07' }),
    RESULTS: await openQuarantine(),
  });
  const [head, first, second] = (await gantry('list', 'ORDERS')).stdout.split('\n');
  expect(head).toMatch(/^ID +ARRIVED +MESSAGE +CONTROL ID +SENDER +SIZE +ATTEMPTS +REASON$/);
  expect(first).toMatch(/^1 +20\S+Z +ORU\^R01 +M1 +LAB\^NORTH +\d+ B +1 +AE from ris\/a$/);
  expect(second).toContain('\\x1b[2J\\x07');
  expect(JSON.parse((await gantry('list', 'ORDERS', '--json')).stdout)).toHaveLength(2);
  expect((await gantry('list', 'RESULTS')).stdout).toBe('nothing is in quarantine\n');
});

test('release, replay, drop: each message is answered for', async () => {
  const queue = await poison('M1', 'M2', 'M3', 'M4');
  const { gantry } = await start({ ORDERS: queue });
  expect(await gantry('release', 'ORDERS', '1', '2')).toEqual({
    code: 0,
    stdout: 'ORDERS 1: released\nORDERS 2: released\n',
    stderr: '',
  });
  expect((await gantry('replay', 'ORDERS', '3')).stdout).toMatch(/^ORDERS 3: replayed as \d+\n$/);
  expect((await gantry('drop', 'ORDERS', '4')).stdout).toBe('ORDERS 4: dropped\n');
  expect(await queue.depth()).toMatchObject({ messages: 3, held: 0 });
  expect((await gantry('release', 'ORDERS', '--all')).stdout).toBe('nothing is in quarantine\n');
});

test('--all is all that are there; several or all are dropped only with --yes', async () => {
  const queue = await poison('M1', 'M2', 'M3');
  const { gantry } = await start({ ORDERS: queue });
  for (const words of [['1', '2'], ['--all']]) {
    const { code, stdout, stderr } = await gantry('drop', 'ORDERS', ...words);
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: 'gantry: more than one message is dropped only with --yes: they are gone then\n',
    });
  }
  expect(await queue.depth()).toMatchObject({ held: 3 });
  expect((await gantry('drop', 'ORDERS', '1', '1', '2', '--yes')).stdout).toBe(
    'ORDERS 1: dropped\nORDERS 2: dropped\n',
  );
  expect((await gantry('drop', 'ORDERS', '--all', '--yes')).stdout).toBe('ORDERS 3: dropped\n');
});

test('of several, one that is not there does not keep the others: exit 1', async () => {
  const { gantry } = await start({ ORDERS: await poison('M1', 'M2') });
  expect(await gantry('release', 'ORDERS', '1', '9', '2')).toEqual({
    code: 1,
    stdout: 'ORDERS 1: released\nORDERS 2: released\n',
    stderr: expect.stringMatching(
      /^ORDERS 9: There is no such message in the queue.*\ngantry: 1 of 3 messages were not released\n$/,
    ),
  });
  expect(await gantry('release', 'ORDERS', '1')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(
      /^gantry: the balancer at \S+ answers 409: This message is not in quarantine.*\n$/,
    ),
  });
});

test.each([
  [['release', 'ORDERS'], 2, 'which messages? Give ids, or --all'],
  [['release', 'ORDERS', '1', '--all'], 2, 'give ids or --all, not both'],
  [['replay', 'ORDERS', 'all'], 2, '"all" is not the id of a message, such as 1207'],
  [['show', 'ORDERS', '0'], 2, '"0" is not the id of a message'],
  [['list', 'NOBODY'], 1, 'answers 404: There is no such VIP.'],
  [['list', 'WEB'], 1, 'answers 404: This VIP has no durable queue'],
  [['show', 'ORDERS', '1'], 1, 'answers 403: This is shown only to who has the token, and none is set'],
  [['list'], 2, "missing required argument 'vip'"],
])('%j: a sentence', async (words, code, sentence) => {
  const { gantry } = await start({ ORDERS: await poison('M1') });
  const result = await gantry(...words);
  expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: '' });
  expect(result.stderr).toMatch(/^gantry: [^\n]+\n$/);
  expect(result.stderr).toContain(sentence);
});

test('show: the bytes as they came, to who has the token; to a terminal, lines that it does not obey', async () => {
  const body = 'MSH|^~\\&|LAB|\xe9\xff\rPID|1||INVENTED\x1b[2J\r';
  const queue = await openQuarantine({ controlId: 'M1', body });
  const { admin, gantry } = await start({ ORDERS: queue }, 'open-sesame');
  expect(await gantry('show', 'ORDERS', '1')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('answers 401: A token is needed'),
  });
  const written: unknown[] = [];
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((bytes) => written.push(bytes) > 0);
  const code = await runCommand(['queue', 'show', 'ORDERS', '1', '--token', 'open-sesame', ...admin]);
  stdout.mockRestore();
  expect({ code, written }).toEqual({ code: 0, written: [Buffer.from(body, 'latin1')] });
  const { isTTY } = process.stdout;
  process.stdout.isTTY = true;
  onTestFinished(() => {
    process.stdout.isTTY = isTTY;
  });
  vi.stubEnv('GANTRY_TOKEN', 'open-sesame');
  onTestFinished(() => void vi.unstubAllEnvs());
  expect((await gantry('show', 'ORDERS', '1')).stdout).toMatch(/^MSH\|.*\nPID\|1\|\|INVENTED\\x1b\[2J\n$/);
});

test('gantry status has a table of the queues, when there are any', async () => {
  const vip = {
    name: 'ORDERS',
    protocol: 'hl7',
    mode: 'proxy',
    listen: ['127.0.0.1:2310'],
    pool: 'ris',
    persistence: 'none',
    connections: 0,
    totals: {},
  } as const;
  const queue = {
    file: '/var/lib/gantry/orders',
    messages: 1234,
    bytes: 5_000_000,
    taken: 8,
    held: 3,
    oldest: new Date(Date.now() - 7_260_500).toISOString(),
    fileBytes: 6_000_000,
  };
  const status = { version: '0.1.0', uptime: 12, pools: [] };
  expect(await statusText({ ...status, vips: [vip] })).not.toContain('QUEUE');
  const text = await statusText({
    ...status,
    vips: [
      { ...vip, queue },
      { ...vip, name: 'B', queue: null },
    ],
  });
  expect(text).toMatch(/\nORDERS +1234 +4\.8 MiB +8 +3 +2h 1m \d+s +\/var\/lib\/gantry\/orders\n/);
  expect(text).toMatch(/\nB +(?:\? +){5}its file cannot be read now\n/);
});
