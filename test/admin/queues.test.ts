import { expect, onTestFinished, test, vi } from 'vitest';
import { type NoticeEvent, onEvent } from '../../src/observe/events.ts';
import { openQuarantine, startQueueAdmin } from '../peers/queue-admin.ts';

const AT = '/api/v1/queues/ORDERS/quarantine';
const BEARING = { authorization: 'Bearer open-sesame' };

function watchAudit(): NoticeEvent[] {
  const lines: NoticeEvent[] = [];
  onTestFinished(onEvent('notice', (event) => event.message === 'quarantine' && lines.push(event)));
  return lines;
}

test('a queue is shown with its depth and its counts', async () => {
  const queue = await openQuarantine({ controlId: 'M1' }, { controlId: 'M2' });
  const { ask } = await startQueueAdmin({ ORDERS: queue });
  expect(JSON.parse((await ask('/api/v1/queues')).body)).toEqual([
    {
      vip: 'ORDERS',
      file: queue.file,
      isReadable: true,
      messages: 2,
      bytes: expect.any(Number),
      taken: 0,
      held: 2,
      oldest: null,
      age: null,
      fileBytes: expect.any(Number),
      stored: 2,
      delivered: 0,
      storedPerSecond: 0,
      deliveredPerSecond: 0,
    },
  ]);
  const { body, headers } = await ask('/metrics');
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(body).toContain('\ngantry_queue_held{vip="ORDERS"} 2\n');
});

test('what is in quarantine is listed page by page, with why and without bodies', async () => {
  const [one, two, three] = ['M1', 'M2', 'M3'].map((controlId) => ({ controlId, body: 'MSH|INVENTED^NAME' }));
  const queue = await openQuarantine(one!, { ...two!, reason: 'its body is damaged' }, three!);
  const { ask } = await startQueueAdmin({ ORDERS: queue });
  const { body } = await ask(AT);
  expect(body).not.toContain('INVENTED');
  const all = JSON.parse(body);
  expect(all[1]).toEqual({
    id: 2,
    arrived: expect.stringMatching(/^20..-..-..T.*Z$/),
    size: 17,
    attempts: 1,
    maybeTwice: false,
    reason: 'its body is damaged',
    keepsPlace: true,
    type: 'ORU',
    event: 'R01',
    controlId: 'M2',
    sender: 'LAB^NORTH',
    client: '10.0.0.7',
    returnTo: null,
  });
  expect(JSON.parse((await ask(`${AT}?limit=2`)).body)).toEqual(all.slice(0, 2));
  expect(JSON.parse((await ask(`${AT}?after=1&limit=1`)).body)).toEqual(all.slice(1, 2));
  expect(JSON.parse((await ask(`${AT}?after=3`)).body)).toEqual([]);
});

test('what a message did not say is null', async () => {
  const queue = await openQuarantine({ controlId: '' });
  const [held] = await queue.list(0, 1);
  vi.spyOn(queue, 'list').mockResolvedValue([{ ...held!, about: {} }]);
  const { ask } = await startQueueAdmin({ ORDERS: queue });
  const none = {
    ...{ type: null, event: null, controlId: null },
    ...{ sender: null, client: null, returnTo: null },
  };
  expect(JSON.parse((await ask(AT)).body)).toEqual([expect.objectContaining(none)]);
});

test('released, replayed and dropped: each once, and each in the log', async () => {
  const audit = watchAudit();
  const queue = await openQuarantine({ controlId: 'M1' }, { controlId: 'M2' }, { controlId: 'M3' });
  const { ask } = await startQueueAdmin({ ORDERS: queue });
  expect(JSON.parse((await ask(`${AT}/1/release`, 'POST')).body)).toEqual({ id: 1 });
  const replayed = JSON.parse((await ask(`${AT}/2/replay`, 'POST')).body);
  expect(replayed.id).toBeGreaterThan(3);
  expect(JSON.parse((await ask(`${AT}/3`, 'DELETE')).body)).toEqual({ id: 3 });
  expect(await queue.depth()).toMatchObject({ messages: 2, held: 0 });
  const line = (action: string, id: number) => ({
    level: 'info',
    message: 'quarantine',
    fields: { action, vip: 'ORDERS', id, controlId: `M${id}`, client: '127.0.0.1' },
  });
  expect(audit).toEqual([line('release', 1), line('replay', 2), line('drop', 3)]);

  const again = await ask(`${AT}/1/release`, 'POST');
  expect(JSON.parse(again.body)).toMatchObject({
    status: 409,
    detail: expect.stringContaining('not in quarantine'),
  });
  for (const [path, method] of [
    ['2/replay', 'POST'],
    ['3', 'DELETE'],
    ['99/release', 'POST'],
  ] as const) {
    const answer = await ask(`${AT}/${path}`, method);
    expect({ path, status: answer.status }).toEqual({ path, status: 404 });
  }
  expect(audit).toHaveLength(3);
});

test('a VIP that is not there, one without a queue, an id that is none', async () => {
  const { ask } = await startQueueAdmin({});
  const missing = await ask(AT);
  expect(JSON.parse(missing.body)).toMatchObject({ status: 404, detail: 'There is no such VIP.' });
  const without = await ask('/api/v1/queues/WEB/quarantine/1/release', 'POST');
  expect(JSON.parse(without.body)).toMatchObject({
    status: 404,
    detail: expect.stringContaining('delivery: store'),
  });
  for (const path of ['/x/release', '/0/release', '/1.5/release', '/-1/release'])
    expect([path, (await ask(`${AT}${path}`, 'POST')).status]).toEqual([path, 400]);
  for (const query of ['?after=-1', '?limit=0', '?limit=1001', '?colour=red'])
    expect([query, (await ask(`${AT}${query}`)).status]).toEqual([query, 400]);
});

test('a queue whose file cannot be used is 503, and the others are shown', async () => {
  const audit = watchAudit();
  const [lost, well] = [await openQuarantine({ controlId: 'M1' }), await openQuarantine()];
  const { ask } = await startQueueAdmin({ ORDERS: lost, RESULTS: well });
  await lost.close();
  for (const [path, method] of [
    ['', 'GET'],
    ['/1/release', 'POST'],
    ['/1/replay', 'POST'],
    ['/1', 'DELETE'],
  ] as const) {
    const answer = await ask(`${AT}${path}`, method);
    expect([method, JSON.parse(answer.body)]).toMatchObject([
      method,
      { status: 503, detail: expect.stringContaining('cannot be used now') },
    ]);
  }
  expect(JSON.parse((await ask('/api/v1/queues')).body)).toMatchObject([
    { vip: 'ORDERS', isReadable: false, messages: null, held: null, stored: 1 },
    { vip: 'RESULTS', isReadable: true, messages: 0 },
  ]);
  expect((await ask('/metrics')).body).toContain('\ngantry_queue_readable{vip="ORDERS"} 0\n');
  expect(audit).toEqual([]);
});

test('a body is shown with the token only, byte for byte, never to a browser, and that is in the log', async () => {
  const audit = watchAudit();
  const body = 'MSH|^~\\&|LAB|\xe9\x00\xff\rPID|1||INVENTED-1\r';
  const queue = await openQuarantine({ controlId: 'M1', body }, { controlId: 'M2' });
  const { ask } = await startQueueAdmin({ ORDERS: queue }, 'open-sesame');
  const at = `${AT}/1/body`;
  expect((await ask(AT)).status).toBe(200);
  expect((await ask(at)).status).toBe(401);
  expect((await ask(at, 'GET', { authorization: 'Bearer guess' })).status).toBe(401);
  const browser = await ask(at, 'GET', { ...BEARING, 'sec-fetch-site': 'same-origin' });
  expect(JSON.parse(browser.body)).toMatchObject({
    status: 403,
    detail: expect.stringContaining('browsers'),
  });
  expect(audit).toEqual([]);

  const shown = await ask(at, 'GET', BEARING);
  expect(shown.bytes).toEqual(Buffer.from(body, 'latin1'));
  expect(shown.headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'cache-control': 'no-store',
  });
  expect(audit.map(({ fields }) => fields)).toEqual([
    { action: 'show', vip: 'ORDERS', id: 1, controlId: 'M1', client: '127.0.0.1' },
  ]);
  expect(JSON.stringify(audit)).not.toContain('INVENTED');
  await queue.release(2);
  expect((await ask(`${AT}/2/body`, 'GET', BEARING)).status).toBe(409);
});

test('a body that is damaged is said to be, and a message that leaves quarantine meanwhile', async () => {
  const audit = watchAudit();
  const queue = await openQuarantine({ controlId: 'M1' });
  vi.spyOn(queue, 'show').mockResolvedValue(undefined);
  vi.spyOn(queue, 'drop').mockResolvedValue(false);
  const { ask } = await startQueueAdmin({ ORDERS: queue }, 'open-sesame');
  const body = await ask(`${AT}/1/body`, 'GET', BEARING);
  expect(JSON.parse(body.body)).toMatchObject({ status: 409, detail: 'Its body is damaged on the disk.' });
  expect((await ask(`${AT}/1`, 'DELETE', BEARING)).status).toBe(409);
  expect(audit).toEqual([]);
});

test('without a token in the configuration no body is shown, not even on loopback', async () => {
  const audit = watchAudit();
  const { ask } = await startQueueAdmin({ ORDERS: await openQuarantine({ controlId: 'M1' }) });
  for (const headers of [{}, BEARING]) {
    const { body } = await ask(`${AT}/1/body`, 'GET', headers);
    expect(JSON.parse(body)).toMatchObject({
      status: 403,
      detail: expect.stringContaining('set admin.token'),
    });
  }
  expect(audit).toEqual([]);
});

test('changes need the token when one is set', async () => {
  const queue = await openQuarantine({ controlId: 'M1' });
  const { ask } = await startQueueAdmin({ ORDERS: queue }, 'open-sesame');
  expect((await ask(`${AT}/1`, 'DELETE')).status).toBe(401);
  expect(await queue.depth()).toMatchObject({ held: 1 });
  expect((await ask(`${AT}/1`, 'DELETE', BEARING)).status).toBe(200);
});
