import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALIAS_LIMITS, Aliases } from '../../../src/frontends/hl7/aliases.ts';
import { createMemoryStore } from '../../../src/tables/memory.ts';
import { Table } from '../../../src/tables/table.ts';
import { createClock } from '../../pools/make-pool.ts';

const HOUR = 3_600_000;

function makeAliases() {
  const clock = createClock();
  const table = new Table(createMemoryStore({ ...ALIAS_LIMITS, now: clock.now }));
  return { clock, table, aliases: new Aliases(table) };
}

describe('aliases', () => {
  test('without any there is nothing to ask', () => {
    const { aliases } = makeAliases();
    expect(aliases.resolver).toBeUndefined();
    expect(aliases.chain).toBeUndefined();
    expect(aliases.expect([])).toBeUndefined();
    expect(aliases.chain).toBeUndefined();
  });

  test('a merged patient is the other one, over several merges, for three days', () => {
    const { aliases, clock } = makeAliases();
    aliases.learn([{ from: 'P1', to: 'P2' }]);
    clock.ms += HOUR;
    aliases.learn([{ from: 'P2', to: 'P3' }]);
    expect(['P1', 'P2', 'P3', 'P4'].map(aliases.resolver!)).toEqual(['P3', 'P3', 'P3', 'P4']);
    clock.ms += 72 * HOUR - 1;
    expect(['P1', 'P2'].map(aliases.resolver!)).toEqual(['P1', 'P3']);
  });

  test('another object with the same table knows what was learned, and not what was expected', () => {
    const { aliases, table } = makeAliases();
    aliases.learn([{ from: 'P1', to: 'P2' }]);
    aliases.expect([{ from: 'P3', to: 'P4' }]);
    expect(['P1', 'P3'].map(new Aliases(table).chain!)).toEqual([['P2', 'P1'], ['P3']]);
  });

  test('a merge on its way counts for the order, and for nothing else until a server took it', () => {
    const { aliases } = makeAliases();
    const merges = aliases.expect([{ from: 'P1', to: 'P2' }])!;
    expect(aliases.chain!('P1')).toEqual(['P2', 'P1']);
    expect(aliases.resolver).toBeUndefined();
    aliases.settle(merges, true);
    expect(aliases.resolver!('P1')).toBe('P2');
    expect(aliases.chain!('P1')).toEqual(['P2', 'P1']);
  });

  test('a merge that was refused is none', () => {
    const { aliases } = makeAliases();
    aliases.settle(aliases.expect([{ from: 'P1', to: 'P2' }])!, false);
    expect(aliases.chain).toBeUndefined();
  });

  test('of two merges of one patient that are on their way the later one counts', () => {
    const { aliases } = makeAliases();
    const [first, second] = ['P2', 'P3'].map((to) => aliases.expect([{ from: 'P1', to }])!);
    expect(aliases.chain!('P1')[0]).toBe('P3');
    aliases.settle(first!, true);
    expect(aliases.chain!('P1')[0]).toBe('P3');
    aliases.settle(second!, true);
    expect(aliases.resolver!('P1')).toBe('P3');
    expect(aliases.resolver!('P2')).toBe('P2');
  });

  test('who was merged the wrong way round, and back, is one patient', () => {
    const { aliases } = makeAliases();
    aliases.learn([{ from: 'P1', to: 'P2' }]);
    aliases.learn([{ from: 'P2', to: 'P1' }]);
    expect(['P1', 'P2'].map(aliases.resolver!)).toEqual(['P1', 'P1']);
    const back = aliases.expect([{ from: 'P1', to: 'P2' }])!;
    for (const key of ['P1', 'P2']) expect([...aliases.chain!(key)].sort()).toEqual(['P1', 'P2']);
    aliases.settle(back, true);
    expect(['P1', 'P2'].map(aliases.resolver!)).toEqual(['P2', 'P2']);
  });

  test('who was merged into the wrong patient, and then into the right one, is the right one', () => {
    const { aliases } = makeAliases();
    aliases.learn([{ from: 'P1', to: 'WRONG' }]);
    aliases.learn([{ from: 'P1', to: 'RIGHT' }]);
    expect(['P1', 'WRONG', 'RIGHT'].map(aliases.resolver!)).toEqual(['RIGHT', 'WRONG', 'RIGHT']);
  });

  test('property: merges in any order make no circle, and the two of the last merge are one', () => {
    const key = fc.constantFrom('P1', 'P2', 'P3', 'P4', 'P5', 'P6');
    const merge = fc.record({ from: key, to: key }).filter(({ from, to }) => from !== to);
    fc.assert(
      fc.property(fc.array(merge, { minLength: 1, maxLength: 30 }), (all) => {
        const { aliases } = makeAliases();
        for (const { from, to } of all) {
          aliases.learn([{ from, to }]);
          const resolve = aliases.resolver!;
          expect(resolve(from)).toBe(resolve(to));
          for (const one of ['P1', 'P2', 'P3', 'P4', 'P5', 'P6']) {
            expect(resolve(resolve(one))).toBe(resolve(one));
          }
        }
      }),
    );
  });

  test('more merges on their way than are kept: the first are forgotten', () => {
    const { aliases } = makeAliases();
    for (let n = 0; n <= 10_000; n++) aliases.expect([{ from: `OLD${n}`, to: `NEW${n}` }]);
    expect(aliases.chain!('OLD0')).toEqual(['OLD0']);
    expect(aliases.chain!('OLD1')).toEqual(['NEW1', 'OLD1']);
  });
});
