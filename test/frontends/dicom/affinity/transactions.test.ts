import { randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Transactions } from '../../../../src/frontends/dicom/affinity/transactions.ts';
import { createMemoryStore } from '../../../../src/tables/memory.ts';
import { type Entry, Table } from '../../../../src/tables/table.ts';

const LARGEST = 1024 * 1024;
const HOUR = 3_600_000;
const transferSyntax = '1.2.840.10008.1.2';

function setup(now = () => 0) {
  const table = new Table(createMemoryStore({ ttl: 72 * HOUR, size: 1000, now }));
  return { table, transactions: new Transactions(table, LARGEST) };
}

/** What a restart makes of a table. */
function restarted(table: Table): Transactions {
  const next = new Table(createMemoryStore({ ttl: 72 * HOUR, size: 1000, now: () => 0 }));
  for (const entry of [...table.walk()].map((one) => JSON.parse(JSON.stringify(one)) as Entry))
    next.restore(entry);
  return new Transactions(next, LARGEST);
}

describe('transactions', () => {
  test('who asked is known, also after a restart', () => {
    const { table, transactions } = setup();
    transactions.begin('1.2.3', { ae: 'CT "1"' });
    expect(transactions.get('1.2.3')).toEqual({ ae: 'CT "1"' });
    expect(restarted(table).get('1.2.3')).toEqual({ ae: 'CT "1"' });
    expect(transactions.get('1.2.4')).toBeUndefined();
    expect(transactions.wholeOf('1.2.3')).toBeUndefined();
  });

  test('what was reported of a part is there until the client was told, also after a restart', () => {
    const { table, transactions } = setup();
    transactions.begin('1.2.3', { ae: 'CT1', parts: ['2.25.1', '2.25.2'] });
    const dataSet = randomBytes(200_000);
    transactions.keep('2.25.1', { dataSet, transferSyntax });
    for (const one of [transactions, restarted(table)]) {
      expect(one.wholeOf('2.25.1')).toBe('1.2.3');
      expect(one.wholeOf('2.25.2')).toBe('1.2.3');
      expect(one.reported('2.25.1')).toEqual({ dataSet, transferSyntax });
      expect(one.reported('2.25.2')).toBeUndefined();
    }
    // Lines of a snapshot are bounded.
    for (const { server } of table.entries()) expect(server.length).toBeLessThanOrEqual(32 * 1024);

    transactions.told('1.2.3');
    expect(transactions.get('1.2.3')).toEqual({ ae: 'CT1', parts: ['2.25.1', '2.25.2'], told: true });
    expect([...table.entries()].map(({ key }) => key).sort()).toEqual([
      'part=2.25.1',
      'part=2.25.2',
      'transaction=1.2.3',
    ]);
  });

  test('a part that is reported again leaves nothing of the report before', () => {
    const { table, transactions } = setup();
    transactions.begin('1.2.3', { ae: 'CT1', parts: ['2.25.1', '2.25.2'] });
    transactions.keep('2.25.1', { dataSet: randomBytes(200_000), transferSyntax });
    transactions.keep('2.25.1', { dataSet: Buffer.from('short'), transferSyntax });
    expect(transactions.reported('2.25.1')?.dataSet.toString()).toBe('short');
    expect(table.size).toBe(4);
  });

  test('a report of which a piece was forgotten is no report', () => {
    const { table, transactions } = setup();
    transactions.begin('1.2.3', { ae: 'CT1', parts: ['2.25.1', '2.25.2'] });
    transactions.keep('2.25.1', { dataSet: randomBytes(200_000), transferSyntax });
    const kept = [...table.entries()].filter(({ key }) => key.startsWith('report='));
    for (const { key, server } of kept) {
      table.delete(key);
      expect(transactions.reported('2.25.1'), key).toBeUndefined();
      table.put(key, server);
    }
    expect(transactions.reported('2.25.1')).toBeDefined();
  });

  test('pieces that inflate to something else without the one between them are no report', () => {
    const { table, transactions } = setup();
    transactions.begin('1.2.3', { ae: 'CT1', parts: ['2.25.1'] });
    const whole = deflateRawSync(Buffer.from('a report')).toString('base64');
    transactions.keep('2.25.1', { dataSet: randomBytes(60_000), transferSyntax });
    // Three pieces, of which the second is forgotten, and the rest is a stream that ends well.
    table.put('report=2.25.1/1', whole);
    table.delete('report=2.25.1/2');
    table.put('report=2.25.1/3', '');
    expect(transactions.reported('2.25.1')).toBeUndefined();
  });

  test('a withdrawn one is forgotten, but its parts are still known for what they were', () => {
    const { transactions } = setup();
    transactions.begin('1.2.3', { ae: 'CT1', parts: ['2.25.1', '2.25.2'] });
    transactions.withdraw('1.2.3');
    expect(transactions.get('1.2.3')).toBeUndefined();
    expect(transactions.wholeOf('2.25.1')).toBe('1.2.3');
  });

  test('a part that never comes: after 72 hours all is forgotten', () => {
    let now = 1;
    const { transactions } = setup(() => now);
    transactions.begin('1.2.3', { ae: 'CT1', parts: ['2.25.1', '2.25.2'] });
    transactions.keep('2.25.1', { dataSet: Buffer.from('x'), transferSyntax });
    now = 72 * HOUR + 2;
    expect(transactions.get('1.2.3')).toBeUndefined();
    expect(transactions.reported('2.25.1')).toBeUndefined();
  });
});
