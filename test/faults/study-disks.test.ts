/** What the run over studies goes by when it judges: copies on disks, and moves of studies between servers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createFolder, createInstances, expectedDataSets } from '../peers/dicom-files.ts';
import { type Copy, copiesIn, hasReason, movesOf } from './study-disks.ts';

const copy = (server: string, at: number, study = 'one'): Copy => ({
  server,
  study,
  sopInstance: `${study}.${at}`,
  dataSet: 'whole',
  at,
});

test('a file that a killed server left half-written is not what was sent', () => {
  using folder = createFolder();
  const [whole, half, stub] = createInstances('CT', 3);
  writeFileSync(join(folder.path, `CT.${whole!.sopInstance}`), whole!.file);
  writeFileSync(join(folder.path, `CT.${half!.sopInstance}`), half!.file.subarray(0, -100));
  writeFileSync(join(folder.path, `CT.${stub!.sopInstance}`), stub!.file.subarray(0, 100));
  const expected = expectedDataSets([whole!, half!, stub!]);
  const studies = new Map([[whole!.sopInstance, whole!.studyInstance]]);
  const copies = copiesIn('a', folder.path, studies);
  const fits = copies.filter(({ sopInstance, dataSet }) => expected.get(sopInstance) === dataSet);
  expect(copies).toHaveLength(3);
  expect(fits).toMatchObject([{ server: 'a', sopInstance: whole!.sopInstance, study: whole!.studyInstance }]);
});

describe('studies on the move', () => {
  test('instances that are all on one server are no move, whatever other studies do', () => {
    expect(movesOf([copy('a', 30), copy('a', 10), copy('b', 20, 'two')])).toEqual([]);
  });

  test('a study that comes back moved twice', () => {
    const moves = movesOf([copy('a', 10), copy('a', 30), copy('b', 20)]);
    expect(moves).toEqual([
      { study: 'one', from: 'a', to: 'b', left: 10, came: 20 },
      { study: 'one', from: 'b', to: 'a', left: 20, came: 30 },
    ]);
  });

  test('the last file on one server and the first on the next, of one tick, are one move', () => {
    expect(movesOf([copy('a', 20), copy('a', 30), copy('b', 10), copy('b', 20)])).toEqual([
      { study: 'one', from: 'b', to: 'a', left: 20, came: 20 },
    ]);
  });

  test('only that the server it left was away in between is a reason', () => {
    const move = { study: 'one', from: 'a', to: 'b', left: 1000, came: 2000 };
    const away = (server: string, from: number, to: number) => hasReason(move, [{ server, from, to }]);
    expect(away('a', 1500, 1600)).toBe(true);
    expect(away('a', 900, 1100)).toBe(true);
    expect(away('a', 1900, Number.POSITIVE_INFINITY)).toBe(true);
    expect(away('a', 100, 900)).toBe(false);
    expect(away('a', 2100, 2200)).toBe(false);
    expect(away('b', 1500, 1600)).toBe(false);
    expect(hasReason(move, [])).toBe(false);
  });
});
