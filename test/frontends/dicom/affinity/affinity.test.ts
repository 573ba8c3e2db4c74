import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createAffinity } from '../../../../src/frontends/dicom/affinity/affinity.ts';
import { createMemoryStore } from '../../../../src/tables/memory.ts';
import { Table } from '../../../../src/tables/table.ts';

function setup() {
  const table = () => new Table(createMemoryStore({ ttl: 1000, size: 1000, now: () => 0 }));
  const tables = { mpps: table(), instances: table(), transactions: table() };
  return {
    ...tables,
    affinity: createAffinity({ ...tables, storage: 'shared', hasEgress: true, randomBytes }),
  };
}

test('N-SET goes where the N-CREATE went', () => {
  const { affinity, mpps } = setup();
  affinity.mppsCreated('1.2.3', 'ris/a');
  affinity.mppsCreated('1.2.4', 'ris/b');
  expect(affinity.mppsPlace('1.2.3')).toBe('ris/a');
  expect(affinity.mppsPlace('1.2.4')).toBe('ris/b');
  expect(affinity.mppsPlace('1.2.5')).toBeUndefined();
  // The snapshot has something to save.
  expect(mpps.changes).toBe(2);
});

test('an instance is where it was stored last', () => {
  const { affinity, instances } = setup();
  affinity.stored('1.2.3', 'archive/a');
  affinity.stored('1.2.3', 'archive/b');
  expect([...instances.entries()].map(({ server }) => server)).toEqual(['archive/b']);
});

test('entries are small, whatever the UID; UIDs that are none are not remembered', () => {
  const { affinity, mpps, instances } = setup();
  affinity.stored('1'.repeat(10_000), 'archive/a');
  expect([...instances.entries()][0]!.key.length).toBe(27);
  affinity.mppsCreated('1'.repeat(65), 'ris/a');
  expect(mpps.size).toBe(0);
});
