import { execFile } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { PIECE_BYTES } from '../../src/queue/file.ts';
import type { IncomingBody } from '../../src/queue/incoming-body.ts';
import type {
  HeldMessage,
  NewMessage,
  QueueSettings,
  Refusal,
  TakenMessage,
} from '../../src/queue/message.ts';
import { openQueue, type Queue } from '../../src/queue/queue.ts';
import { Journal, within } from '../peers/waiting.ts';
import { scratchFolder } from './scratch.ts';
import { SETTINGS } from './settings.ts';

const ABOUT = { type: 'ADT', event: 'A08' };

interface Opened {
  readonly queue: Queue;
  readonly handed: Journal<TakenMessage>;
  readonly quarantined: Journal<HeldMessage>;
  readonly losses: Journal<string>;
}

async function open(file: string, settings: Partial<QueueSettings> = {}): Promise<Opened> {
  const handed = new Journal<TakenMessage>('messages handed out');
  const quarantined = new Journal<HeldMessage>('messages in quarantine');
  const losses = new Journal<string>('losses');
  const listener = {
    quarantined: (message: HeldMessage) => quarantined.add(message),
    handed: (message: TakenMessage) => handed.add(message),
    lost: (reason: string) => losses.add(reason),
  };
  const queue = await openQueue({ file, settings: { ...SETTINGS, ...settings }, listener });
  onTestFinished(() => queue.close());
  return { queue, handed, quarantined, losses };
}

function newFile(): string {
  return join(scratchFolder(), 'queue');
}

/** Resolves with the id, or the refusal. */
function store(queue: Queue, message: Partial<NewMessage>, text: string): Promise<number | Refusal> {
  const { promise, resolve } = Promise.withResolvers<number | Refusal>();
  const stored = (id: number | undefined, refusal: Refusal | undefined) => resolve(id ?? refusal!);
  queue.store({ keys: ['P1'], about: ABOUT, ...message }, Buffer.from(text), stored);
  return within(promise, 'a message to be stored');
}

test('a message is stored, handed out as it came, and gone when it was delivered', async () => {
  const { queue, handed } = await open(newFile());
  const id = await store(queue, {}, 'MSH|^~\\&|ünïcödé\r\0');
  expect(id).toBe(1);
  expect(handed.length).toBe(0);
  queue.window(1);
  const [message] = await handed.count(1);
  const { arrived, content, ...rest } = message!;
  expect(rest).toEqual({ id, about: ABOUT, size: 22, attempts: 1, maybeTwice: false });
  expect(content!.toString()).toBe('MSH|^~\\&|ünïcödé\r\0');
  expect(arrived).toBeGreaterThan(1e12);
  queue.delivered(message!.id);
  expect(await queue.depth()).toMatchObject({ messages: 0, bytes: 0, taken: 0, oldest: undefined });
});

test('what is given may be changed once it was given', async () => {
  const { queue, handed } = await open(newFile());
  const bytes = Buffer.from('MSH|first');
  const stored = new Promise((resolve) => queue.store({ keys: [], about: ABOUT }, bytes, resolve));
  bytes.fill('x');
  await stored;
  queue.window(1);
  const [message] = await handed.count(1);
  expect(message!.content!.toString()).toBe('MSH|first');
});

test('the next message of a patient goes when the one before is removed, those of others at once', async () => {
  const { queue, handed } = await open(newFile());
  queue.window(10);
  const keys = [['P1'], ['P1'], ['P2']];
  await Promise.all(keys.map((its) => store(queue, { keys: its }, 'MSH|invented')));
  expect((await handed.count(2)).map(({ id }) => id)).toEqual([1, 3]);
  await queue.settled();
  expect(handed.length).toBe(2);
  queue.delivered(1);
  expect((await handed.count(3))[2]!.id).toBe(2);
});

test('no more are in hand than the window allows', async () => {
  const { queue, handed } = await open(newFile());
  queue.window(3);
  await Promise.all(Array.from({ length: 10 }, (_, index) => store(queue, { keys: [`P${index}`] }, 'MSH')));
  for (let count = 3; count <= 10; count++) {
    await handed.count(count);
    await queue.settled();
    expect(handed.length).toBe(count);
    queue.delivered(handed.items[count - 3]!.id);
  }
});

test('what is not stored keeps its place in order: behind what was stored before, ahead of what comes after', async () => {
  const { queue, handed } = await open(newFile());
  const granted = new Journal<string>('standings whose turn came');
  const stored = store(queue, {}, 'MSH|before');
  const standing = queue.stand(['P1', 'P2'], () => granted.add('P1 and P2'));
  const rest = [store(queue, {}, 'MSH|after'), store(queue, { keys: ['P3'] }, 'MSH|of another patient')];
  expect(granted.length).toBe(0);
  const [before] = await Promise.all([stored, ...rest]);
  // Nobody's window is needed for it.
  queue.stand(['P4'], () => granted.add('P4'));
  await granted.count(1);
  queue.window(2);
  expect((await handed.count(2)).map(({ content }) => String(content))).toEqual([
    'MSH|before',
    'MSH|of another patient',
  ]);
  await queue.settled();
  expect(granted.items).toEqual(['P4']);
  queue.delivered(before as number);
  expect(await granted.count(2)).toEqual(['P4', 'P1 and P2']);
  await queue.settled();
  expect(handed.length).toBe(2);
  standing.leave();
  expect(String((await handed.count(3))[2]!.content)).toBe('MSH|after');
});

test('who stands in order may leave before the turn came, at once and again', async () => {
  const { queue, handed } = await open(newFile());
  const granted = new Journal<string>('standings whose turn came');
  queue.window(1);
  await store(queue, {}, 'MSH|before');
  const standing = queue.stand(['P1'], () => granted.add('first'));
  const atOnce = queue.stand(['P1'], () => granted.add('second'));
  queue.stand(['P1'], () => granted.add('third'));
  atOnce.leave();
  await store(queue, {}, 'MSH|after');
  standing.leave();
  standing.leave();
  queue.delivered((await handed.count(1))[0]!.id);
  expect(await granted.count(1)).toEqual(['third']);
  await queue.settled();
  expect(handed.length).toBe(1);
});

test('a message that failed comes again by itself, after its pause', async () => {
  const { queue, handed } = await open(newFile(), { pause: { first: 5, longest: 5 } });
  queue.window(1);
  await store(queue, {}, 'MSH|invented');
  await handed.count(1);
  queue.failed(1, 'unanswered', 'no answer came in time');
  expect((await handed.count(2))[1]).toMatchObject({ id: 1, attempts: 2, maybeTwice: true });
});

test('a queue that is closed and opened again has what was in it', async () => {
  const file = newFile();
  const first = await open(file);
  first.queue.window(1);
  await store(first.queue, { keys: ['P1'] }, 'MSH|taken');
  await store(first.queue, { keys: ['P2'], fingerprint: Buffer.from('print') }, 'MSH|waiting');
  await first.handed.count(1);
  await first.queue.close();
  expect(await store(first.queue, {}, 'MSH|late')).toBe('unavailable');
  await expect(first.queue.depth()).rejects.toMatchObject({ code: 'GTY_QUEUE' });

  const { queue, handed } = await open(file);
  expect(queue.opening).toMatchObject({ messages: 2, maybeTwice: 1, held: 0 });
  expect(Buffer.from([...queue.takeRemembered()][0]!.fingerprint).toString()).toBe('print');
  queue.window(10);
  expect(await handed.count(2)).toMatchObject([{ maybeTwice: true }, { maybeTwice: false }]);
});

test('quarantine is told, listed, shown, released, replayed and dropped', async () => {
  const { queue, handed, quarantined } = await open(newFile());
  queue.window(10);
  await Promise.all([1, 2, 3].map((number) => store(queue, { keys: [`P${number}`] }, `MSH|${number}`)));
  for (const { id } of await handed.count(3)) queue.hold(id, 'no rule takes it');
  const list = await queue.list(0, 10);
  expect(await quarantined.count(3)).toEqual(list);
  expect(list.map(({ id, reason }) => [id, reason])).toEqual([1, 2, 3].map((id) => [id, 'no rule takes it']));
  expect((await queue.show(2))!.toString()).toBe('MSH|2');
  expect(await queue.show(99)).toBeUndefined();
  expect(await queue.release(1)).toBe(true);
  expect(await queue.replay(2)).toBe(4);
  expect(await queue.drop(3)).toBe(true);
  expect(await Promise.all([queue.release(1), queue.replay(2), queue.drop(3)])).toEqual([
    false,
    undefined,
    false,
  ]);
  expect((await handed.count(5)).slice(3).map(({ id }) => id)).toEqual([1, 4]);
});

test('a long body is stored while it comes, at any cut, and read piece by piece', async () => {
  const { queue, handed } = await open(newFile());
  const whole = Buffer.alloc(3 * PIECE_BYTES + 77, 'invented ');
  const incoming = queue.receive();
  for (let from = 0, length = 1; from < whole.length; from += length, length = length * 3 + 1) {
    const part = whole.subarray(from, from + length);
    const written = new Promise<Refusal | undefined>((resolve) => incoming.write(part, resolve));
    expect(await within(written, 'a part to be written')).toBeUndefined();
  }
  await new Promise((resolve) => incoming.store({ keys: ['P1'], about: ABOUT }, resolve));
  queue.window(1);
  const [message] = await handed.count(1);
  expect(message).toMatchObject({ content: undefined, size: whole.length });
  const pieces = await Promise.all([0, 1, 2, 3].map((number) => queue.read(message!.id, number)));
  expect(Buffer.concat(pieces.map((piece) => piece!)).equals(whole)).toBe(true);
});

test('a long body that finds no room is refused, and leaves nothing', async () => {
  const { queue } = await open(newFile(), { mostBytes: PIECE_BYTES * 2 });
  const piece = Buffer.alloc(PIECE_BYTES);
  const isWritten = (body: IncomingBody) =>
    new Promise<Refusal | undefined>((resolve) => body.write(piece, resolve));
  const discarded = queue.receive();
  let refusal: Refusal | undefined;
  for (let count = 0; count < 100 && !refusal; count++) refusal = await isWritten(discarded);
  expect(refusal).toBe('full');
  discarded.discard();
  expect(await queue.depth()).toMatchObject({ bytes: 0, messages: 0 });

  const whole = queue.receive();
  for (let count = 0; count < 5; count++) await isWritten(whole);
  const stored = new Promise((resolve) =>
    whole.store({ keys: [], about: ABOUT }, (...told) => resolve(told)),
  );
  expect(await within(stored, 'what becomes of it')).toEqual([undefined, 'full']);
  expect(await queue.depth()).toMatchObject({ bytes: 0, messages: 0 });
});

test('many long bodies at once: each waits for the disk, and is stored as it came', async () => {
  const { queue, handed } = await open(newFile());
  const bodies = Array.from({ length: 20 }, (_, index) =>
    Buffer.alloc(PIECE_BYTES * 5 + index, `body ${index} `),
  );
  await Promise.all(
    bodies.map(async (bytes, index) => {
      const body = queue.receive();
      for (const [from, to] of [
        [0, 1],
        [1, PIECE_BYTES * 4],
        [PIECE_BYTES * 4, bytes.length],
      ])
        await new Promise((resolve) => body.write(bytes.subarray(from, to), resolve));
      await new Promise((resolve) => body.store({ keys: [], about: { index: `${index}` } }, resolve));
    }),
  );
  queue.window(20);
  for (const { id, about } of await handed.count(20)) {
    const pieces: Buffer[] = [];
    for (let number = 0; number < 6; number++) {
      const piece = await queue.read(id, number);
      if (!piece) break;
      pieces.push(Buffer.from(piece));
      queue.giveBack(piece);
    }
    expect(Buffer.concat(pieces).equals(bodies[Number(about.index)]!)).toBe(true);
  }
});

test('a body that waits for the disk may be discarded; when the thread is lost nobody waits', async () => {
  const { queue, losses } = await open(newFile());
  const told = new Journal<Refusal | undefined>('bodies that may go on');
  const bodies = Array.from({ length: 3 }, () => queue.receive());
  const much = Buffer.alloc(PIECE_BYTES * 40);
  for (const body of bodies) body.write(much, (refusal) => told.add(refusal));
  bodies[1]!.discard();
  expect(await told.count(2)).toEqual([undefined, undefined]);
  await queue.settled();
  expect(told.length).toBe(2);
  queue.reconfigure(undefined as unknown as QueueSettings);
  await losses.count(1);
  for (const body of [bodies[0]!, bodies[2]!]) body.write(much, (refusal) => told.add(refusal));
  expect((await told.count(4)).slice(2)).toEqual(['unavailable', 'unavailable']);
});

test('what waits for the disk is limited', async () => {
  const { queue } = await open(newFile());
  const text = 'x'.repeat(30 * 1024 * 1024);
  const results = await Promise.all([1, 2, 3].map(() => store(queue, {}, text)));
  expect(results).toEqual([1, 2, 'unavailable']);
});

test('what was not handed out cannot be given back', async () => {
  const { queue } = await open(newFile());
  await store(queue, {}, 'MSH|invented');
  expect(() => queue.delivered(1)).toThrow('message 1 was not handed out');
});

test('a file that cannot be used is said; the queue is not opened', async () => {
  const file = newFile();
  writeFileSync(file, 'remember the milk');
  await expect(open(file)).rejects.toMatchObject({
    code: 'GTY_QUEUE',
    message: `${file} is no queue of Gantry: name another file, or move this one away`,
  });
  const { queue } = await open(`${file}-2`);
  await expect(open(`${file}-2`)).rejects.toThrow('another process has it open');
  await queue.settled();
});

test('when its thread is lost the queue says so, and refuses', async () => {
  const { queue, losses } = await open(newFile());
  // What no caller that is checked by the compiler can do.
  queue.reconfigure(undefined as unknown as QueueSettings);
  await losses.count(1);
  expect(await store(queue, {}, 'MSH|invented')).toBe('unavailable');
  await expect(queue.list(0, 1)).rejects.toMatchObject({ code: 'GTY_QUEUE' });
});

test('nothing of a message is on standard output or standard error, whatever happens to it', async () => {
  const file = newFile();
  const program = `import { openQueue } from ${JSON.stringify(new URL('../../src/queue/queue.ts', import.meta.url))};
    const queue = await openQueue({ file: process.argv[1], settings: ${JSON.stringify(SETTINGS)}, listener: {
      handed: ({ id }) => { queue.hold(id, 'no rule takes it'); void queue.close(); }, quarantined() {}, lost() {} } });
    queue.window(1);
    queue.store({ keys: ['DOE^JANE'], about: {} }, Buffer.from('DOE^JANE'), () => {});`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, file]);
  const { stdout, stderr } = await within(run, 'the end of the process');
  expect(stdout + stderr).toBe('');
  expect(statSync(file).mode & 0o777).toBe(0o600);
});
