/** The snapshot file of the persistence tables. Keys are invented. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type NoticeEvent, onEvent } from '../../src/observe/events.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { openSnapshot } from '../../src/tables/snapshot.ts';
import { Table } from '../../src/tables/table.ts';

const root = mkdtempSync(join(tmpdir(), 'gantry-snapshot-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const TTL = 60_000;
const clock = { ms: 1_700_000_000_000, now: () => clock.ms };
let folders = 0;

function newFile(): string {
  const folder = join(root, String(++folders));
  mkdirSync(folder);
  return join(folder, 'table');
}

/** Two tables, `vip V` and `share S`, over one file. */
async function start(file: string, { ttl = TTL, size = 10_000 } = {}) {
  const newTable = () => new Table(createMemoryStore({ ttl, size, now: clock.now }));
  const [vip, share] = [newTable(), newTable()];
  const tables = new Map([
    ['vip V', vip],
    ['share S', share],
  ]);
  let tick: (() => void) | undefined;
  const pauses: number[] = [];
  const later = (ms: number, run: () => void) => {
    tick = run;
    pauses.push(ms);
    return { cancel: () => (tick = undefined) };
  };
  const notices: NoticeEvent[] = [];
  const stop = onEvent('notice', (event) => notices.push(event));
  const snapshot = await openSnapshot({ file, tables, now: clock.now, interval: 1000, later });
  return {
    tables,
    vip,
    share,
    snapshot,
    notices,
    stop,
    pauses,
    tick: () => tick!(),
    isTicking: () => tick !== undefined,
  };
}

function put(table: Table, key: string, server: string): void {
  table.confirm(table.claim(key, server), true);
}

/** Everything in a table, the last used first. */
function entriesOf(table: Table) {
  return [...table.entries()].map(({ key, server, remaining }) => [key, server, remaining]);
}

async function saved(
  fill: (first: Awaited<ReturnType<typeof start>>) => void,
  limits: Parameters<typeof start>[1] = {},
): Promise<string> {
  const file = newFile();
  const first = await start(file, limits);
  fill(first);
  await first.snapshot.close();
  first.stop();
  return file;
}

describe('over a restart', () => {
  test('entries live on, each for the time it had, in the order of their use', async () => {
    const file = await saved(({ vip, share }) => {
      put(vip, 'archive/calling=CT1', 'pacs-a');
      clock.ms += 10_000;
      put(vip, 'archive/calling=CT2', 'pacs-b');
      put(share, 'source-ip=10.0.0.1', 'web 1');
    });
    clock.ms += 20_000;
    const { vip, share, notices } = await start(file);
    expect(entriesOf(vip)).toEqual([
      ['archive/calling=CT2', 'pacs-b', 40_000],
      ['archive/calling=CT1', 'pacs-a', 30_000],
    ]);
    expect(entriesOf(share)).toEqual([['source-ip=10.0.0.1', 'web 1', 40_000]]);
    expect(notices).toEqual([]);
  });

  test('what ran out meanwhile is gone; no entry gets more than the ttl of now', async () => {
    const file = await saved(({ vip }) => {
      put(vip, 'old', 'a');
      clock.ms += 30_000;
      put(vip, 'new', 'a');
    });
    clock.ms += 30_001;
    const { vip } = await start(file, { ttl: 5000 });
    expect(entriesOf(vip)).toEqual([['new', 'a', 5000]]);
    expect(vip.size).toBe(1);
  });

  test('what lives for ever lives on for ever, and in a table where it may not, for as long as that allows', async () => {
    const file = await saved(
      ({ vip }) => {
        put(vip, 'archive/study=1.2.3', 'pacs-a');
        clock.ms += 10_000;
        put(vip, 'archive/study=1.2.4', 'pacs-b');
      },
      { ttl: Infinity },
    );
    expect(readFileSync(file, 'utf8')).toContain('["archive/study=1.2.3","pacs-a",null]\n');
    clock.ms += 100 * 365 * 24 * 3_600_000;
    const again = await start(file, { ttl: Infinity });
    expect(entriesOf(again.vip)).toEqual([
      ['archive/study=1.2.4', 'pacs-b', Infinity],
      ['archive/study=1.2.3', 'pacs-a', Infinity],
    ]);
    expect(entriesOf((await start(file, { ttl: 5000 })).vip)).toEqual([
      ['archive/study=1.2.4', 'pacs-b', 5000],
      ['archive/study=1.2.3', 'pacs-a', 5000],
    ]);
    expect(again.notices).toEqual([]);
  });

  test('what was to run out lives for ever in a table where everything does', async () => {
    const file = await saved(({ vip }) => put(vip, 'archive/study=1.2.3', 'pacs-a'));
    const { vip } = await start(file, { ttl: Infinity });
    expect(entriesOf(vip)).toEqual([['archive/study=1.2.3', 'pacs-a', Infinity]]);
  });

  test('a smaller table keeps the last used', async () => {
    const file = await saved(({ vip }) => {
      for (const key of ['k', 'l', 'm', 'n']) put(vip, key, 'a');
    });
    const { vip } = await start(file, { size: 2 });
    expect(entriesOf(vip).map(([key]) => key)).toEqual(['n', 'm']);
  });

  test('an entry of work in flight is in it with its time after the end', async () => {
    const file = await saved(({ vip }) => {
      put(vip, 'k', 'a');
      vip.hold('k', 'a');
      clock.ms += TTL + 1;
      put(vip, 'l', 'b');
    });
    expect(entriesOf((await start(file)).vip)).toEqual([
      ['k', 'a', TTL],
      ['l', 'b', TTL],
    ]);
  });

  test('tables that are not there any more are dropped, the others come back', async () => {
    const file = await saved(({ tables, share }) => {
      const gone = new Table(createMemoryStore({ ttl: TTL, size: 10, now: clock.now }));
      tables.set('pool gone', gone);
      put(gone, 'k', 'a');
      put(share, 'l', 'a');
    });
    const { tables, share, notices } = await start(file);
    expect([tables.get('pool gone'), share.size, notices]).toEqual([undefined, 1, []]);
  });

  test('whatever keys, servers and times there are (property)', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 70 });
    const entry = fc.tuple(text, text, fc.nat({ max: TTL }));
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 1500 }), async (entries) => {
        const file = newFile();
        const first = await start(file);
        for (const [key, server, age] of entries) {
          put(first.vip, key, server);
          clock.ms += age % 3;
        }
        const before = entriesOf(first.vip);
        await first.snapshot.close();
        const second = await start(file);
        expect(entriesOf(second.vip)).toEqual(before);
        expect(second.notices).toEqual([]);
        first.stop();
        second.stop();
      }),
      { numRuns: 20 },
    );
  });
});

describe('the file', () => {
  test("is its owner's alone, whatever was there before, and nothing else is left beside it", async () => {
    const file = newFile();
    writeFileSync(`${file}.new`, 'left by a balancer that was killed', { mode: 0o666 });
    const first = await start(file);
    put(first.vip, 'k', 'a');
    await first.snapshot.save();
    expect([statSync(file).mode & 0o777, readdirSync(join(file, '..'))]).toEqual([0o600, ['table']]);
    put(first.vip, 'l', 'a');
    await first.snapshot.save();
    expect([statSync(file).mode & 0o777, (await start(file)).vip.size]).toEqual([0o600, 2]);
  });

  test('is written now and then, when something has changed, and no more after the end', async () => {
    const file = newFile();
    const { vip, snapshot, tick, isTicking } = await start(file);
    tick();
    await snapshot.save();
    expect(existsSync(file)).toBe(false);
    put(vip, 'k', 'a');
    tick();
    await snapshot.save();
    const { ino } = statSync(file);
    tick();
    await snapshot.save();
    expect(statSync(file).ino).toBe(ino);
    vip.delete('k');
    tick();
    await snapshot.save();
    expect(readFileSync(file, 'utf8')).not.toContain('"k"');
    await snapshot.close();
    expect(isTicking()).toBe(false);
  });

  test('what takes long is done less often', async () => {
    const { vip, snapshot, tick, pauses } = await start(newFile());
    put(vip, 'k', 'a');
    tick();
    clock.ms += 3000;
    await snapshot.save();
    await snapshot.save();
    expect(pauses).toEqual([1000, 60_000]);
  });

  test('saves that overlap come one after the other', async () => {
    const file = newFile();
    const { vip, snapshot } = await start(file);
    put(vip, 'k', 'a');
    const first = snapshot.save();
    put(vip, 'l', 'a');
    await Promise.all([first, snapshot.save(), snapshot.close()]);
    expect((await start(file)).vip.size).toBe(2);
  });

  test('a table that is used while it is written: every entry is in it, as it was or as it is', async () => {
    const file = newFile();
    const { vip, snapshot } = await start(file);
    for (let index = 0; index < 5000; index++) put(vip, `k${index}`, 'a');
    const saving = snapshot.save();
    let isSaving = true;
    let turns = 0;
    const use = () => {
      if (!isSaving) return;
      turns++;
      for (let index = turns % 7; index < 5000; index += 7) put(vip, `k${index}`, 'b');
      setImmediate(use);
    };
    use();
    await saving;
    isSaving = false;
    expect(turns).toBeGreaterThan(3);
    const second = await start(file);
    expect(second.vip.size).toBe(5000);
    expect(second.notices).toEqual([]);
  });

  test('cannot be written: said once, traffic goes on, and written when it can be', async () => {
    const file = join(newFile(), 'table');
    const { vip, snapshot, notices, stop } = await start(file);
    put(vip, 'k', 'a');
    await snapshot.save();
    await snapshot.save();
    expect(notices.map(({ level }) => level)).toEqual(['error', 'debug']);
    expect(notices[0]).toMatchObject({
      message: 'the persistence tables could not be saved',
      fields: { file, reason: expect.stringContaining('ENOENT') },
    });
    mkdirSync(join(file, '..'));
    await snapshot.save();
    stop();
    expect((await start(file)).vip.size).toBe(1);
  });
});

describe('a file that cannot be used is a notice and an empty table', () => {
  const whole = () =>
    saved(({ vip }) => {
      for (let index = 0; index < 20; index++) put(vip, `k${index}`, 'pacs-a');
    });

  async function startWith(bytes: Uint8Array | string) {
    const file = newFile();
    writeFileSync(file, bytes);
    const { vip, notices, snapshot, stop } = await start(file);
    stop();
    return { file, vip, notices, snapshot };
  }

  async function expectEmpty(bytes: Uint8Array | string, reason?: string) {
    const { file, vip, notices, snapshot } = await startWith(bytes);
    expect(vip.size).toBe(0);
    expect(notices).toMatchObject([
      {
        level: 'warn',
        message: 'the file of the persistence tables could not be read: they begin empty',
        fields: { file, reason: reason ?? expect.any(String) },
      },
    ]);
    expect(readFileSync(`${file}.unreadable`)).toEqual(Buffer.from(bytes));
    put(vip, 'k', 'a');
    await snapshot.close();
    expect((await start(file)).vip.size).toBe(1);
  }

  test('no file: nothing to say', async () => {
    const { vip, notices } = await start(newFile());
    expect([vip.size, notices]).toEqual([0, []]);
  });

  test.each([
    ['empty', ''],
    ['of another program', 'root:x:0:0:root:/root:/bin/bash\n'],
    ['nothing but zeros, as a lost power supply leaves it', new Uint8Array(5000)],
  ])('%s', async (_, bytes) => {
    await expectEmpty(bytes, 'it is cut off or damaged, or another program wrote it');
  });

  test('half-written, at every length', async () => {
    const bytes = readFileSync(await whole());
    for (let length = 0; length < bytes.length; length += 13) await expectEmpty(bytes.subarray(0, length));
    await expectEmpty(bytes.subarray(0, -1));
  });

  test('damaged in any one byte', async () => {
    const bytes = readFileSync(await whole());
    for (let index = 0; index < bytes.length; index += 7) {
      const damaged = Buffer.from(bytes);
      damaged[index]! ^= 1;
      await expectEmpty(damaged);
    }
  });

  test('of a later version', async () => {
    await expectEmpty(
      withChecksum('{"format":"gantry persistence","version":2}\n'),
      'its version is 2, not 1',
    );
  });

  test.each([
    'null',
    '{"format":"other"}',
    '{"format":"gantry persistence","version":1}\n[1,2,3]',
    'no JSON',
  ])('whole, but not as it should be: %s', async (text) => expectEmpty(withChecksum(`${text}\n`)));

  test('a folder', async () => {
    const file = newFile();
    mkdirSync(file);
    const { vip, notices } = await start(file);
    expect([vip.size, notices.length]).toEqual([0, 1]);
  });
});

/** A file of these lines with the right last line. */
function withChecksum(text: string): string {
  const { crc32 } = process.getBuiltinModule('node:zlib');
  return `${text}{"crc32":"${crc32(text).toString(16).padStart(8, '0')}"}\n`;
}
