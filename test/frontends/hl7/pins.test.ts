import { describe, expect, test } from 'vitest';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { type Ties, tiesOf } from '../../../protocols/hl7/ties.ts';
import { PIN_LIMITS, Pins } from '../../../src/frontends/hl7/pins.ts';
import { createMemoryStore } from '../../../src/tables/memory.ts';
import { Table } from '../../../src/tables/table.ts';
import { createClock, makePool, settings, takeDown } from '../../pools/make-pool.ts';

const HOUR = 3_600_000;

function makePins() {
  const clock = createClock();
  const table = new Table(createMemoryStore({ ...PIN_LIMITS, now: clock.now }));
  const pool = makePool();
  return { clock, table, pool, a: pool.server('a')!, b: pool.server('b')!, pins: new Pins(table) };
}

/** Those of an invented message: its sequence number, the pointer to what it continues, and to what continues it. */
function tied(sequence = '', before = '', after = ''): Ties {
  const header = `MSH|^~\\&|LAB|H|RIS|G|2026||ORU^R01|ID|P|2.5.1|${sequence}|${before}\r`;
  return tiesOf(openMessage(Buffer.from(`${header}${after && `DSC|${after}|F\r`}`)))!;
}

describe('pins', () => {
  test('a stream goes to the server that took its last message, until that is down', () => {
    const { pins, pool, a, b } = makePins();
    expect(pins.serverOf(tied('1'), pool)).toBeUndefined();
    pins.went(tied('1'), b);
    expect(pins.serverOf(tied('2'), pool)).toBe(b);
    takeDown(b);
    expect(pins.serverOf(tied('2'), pool)).toBeUndefined();
    pins.went(tied('2'), a);
    expect(pins.serverOf(tied('3'), pool)).toBe(a);
  });

  test('not to one that is halted, or that the configuration has no more; one that drains keeps it', () => {
    const { pins, pool, a } = makePins();
    pins.went(tied('1'), a);
    a.drain();
    expect(pins.serverOf(tied('2'), pool)).toBe(a);
    a.halt();
    expect(pins.serverOf(tied('2'), pool)).toBeUndefined();
    a.online();
    expect(pins.serverOf(tied('2'), pool)).toBe(a);
    pool.reconfigure(settings({ servers: { b: {} } }));
    expect(pins.serverOf(tied('2'), pool)).toBeUndefined();
  });

  test('only in the pool of that server', () => {
    const { pins, pool, a } = makePins();
    pins.went(tied('1'), a);
    expect(pins.serverOf(tied('2'), makePool({ name: 'arch' }))).toBeUndefined();
    expect(pins.serverOf(tied('2'), pool)).toBe(a);
  });

  test('fragments go to the server of the one before, each by its pointer, before the stream has its say', () => {
    const { pins, pool, a, b } = makePins();
    pins.went(tied('1'), a);
    pins.went(tied('', '', 'p1'), b);
    expect(pins.serverOf(tied('2', 'p1', 'p2'), pool)).toBe(b);
    pins.went(tied('', 'p1', 'p2'), b);
    expect(pins.serverOf(tied('', 'p2'), pool)).toBe(b);
    expect(pins.serverOf(tied('', 'p3'), pool)).toBeUndefined();
  });

  test('for a day since they were used last, also by another object with the same table', () => {
    const { clock, table, pins, pool, a } = makePins();
    pins.went(tied('1'), a);
    clock.ms += 23 * HOUR;
    pins.went(tied('2'), a);
    clock.ms += 23 * HOUR;
    expect(new Pins(table).serverOf(tied('3'), pool)).toBe(a);
    clock.ms += HOUR + 1;
    expect(pins.serverOf(tied('3'), pool)).toBeUndefined();
  });
});

describe('the keys of what is tied', () => {
  test('a stream is in order beside its patients', () => {
    const { pins } = makePins();
    expect(pins.keysOf(tied('1'), ['P1'])).toEqual(['P1', '\rstream LAB^H^RIS^G']);
  });

  test('fragments have the patient of the first, and each the pointer that it shares with the next', () => {
    const { pins } = makePins();
    const sender = '\rsender LAB^H';
    const [p1, p2] = ['\rcontinued LAB^H p1', '\rcontinued LAB^H p2'];
    expect(pins.keysOf(tied('', '', 'p1'), ['P1'])).toEqual(['P1', p1]);
    expect(pins.keysOf(tied('', 'p1', 'p2'), [sender])).toEqual(['P1', p1, p2]);
    expect(pins.keysOf(tied('', 'p2'), [sender])).toEqual(['P1', p2]);
    expect(pins.keysOf(tied('', 'p2'), ['P2'])).toEqual(['P1', 'P2', p2]);
    expect(pins.keysOf(tied('', 'unknown'), [sender])).toEqual([sender, '\rcontinued LAB^H unknown']);
  });

  test('more fragments than are awaited: the first are forgotten', () => {
    const { pins } = makePins();
    for (let n = 0; n <= 10_000; n++) pins.keysOf(tied('', '', `p${n}`), [`P${n}`]);
    expect(pins.keysOf(tied('', 'p0'), ['X'])[0]).toBe('X');
    expect(pins.keysOf(tied('', 'p1'), ['X'])[0]).toBe('P1');
  });
});
