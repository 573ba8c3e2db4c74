/** The journal beside the snapshot: what a balancer that is killed does not forget. Keys are invented. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { openJournal } from '../../src/tables/journal.ts';
import type { Table } from '../../src/tables/table.ts';
import { until } from '../peers/waiting.ts';
import {
  clock,
  heardNotices,
  newFile,
  newTable,
  newTables,
  put,
  start,
  stopAll,
  TTL,
} from './journal-runs.ts';
import { disk } from './stepped-files.ts';

vi.mock('node:fs/promises', async (original) => {
  const { steppedFiles } = await import('./stepped-files.ts');
  return steppedFiles(await original<typeof import('node:fs/promises')>());
});

function entriesOf(table: Table): [string, string][] {
  const entries = [...table.entries()].map(({ key, server }): [string, string] => [key, server]);
  return entries.sort(([one], [other]) => one.localeCompare(other));
}

/** The lines of the journal when there are as many, and the balancer knows that they are written. */
async function written(file: string, count: number): Promise<string[]> {
  let lines: string[] = [];
  const isThere = () => {
    const text = existsSync(`${file}.journal`) ? readFileSync(`${file}.journal`, 'utf8') : '';
    lines = text.split('\n').slice(0, -1);
    return lines.length >= count && disk.busy === 0;
  };
  await until(isThere, `${count} lines in the journal`);
  return lines;
}

const HEADER = '{"format":"gantry persistence journal","version":1,"journal":0}';

describe('a balancer is killed', () => {
  test('what is new, moved and forgotten since the snapshot is there after the restart', async () => {
    const file = newFile();
    const { vip, share, snapshot } = await start(file);
    for (const key of ['stays', 'moves', 'goes']) put(vip, key, 'a');
    await snapshot.save();
    put(vip, 'new', 'b');
    put(vip, 'moves', 'b');
    vip.delete('goes');
    put(share, 'study=1.2.3', 'c');
    await written(file, 5);
    const again = await start(file);
    expect(entriesOf(again.vip)).toEqual([
      ['moves', 'b'],
      ['new', 'b'],
      ['stays', 'a'],
    ]);
    expect(entriesOf(again.share)).toEqual([['study=1.2.3', 'c']]);
    expect(again.notices).toEqual([]);
  });

  test('before the first snapshot: entries live on for the time they had, or for ever', async () => {
    const file = newFile();
    const { vip, share } = await start(file);
    put(vip, 'k', 'a');
    put(share, 'study=1.2.3', 'a');
    expect(await written(file, 3)).toEqual([
      HEADER,
      `["vip V","k","a",${clock.ms + TTL}]`,
      '["share S","study=1.2.3","a",null]',
    ]);
    clock.ms += 10_000;
    const again = await start(file);
    expect(again.vip.entry('k')!.remaining).toBe(TTL - 10_000);
    expect(again.share.entry('study=1.2.3')!.remaining).toBe(Infinity);
  });

  test('again before the next snapshot: nothing is lost, and the next snapshot has everything', async () => {
    const file = newFile();
    put((await start(file)).vip, 'k', 'a');
    await written(file, 2);
    put((await start(file)).vip, 'l', 'b');
    await written(file, 4);
    const third = await start(file);
    expect(entriesOf(third.vip)).toEqual([
      ['k', 'a'],
      ['l', 'b'],
    ]);
    third.tick();
    await third.snapshot.save();
    expect(readdirSync(dirname(file))).toEqual(['table']);
    expect(entriesOf((await start(file)).vip)).toEqual(entriesOf(third.vip));
  });

  test('a table that was cleared, and one that a reload took away and brought back, are empty', async () => {
    const file = newFile();
    const { vip, share, tables, snapshot } = await start(file);
    put(vip, 'k', 'a');
    put(share, 'l', 'a');
    await snapshot.save();
    vip.clear();
    tables.delete('share S');
    snapshot.follow();
    // Work that began before still ends.
    put(share, 'm', 'a');
    const back = newTable(Infinity);
    tables.set('share S', back);
    snapshot.follow();
    put(back, 'n', 'b');
    await written(file, 4);
    const again = await start(file);
    expect([entriesOf(again.vip), entriesOf(again.share)]).toEqual([[], [['n', 'b']]]);
  });

  test('entries of tables that are not there any more are dropped', async () => {
    const file = newFile();
    const { vip, share } = await start(file);
    put(vip, 'k', 'a');
    put(share, 'l', 'a');
    await written(file, 3);
    const again = await start(file, new Map([['vip V', newTable()]]));
    expect([entriesOf(again.vip), again.notices]).toEqual([[['k', 'a']], []]);
  });

  test('an entry that moved and ran out is gone, not back where it was', async () => {
    const file = newFile();
    const { vip, snapshot } = await start(file);
    put(vip, 'k', 'a');
    await snapshot.save();
    vip.setLimits({ ttl: 1000, size: 100 });
    put(vip, 'k', 'b');
    await written(file, 2);
    clock.ms += 1001;
    expect(entriesOf((await start(file)).vip)).toEqual([]);
  });

  test('an entry that was used again while the snapshot was written lives as long as that says', async () => {
    const file = newFile();
    const { vip, snapshot } = await start(file);
    disk.step = (what) => {
      // The journal of what comes after the snapshot has begun, and the snapshot has not.
      if (what !== 'rm') return;
      disk.step = () => {};
      put(vip, 'k', 'a');
      clock.ms += 40_000;
      put(vip, 'k', 'a');
    };
    put(vip, 'l', 'a');
    await snapshot.save();
    await written(file, 2);
    clock.ms += 40_000;
    expect((await start(file)).vip.entry('k')).toMatchObject({ server: 'a', remaining: TTL - 40_000 });
  });
});

describe('only news', () => {
  test('that an entry was used again, or only reserved, is none; that it ran out and came back, is', async () => {
    const file = newFile();
    const { vip } = await start(file);
    put(vip, 'k', 'a');
    put(vip, 'k', 'a');
    vip.drop(vip.claim('k', 'b', vip.claim('k', 'a')));
    vip.claim('reserved', 'a');
    vip.delete('never there');
    clock.ms += TTL + 1;
    put(vip, 'k', 'a');
    put(vip, 'last', 'a');
    expect((await written(file, 4)).slice(1).map((line) => JSON.parse(line).slice(0, 3))).toEqual([
      ['vip V', 'k', 'a'],
      ['vip V', 'k', 'a'],
      ['vip V', 'last', 'a'],
    ]);
  });

  test('of one turn of the event loop are one write, in their order', async () => {
    const file = newFile();
    const { vip } = await start(file);
    put(vip, 'first', 'a');
    await written(file, 2);
    const writes: string[] = [];
    disk.step = (what) => void writes.push(what);
    for (let index = 0; index < 100; index++) put(vip, `k${index}`, 'a');
    const lines = await written(file, 102);
    expect(lines.slice(2).map((line) => JSON.parse(line)[1])).toEqual(
      Array.from({ length: 100 }, (_, index) => `k${index}`),
    );
    expect(writes).toEqual(['appendFile', 'appendFile done']);
  });

  test('after the end of the balancer are nobody’s, and the snapshot is all that is left', async () => {
    const file = newFile();
    const { vip, snapshot } = await start(file);
    put(vip, 'k', 'a');
    await snapshot.close();
    expect([vip.listener, readdirSync(dirname(file))]).toEqual([undefined, ['table']]);
  });
});

describe('the file', () => {
  test("is its owner's alone, whatever was there before", async () => {
    const file = newFile();
    writeFileSync(`${file}.journal`, '', { mode: 0o666 });
    put((await start(file)).vip, 'k', 'a');
    await written(file, 2);
    expect(statSync(`${file}.journal`).mode & 0o777).toBe(0o600);
  });

  test('cut in the middle of a write, at every length: whole lines count, and what comes next is read too', async () => {
    const file = newFile();
    const { vip } = await start(file);
    for (const key of ['k', 'l\u{1f4a5}', 'm']) put(vip, key, 'a');
    await written(file, 4);
    const bytes = readFileSync(`${file}.journal`);
    for (let length = 0; length <= bytes.length; length++) {
      const cut = newFile();
      writeFileSync(`${cut}.journal`, bytes.subarray(0, length));
      const lines = bytes.subarray(0, length).toString('latin1').split('\n').length - 1;
      const kept = ['k', 'l\u{1f4a5}', 'm'].slice(0, Math.max(lines - 1, 0));
      const again = await start(cut);
      expect(entriesOf(again.vip).map(([key]) => key)).toEqual(kept);
      put(again.vip, 'next', 'b');
      await written(cut, lines + 2);
      const third = await start(cut);
      expect(entriesOf(third.vip).map(([key]) => key)).toEqual([...kept, 'next']);
      expect(third.notices).toEqual([]);
      await stopAll();
    }
  });

  test.each([
    ['damaged', `["vip V","l","a",9\u00001]`, 'it is not as Gantry writes it'],
    ['no entry', '["vip V","l",3,null]', 'it is not as Gantry writes it'],
    ['null', 'null', 'it is not as Gantry writes it'],
    ['of another program', '{"format":"other"}', 'another program wrote it'],
    [
      'of a later version',
      '{"format":"gantry persistence journal","version":2,"journal":1}',
      'its version is 2, not 1',
    ],
    [
      'without a number',
      '{"format":"gantry persistence journal","version":1}',
      'it is not as Gantry writes it',
    ],
  ])(
    'with a line that is %s: a notice, what was before it counts, and the file is put aside',
    async (_, line, reason) => {
      const file = newFile();
      const text = `${HEADER}\n["share S","k","a",null]\n${line}\n["share S","m","a",null]\n`;
      writeFileSync(`${file}.journal`, text);
      const { share, notices, snapshot, tick } = await start(file);
      expect(entriesOf(share)).toEqual([['k', 'a']]);
      expect(notices).toMatchObject([
        {
          level: 'warn',
          message: 'a journal of the persistence tables could not be read to its end: what is before counts',
          fields: { file: `${file}.journal`, reason },
        },
      ]);
      expect(readFileSync(`${file}.journal.unreadable`, 'utf8')).toBe(text);
      put(share, 'n', 'b');
      tick();
      await snapshot.save();
      expect(entriesOf((await start(file)).share)).toEqual([
        ['k', 'a'],
        ['n', 'b'],
      ]);
    },
  );

  test('that does not say what it is: a notice', async () => {
    const file = newFile();
    writeFileSync(`${file}.journal`, '["share S","k","a",null]\n');
    const { share, notices } = await start(file);
    expect([entriesOf(share), notices.length]).toEqual([[], 1]);
  });

  test('grows no further than it may: said once, and written again after the next snapshot', async () => {
    const file = newFile();
    const tables = newTables();
    const notices = heardNotices();
    const journal = await openJournal({ file, tables, now: clock.now, largest: 500 }, 0);
    journal.follow();
    const share = tables.get('share S')!;
    for (let index = 0; index < 100; index++) put(share, `k${index}`, 'a');
    await journal.flush();
    put(share, 'l', 'a');
    await journal.flush();
    const { size } = statSync(`${file}.journal`);
    expect(size).toBeGreaterThan(400);
    expect(size).toBeLessThanOrEqual(500 + HEADER.length + 1);
    expect(notices).toMatchObject([
      { level: 'error', fields: { file: `${file}.journal`, reason: 'it is larger than 500 bytes' } },
    ]);
    expect(await journal.rotate()).toBe(1);
    await journal.discard();
    put(share, 'm', 'a');
    await journal.flush();
    expect(readFileSync(`${file}.journal`, 'utf8')).toContain('"m"');
    expect(notices).toHaveLength(1);
    await journal.close();
  });

  test('cannot be written (disk full): said once, traffic goes on, and the next snapshot has what is missing', async () => {
    const file = newFile();
    const { vip, snapshot, notices } = await start(file);
    put(vip, 'moves', 'a');
    await written(file, 2);
    let isFull = true;
    disk.step = (what) => {
      if (isFull && what === 'appendFile') throw new Error('ENOSPC: no space left on device');
    };
    put(vip, 'moves', 'b');
    await until(() => notices.length === 1, 'the notice');
    put(vip, 'k', 'a');
    await new Promise(setImmediate);
    expect(notices).toMatchObject([
      {
        level: 'error',
        message: expect.stringContaining('the journal of the persistence tables could not be written'),
        fields: { file: `${file}.journal`, reason: expect.stringContaining('ENOSPC') },
      },
    ]);
    await snapshot.save();
    isFull = false;
    put(vip, 'l', 'a');
    await written(file, 2);
    expect(entriesOf((await start(file)).vip)).toEqual([
      ['k', 'a'],
      ['l', 'a'],
      ['moves', 'b'],
    ]);
    expect(notices).toHaveLength(1);
  });

  test('has a gap and a snapshot failed meanwhile: once a snapshot is written, nothing older counts', async () => {
    const file = newFile();
    const { vip, snapshot } = await start(file);
    const fail = (...steps: string[]) => {
      disk.step = (what) => {
        if (steps.includes(what)) throw new Error(`EIO: ${what}`);
      };
    };
    put(vip, 'k', 'a');
    await written(file, 2);
    fail('sync');
    await snapshot.save();
    put(vip, 'k', 'b');
    await written(file, 2);
    fail('appendFile');
    put(vip, 'k', 'c');
    await new Promise(setImmediate);
    // Neither can the files before be removed.
    fail('rm');
    await snapshot.save();
    disk.step = () => {};
    await snapshot.save();
    expect(existsSync(`${file}.journal`)).toBe(true);
    expect(entriesOf((await start(file)).vip)).toEqual([['k', 'c']]);
  });
});
