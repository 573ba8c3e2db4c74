/** The balancer's durable queues: open before a configuration is in force, and as long as anybody uses them. */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readConfiguration } from '../src/config/load.ts';
import type { VipConfiguration } from '../src/config/schema.ts';
import { type NoticeEvent, onEvent } from '../src/observe/events.ts';
import type { Queue } from '../src/queue/queue.ts';
import { Queues } from '../src/queues.ts';
import { Journal, within } from './peers/waiting.ts';
import { scratchFolder } from './queue/scratch.ts';

/** VIPs with a queue in a file of this name, by VIP. */
function vipsWith(folder: string, files: Readonly<Record<string, string>>): readonly VipConfiguration[] {
  const vips = Object.entries(files).map(
    ([name, queue], index) =>
      `  ${name}: { protocol: hl7, listen: "127.0.0.1:${index + 1}", pool: p, hl7: { delivery: store, queue: ${queue} } }\n`,
  );
  const text = `pools: { p: { servers: ["127.0.0.1:2310"] } }\nvips:\n  R: { protocol: hl7, listen: "127.0.0.1:0", pool: p }\n${vips.join('')}`;
  const { configuration, faults } = readConfiguration(text, { file: join(folder, 'gantry.yaml') });
  expect(faults).toBeUndefined();
  return configuration!.vips;
}

function setUp() {
  const folder = scratchFolder();
  const queues = new Queues();
  onTestFinished(() => queues.close());
  const notices = new Journal<NoticeEvent>('notices');
  onTestFinished(onEvent('notice', (event) => notices.add(event)));
  return {
    folder,
    queues,
    notices,
    /** Opens those of a configuration, and puts it in force. */
    apply: async (files: Readonly<Record<string, string>>) => {
      const opened = await queues.open(vipsWith(folder, files));
      opened.commit();
      return opened;
    },
  };
}

/** Keeps an invented message. */
function keep(queue: Queue): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const message = { keys: ['INVENTED'], about: { type: 'ADT' } };
  queue.store(message, Buffer.from('MSH|^~\\&|INVENTED'), (id, refusal) => resolve(id ?? refusal));
  return within(promise, 'a message to be stored');
}

test('each VIP that keeps messages has the queue of its file, which only its owner may read', async () => {
  const { folder, apply } = setUp();
  const opened = await apply({ A: 'a', B: 'b' });
  expect([opened.of('A')?.file, opened.of('B')?.file]).toEqual([join(folder, 'a'), join(folder, 'b')]);
  expect([opened.of('R'), opened.of('NOBODY')]).toEqual([undefined, undefined]);
  expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o600);
});

test('a file that stays is the same queue, whosever it is, and takes the new settings', async () => {
  const { apply } = setUp();
  const first = await apply({ A: 'a', B: 'b' });
  const [a, b] = [first.of('A')!, first.of('B')!];
  const second = await apply({ A: 'b', B: '{ file: a, messages: 1 }' });
  expect([second.of('A'), second.of('B')]).toEqual([b, a]);
  expect([await keep(a), await keep(a)]).toEqual([1, 'full']);
});

test('a queue that nobody uses any more is closed, and what stays in its file is said', async () => {
  const { folder, queues, notices, apply } = setUp();
  const first = await apply({ A: 'a', B: 'b' });
  const [a, b] = [first.of('A')!, first.of('B')!];
  await keep(a);
  await apply({ B: 'b' });
  queues.closeAllBut(new Set([a, b]));
  expect(await a.depth()).toMatchObject({ messages: 1 });
  queues.closeAllBut(new Set([undefined, b]));
  const { message, ...rest } = await notices.find((one) => one.message.startsWith('no VIP has'));
  expect(message).toBe('no VIP has this durable queue any more: its messages stay in the file');
  expect(rest).toMatchObject({ level: 'warn', fields: { file: join(folder, 'a'), messages: 1, held: 0 } });
  await expect(a.depth()).rejects.toThrow('cannot be used now');
  expect(await b.depth()).toMatchObject({ messages: 0 });
});

test('a file may be wanted again while it is being closed', async () => {
  const { queues, apply } = setUp();
  const a = (await apply({ A: 'a' })).of('A')!;
  await keep(a);
  queues.closeAllBut(new Set());
  const again = (await apply({ A: 'a' })).of('A')!;
  expect(again).not.toBe(a);
  expect(again.opening.messages).toBe(1);
});

test('what the next configuration wants is not closed while it is prepared', async () => {
  const { folder, queues, apply } = setUp();
  const a = (await apply({ A: 'a' })).of('A')!;
  const opened = await queues.open(vipsWith(folder, { B: 'a', C: 'c' }));
  queues.closeAllBut(new Set());
  expect(opened.of('B')).toBe(a);
  opened.rollback();
  queues.closeAllBut(new Set([a]));
  expect(await a.depth()).toMatchObject({ messages: 0 });
  // Free again: it can be opened at once.
  expect((await apply({ C: 'c' })).of('C')).toBeDefined();
});

test('a file that cannot be used: one sentence, and all is as before', async () => {
  const { folder, queues, apply } = setUp();
  const a = (await apply({ A: 'a' })).of('A')!;
  writeFileSync(join(folder, 'letter'), 'Dear Sir or Madam');
  await expect(
    queues.open(vipsWith(folder, { A: '{ file: a, messages: 1 }', B: 'b', C: 'letter' })),
  ).rejects.toThrow(
    `${join(folder, 'letter')} is no queue of Gantry: name another file, or move this one away`,
  );
  await expect(queues.open(vipsWith(folder, { C: 'nowhere/c' }))).rejects.toMatchObject({
    code: 'GTY_QUEUE',
  });
  queues.closeAllBut(new Set([a]));
  expect([await keep(a), await keep(a)]).toEqual([1, 2]);
  expect((await apply({ A: 'a', B: 'b' })).of('B')).toBeDefined();
});

test('when the balancer stops, all are closed, and what waits for the next start is said', async () => {
  const { folder, queues, notices, apply } = setUp();
  const opened = await apply({ A: 'a', B: 'b' });
  await keep(opened.of('B')!);
  await queues.close();
  expect(notices.items).toMatchObject([
    {
      level: 'info',
      message: 'messages stay in the durable queue until the next start',
      fields: { file: join(folder, 'b'), messages: 1, held: 0 },
    },
  ]);
  expect(existsSync(join(folder, 'a-wal'))).toBe(false);
});
