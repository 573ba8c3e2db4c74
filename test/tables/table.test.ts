import { describe, expect, test } from 'vitest';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { Table } from '../../src/tables/table.ts';

function makeTable({ ttl = 1000, size = 100 } = {}) {
  const clock = { ms: 1_000_000 };
  const store = createMemoryStore({ ttl, size, now: () => clock.ms });
  return { clock, store, table: new Table(store) };
}

describe('table', () => {
  test('a reservation is seen at once, and rests in the store once confirmed', () => {
    const { table, store } = makeTable();
    const claim = table.claim('k', 'a');
    expect([table.serverOf('k'), store.get('k')]).toEqual(['a', undefined]);
    table.confirm(claim, true);
    expect([table.serverOf('k'), store.get('k')]).toEqual(['a', 'a']);
  });

  test('who took work is known apart from who is only reserved for it', () => {
    const { table } = makeTable();
    const claim = table.claim('k', 'a');
    expect([table.serverOf('k'), table.takerOf('k')]).toEqual(['a', undefined]);
    table.confirm(claim, true);
    expect(table.takerOf('k')).toBe('a');
    const moving = table.claim('k', 'b');
    expect([table.serverOf('k'), table.takerOf('k')]).toEqual(['b', 'a']);
    table.confirm(moving, false);
    const held = table.claim('l', 'a');
    const other = table.claim('l', 'a');
    table.confirm(held, false);
    expect(table.takerOf('l')).toBe('a');
    table.drop(other);
    expect(table.takerOf('l')).toBeUndefined();
  });

  test('a reservation that comes to nothing is dropped when its last claim is', () => {
    const { table } = makeTable();
    const one = table.claim('k', 'a');
    const other = table.claim('k', 'a');
    table.drop(one);
    expect(table.serverOf('k')).toBe('a');
    table.drop(other);
    expect(table.serverOf('k')).toBeUndefined();
  });

  test('an entry that was moved in vain is put back', () => {
    const { table, store } = makeTable();
    store.put('k', 'a');
    const claim = table.claim('k', 'b', table.claim('k', 'a'));
    expect(table.serverOf('k')).toBe('b');
    table.drop(claim);
    expect(table.serverOf('k')).toBe('a');
  });

  test('a reservation moved in vain is put back to those who still try the first server', () => {
    const { table } = makeTable();
    const one = table.claim('k', 'a');
    const other = table.claim('k', 'a');
    table.drop(table.claim('k', 'b', one));
    expect(table.serverOf('k')).toBe('a');
    table.confirm(other, true);
    expect(table.serverOf('k')).toBe('a');
  });

  test('a reservation moved in vain is dropped when nobody tries the first server any more', () => {
    const { table } = makeTable();
    table.drop(table.claim('k', 'b', table.claim('k', 'a')));
    expect(table.serverOf('k')).toBeUndefined();
  });

  test('who confirms first wins: the server left behind took the work after all', () => {
    const { table } = makeTable();
    const one = table.claim('k', 'a');
    const other = table.claim('k', 'a');
    const moved = table.claim('k', 'b', one);
    table.confirm(other, true);
    expect(table.serverOf('k')).toBe('a');
    table.confirm(moved, true);
    expect(table.serverOf('k')).toBe('a');
  });

  test('who confirms first wins: it was the new server', () => {
    const { table } = makeTable();
    const one = table.claim('k', 'a');
    const other = table.claim('k', 'a');
    table.confirm(table.claim('k', 'b', one), true);
    table.confirm(other, true);
    expect(table.serverOf('k')).toBe('b');
  });

  test('who confirms first wins, also over those who come late while others are about to go there', () => {
    const { table } = makeTable();
    const one = table.claim('k', 'a');
    const late = [table.claim('k', 'a'), table.claimBeside('k', 'c')];
    table.confirm(table.claim('k', 'b', one), true);
    const next = table.claim('k', 'b');
    for (const claim of late) {
      table.confirm(claim, true);
      expect([table.serverOf('k'), table.takerOf('k')]).toEqual(['b', 'b']);
    }
    table.drop(next);
    expect(table.serverOf('k')).toBe('b');
  });

  test('a server that was left and is tried again has not taken the work again', () => {
    const { table, store } = makeTable();
    store.put('k', 'a');
    const one = table.claim('k', 'b');
    const two = table.claim('k', 'b');
    const back = table.claim('k', 'a', one);
    table.confirm(two, true);
    expect(table.serverOf('k')).toBe('b');
    table.confirm(back, true);
    expect(table.serverOf('k')).toBe('b');
  });

  test('a claim may move the entry unless the entry moved, or its server took work since', () => {
    const { table } = makeTable();
    const one = table.claim('k', 'a');
    const two = table.claim('k', 'a');
    const three = table.claim('k', 'a');
    expect(table.mayMove(one)).toBe(true);
    table.confirm(two, true);
    expect(table.mayMove(one)).toBe(false);
    const four = table.claim('k', 'a');
    expect(table.mayMove(four)).toBe(true);
    table.claim('k', 'b', four);
    expect(table.mayMove(three)).toBe(false);
  });

  test('a claim beside leaves a confirmed entry alone, and is one where there is none', () => {
    const { table } = makeTable();
    table.confirm(table.claim('k', 'a'), true);
    table.confirm(table.claimBeside('k', 'b'), true);
    expect(table.serverOf('k')).toBe('a');
    table.confirm(table.claimBeside('l', 'b'), true);
    expect(table.serverOf('l')).toBe('b');
  });

  test('confirmed without renewal (draining), an entry runs out', () => {
    const { table, clock } = makeTable();
    table.confirm(table.claim('k', 'a'), true);
    clock.ms += 900;
    table.confirm(table.claim('k', 'a'), false);
    expect(table.serverOf('k')).toBe('a');
    clock.ms += 101;
    expect(table.serverOf('k')).toBeUndefined();
  });

  test('entries for work in flight neither expire nor are evicted', () => {
    const { table, clock } = makeTable({ size: 2 });
    table.confirm(table.claim('k', 'a'), true);
    const held = table.hold('k', 'a')!;
    for (const key of ['l', 'm', 'n']) table.confirm(table.claim(key, 'b'), true);
    clock.ms += 5000;
    expect(table.serverOf('k')).toBe('a');
    table.confirm(held, true);
    clock.ms += 900;
    expect(table.serverOf('k')).toBe('a');
    clock.ms += 101;
    expect(table.serverOf('k')).toBeUndefined();
  });

  test('holding is for the server of the entry only; an entry that moved is not brought back by its old holder', () => {
    const { table } = makeTable();
    table.confirm(table.claim('k', 'a'), true);
    expect(table.hold('k', 'b')).toBeUndefined();
    const held = table.hold('k', 'a')!;
    table.confirm(table.claim('k', 'b'), true);
    expect(table.serverOf('k')).toBe('b');
    table.confirm(held, true);
    expect(table.serverOf('k')).toBe('b');
  });

  test('an entry is shown with its server and the time that it has', () => {
    const { table, clock } = makeTable();
    table.confirm(table.claim('k', 'a'), true);
    clock.ms += 300;
    table.claim('l', 'b');
    expect(table.entry('k')).toEqual({ key: 'k', server: 'a', remaining: 700 });
    expect([table.entry('l'), table.entry('m')]).toEqual([undefined, undefined]);
    expect([...table.entries()]).toEqual([{ key: 'k', server: 'a', remaining: 700 }]);
  });

  test('an entry that moves is shown where it was until somebody was taken', () => {
    const { table } = makeTable();
    table.confirm(table.claim('k', 'a'), true);
    const moved = table.claim('k', 'b', table.claim('k', 'a'));
    expect([table.serverOf('k'), table.entry('k')?.server]).toEqual(['b', 'a']);
    table.confirm(moved, true);
    expect(table.entry('k')?.server).toBe('b');
  });

  test('an entry of work in flight is shown although it has run out in the store, with its time after the end', () => {
    const { table, clock } = makeTable();
    table.confirm(table.claim('k', 'a'), true);
    table.confirm(table.claim('l', 'a'), true);
    const held = table.hold('k', 'a')!;
    clock.ms += 5000;
    const entry = { key: 'k', server: 'a', remaining: 1000 };
    expect([table.entry('k'), [...table.entries()], [...table.walk()]]).toEqual([entry, [entry], [entry]]);
    table.drop(held);
    expect([...table.entries()]).toEqual([]);
  });

  test('those in use come first, each once', () => {
    const { table } = makeTable();
    for (const key of ['k', 'l', 'm']) table.confirm(table.claim(key, 'a'), true);
    table.hold('k', 'a');
    expect([...table.entries()].map(({ key }) => key)).toEqual(['k', 'm', 'l']);
  });

  test('new limits, entries kept', () => {
    const { table, clock } = makeTable({ ttl: 1000 });
    table.confirm(table.claim('k', 'a'), true);
    table.setLimits({ ttl: 5000, size: 10 });
    expect(table.entry('k')?.remaining).toBe(1000);
    table.confirm(table.claim('k', 'a'), true);
    clock.ms += 4000;
    expect(table.entry('k')?.remaining).toBe(1000);
  });

  test('counts what is written, renewed and forgotten, and nothing else', () => {
    const { table } = makeTable();
    const changesBy = (change: () => void) => {
      const before = table.changes;
      change();
      return table.changes - before;
    };
    expect(changesBy(() => table.confirm(table.claim('k', 'a'), true))).toBe(1);
    expect(changesBy(() => table.confirm(table.claim('k', 'a'), false))).toBe(0);
    expect(changesBy(() => table.drop(table.claim('l', 'a')))).toBe(0);
    expect(changesBy(() => table.restore({ key: 'r', server: 'a', remaining: 5 }))).toBe(0);
    expect(changesBy(() => table.delete('x'))).toBe(0);
    expect(changesBy(() => table.delete('k'))).toBe(1);
    expect(changesBy(() => table.clear())).toBe(1);
  });

  test('delete forgets an entry, also one in flight; clear forgets all', () => {
    const { table } = makeTable();
    const claim = table.claim('k', 'a');
    expect(table.delete('k')).toBe(true);
    expect(table.serverOf('k')).toBeUndefined();
    table.confirm(claim, true);
    table.confirm(table.claim('l', 'a'), true);
    expect([...table.entries()].map(({ key }) => key)).toEqual(['l', 'k']);
    table.clear();
    expect(table.size).toBe(0);
  });
});
