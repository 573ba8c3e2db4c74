import { describe, expect, test } from 'vitest';
import { literalsOf, type Route, reachOf, type When } from '../../src/probe/reach.ts';

/** `{ called: 'A', modality: ['CT'], not: …, any: … }` as a rule has it. */
type Written = Readonly<Record<string, string | readonly string[]>>;

function when(written: Written, more: Omit<When, 'facts'> = {}): When {
  const facts = Object.entries(written).map(([name, patterns]) => ({ name, patterns: [patterns].flat() }));
  return { facts, ...more };
}

function route(pool: string | undefined, written: Written = {}, more: Omit<When, 'facts'> = {}): Route {
  return { pool, when: when(written, more) };
}

/** Pool → `CALLING` or `CALLING>CALLED` of those with known titles. */
function reached(routes: readonly Route[], calling: readonly string[], ignoreCase = false) {
  const all = [...reachOf(routes, calling, ignoreCase)].flatMap(([pool, each]) =>
    each.flatMap((one) => (one.calling === undefined ? [] : [{ pool, who: [one.calling, one.called] }])),
  );
  const pools = Map.groupBy(all, ({ pool }) => pool);
  return Object.fromEntries(
    [...pools].map(([pool, each]) => [
      pool,
      each.map(({ who: [title, called] }) => (called === undefined ? title : `${title}>${called}`)),
    ]),
  );
}

describe('who may come to a pool', () => {
  test('a rule that names calling AE titles takes them from the rules after it', () => {
    const routes = [route('ct', { calling: ['CT1', 'CT2'] }), route('other')];
    expect(reached(routes, ['CT1', 'CT2', 'MR1'])).toEqual({ ct: ['CT1', 'CT2'], other: ['MR1'] });
  });

  test('globs and regular expressions take those whom they match', () => {
    const routes = [
      route('ct', { calling: 'CT*' }),
      route('er', { calling: '/^ER[0-9]+$/' }),
      route('other'),
    ];
    expect(reached(routes, ['CT1', 'ER12', 'ERX'])).toEqual({ ct: ['CT1'], er: ['ER12'], other: ['ERX'] });
  });

  test('a rule that also asks for something else may hold or not', () => {
    const routes = [route('fast', { calling: 'CT1', modality: 'CT' }), route('slow')];
    expect(reached(routes, ['CT1', 'MR1'])).toEqual({ fast: ['CT1'], slow: ['CT1', 'MR1'] });
  });

  test('the called AE titles that the rules name, and any other one', () => {
    const routes = [
      route('worklist', { called: ['WL', 'WL2'] }),
      route('archive', { called: 'A*' }),
      route('rest'),
    ];
    expect(reached(routes, ['CT1'])).toEqual({
      worklist: ['CT1>WL', 'CT1>WL2'],
      archive: ['CT1'],
      rest: ['CT1'],
    });
  });

  test('a rejection takes whom it matches, and leads nowhere', () => {
    expect(reached([route(undefined, { calling: 'OLD' }), route('a')], ['OLD', 'CT1'])).toEqual({
      a: ['CT1'],
    });
  });

  test('not: what it names does not come; what it cannot tell may', () => {
    const routes = [
      route('inner', {}, { not: when({ calling: 'CT1' }) }),
      route('outer', {}, { not: when({ client: '10.0.0.0/8' }) }),
    ];
    expect(reached(routes, ['CT1', 'CT2'])).toEqual({ inner: ['CT2'], outer: ['CT1'] });
  });

  test('any: one that holds is enough, one that may hold leaves the rest open', () => {
    const routes = [
      route('a', {}, { any: [when({ calling: 'CT1' }), when({ modality: 'CT' })] }),
      route('b', {}, { any: [when({ calling: 'CT3' })] }),
      route('c'),
    ];
    expect(reached(routes, ['CT1', 'CT2', 'CT3'])).toEqual({
      a: ['CT1', 'CT2', 'CT3'],
      b: ['CT3'],
      c: ['CT2'],
    });
  });

  test('others than those with known titles: by the called AE titles of the rules too', () => {
    const routes = [route('ct', { calling: 'CT1' }), route('worklist', { called: 'WL' }), route('rest')];
    expect(Object.fromEntries(reachOf(routes, [], false))).toEqual({
      worklist: [{ calling: undefined, called: 'WL' }],
      rest: [{ calling: undefined, called: undefined }],
    });
  });

  test('letters in any case, when the VIP says so', () => {
    const routes = [route('ct', { calling: 'ct1' }), route('other')];
    expect(reached(routes, ['CT1'], true)).toEqual({ ct: ['CT1'] });
    expect(reached(routes, ['CT1'])).toEqual({ other: ['CT1'] });
  });
});

test('texts that rules name for a fact: no globs, no expressions, nothing behind a not', () => {
  const routes = [
    route('a', { called: ['A', 'B*', '/C/'] }, { any: [when({ called: 'D' })], not: when({ called: 'E' }) }),
    route('b', { called: 'A', calling: 'F' }),
  ];
  expect(literalsOf(routes, 'called')).toEqual(['A', 'D']);
});
