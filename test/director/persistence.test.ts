import { describe, expect, test } from 'vitest';
import { factsFrom } from '../../protocols/facts.ts';
import { entryParts, Persistence, type PersistenceOptions } from '../../src/director/persistence.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { Table } from '../../src/tables/table.ts';
import { makePool } from '../pools/make-pool.ts';

function makePersistence(options: Partial<PersistenceOptions>) {
  const table = new Table(createMemoryStore({ ttl: 1000, size: 100, now: () => 1 }));
  return new Persistence({ by: [], table, ...options });
}

describe('persistence key', () => {
  const facts = factsFrom({ calling: 'CT1', client: '10.1.2.3', sopClass: ['1.2', '1.3'] });

  test('none', () => {
    expect(makePersistence({}).keyOf(facts)).toBeUndefined();
    expect(makePersistence({ by: ['patient'] }).keyOf(facts)).toBeUndefined();
  });

  test('any fact; of several values the first', () => {
    expect(makePersistence({ by: ['calling'] }).keyOf(facts)).toEqual({ by: 'calling', key: 'CT1' });
    expect(makePersistence({ by: ['sopClass'] }).keyOf(facts)).toEqual({ by: 'sopClass', key: '1.2' });
  });

  test('source-ip, with a netmask', () => {
    expect(makePersistence({ by: ['source-ip'] }).keyOf(facts)).toEqual({ by: 'source-ip', key: '10.1.2.3' });
    expect(makePersistence({ by: ['source-ip'], netmask: 16 }).keyOf(facts)?.key).toBe('10.1.0.0');
  });

  test('a chain: the first that has a value', () => {
    expect(makePersistence({ by: ['patient', 'calling', 'source-ip'] }).keyOf(facts)?.by).toBe('calling');
  });
});

describe('entry', () => {
  const key = { by: 'calling', key: 'CT1' };

  test('belongs to a pool', () => {
    expect(makePersistence({}).entryOf(key, makePool())).toBe('archive/calling=CT1');
  });

  test('tells its parts again, whatever the value', () => {
    const pathLike = { by: 'header.X-Path', key: '/a=b/c' };
    const partsOf = (isShared: boolean) =>
      entryParts(makePersistence({ isShared }).entryOf(pathLike, makePool()));
    expect(partsOf(false)).toEqual({ ...pathLike, pool: 'archive' });
    expect(partsOf(true)).toEqual({ ...pathLike, pool: undefined });
  });

  test('is short whatever the value', () => {
    const long = { by: 'patient', key: 'x'.repeat(1_000_000) };
    expect(makePersistence({}).entryOf(long, makePool()).length).toBeLessThan(80);
  });

  test('of a shared table belongs to all pools that have its server', () => {
    const persistence = makePersistence({ isShared: true });
    const web = makePool({ name: 'web' });
    const other = makePool({ name: 'other', servers: { x: {} } });
    expect(persistence.entryOf(key, web)).toBe('calling=CT1');
    persistence.table.confirm(persistence.table.claim('calling=CT1', 'a'), true);
    expect(persistence.entryOf(key, web)).toBe('calling=CT1');
    expect(persistence.entryOf(key, other)).toBe('other/calling=CT1');
  });
});
