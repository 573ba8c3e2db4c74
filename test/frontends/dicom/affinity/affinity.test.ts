import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  COMMAND,
  type CommandToWrite,
  decodeCommand,
  encodeCommand,
} from '../../../../protocols/dicom/command-set.ts';
import { createAffinity } from '../../../../src/frontends/dicom/affinity/affinity.ts';
import { createMemoryStore } from '../../../../src/tables/memory.ts';
import { Table } from '../../../../src/tables/table.ts';

const command = (elements: CommandToWrite) => decodeCommand(encodeCommand(elements));
const create = (affectedSopInstance?: string) =>
  command({ commandField: COMMAND.N_CREATE, ...(affectedSopInstance && { affectedSopInstance }) });
const set = (requestedSopInstance: string) => command({ commandField: COMMAND.N_SET, requestedSopInstance });
const store = (affectedSopInstance: string) =>
  command({ commandField: COMMAND.C_STORE, affectedSopInstance });
const response = (status: number, affectedSopInstance?: string) =>
  command({ commandField: 0x8000, status, ...(affectedSopInstance && { affectedSopInstance }) });

function setup() {
  const table = () => new Table(createMemoryStore({ ttl: 1000, size: 1000, now: () => 1 }));
  const tables = { objects: table(), instances: table(), transactions: table() };
  const affinity = createAffinity({ ...tables, storage: 'shared', hasEgress: true, randomBytes });
  return { ...tables, affinity };
}

test('N-SET goes where the N-CREATE went', () => {
  const { affinity, objects } = setup();
  affinity.answered(create('1.2.3'), response(0), 'ris/a');
  affinity.answered(create('1.2.4'), response(0x0107), 'ris/b');
  expect(affinity.placeOf(set('1.2.3'))).toBe('ris/a');
  expect(affinity.placeOf(set('1.2.4'))).toBe('ris/b');
  expect(affinity.placeOf(set('1.2.5'))).toBeUndefined();
  // The snapshot has something to save.
  expect(objects.changes).toBe(2);
});

test('an object that the server named is known by that name', () => {
  const { affinity } = setup();
  affinity.answered(create(), response(0, '1.2.3'), 'ris/a');
  expect(affinity.placeOf(set('1.2.3'))).toBe('ris/a');
});

test('what was refused, or is only pending, is nowhere', () => {
  const { affinity, objects, instances } = setup();
  for (const status of [0x0110, 0xa700, 0xc000, 0xff00, 0xfe00]) {
    affinity.answered(create('1.2.3'), response(status), 'ris/a');
    affinity.answered(store('1.2.3'), response(status), 'ris/a');
  }
  affinity.answered(store('1.2.3'), command({ commandField: 0x8001 }), 'ris/a');
  expect([objects.size, instances.size]).toEqual([0, 0]);
});

test('an instance is where it was stored last', () => {
  const { affinity, instances } = setup();
  affinity.answered(store('1.2.3'), response(0), 'archive/a');
  affinity.answered(store('1.2.3'), response(0xb000), 'archive/b');
  expect([...instances.entries()].map(({ server }) => server)).toEqual(['archive/b']);
});

test('entries are small, whatever the UID; what is too long for a UID is not remembered', () => {
  const { affinity, objects, instances } = setup();
  affinity.answered(store('1'.repeat(10_000)), response(0), 'archive/a');
  expect([...instances.entries()][0]!.key.length).toBe(27);
  affinity.answered(create('1'.repeat(65)), response(0), 'ris/a');
  expect(objects.size).toBe(0);
});
