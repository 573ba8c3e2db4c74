import { describe, expect, test } from 'vitest';
import type { Order, Urgency } from '../../protocols/hl7/orders.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { STAT_ORDER_LIMITS, StatOrders } from '../../src/tables/stat-orders.ts';
import { Table } from '../../src/tables/table.ts';
import { createClock } from '../pools/make-pool.ts';

const DAY = 24 * 60 * 60 * 1000;

function makeOrders(limits = STAT_ORDER_LIMITS) {
  const clock = createClock();
  const table = new Table(createMemoryStore({ ...limits, now: clock.now }));
  return { clock, table, orders: new StatOrders(table) };
}

function order(urgency: Urgency, accession: string, study?: string): Order {
  return { urgency, accessions: [accession], studies: study === undefined ? [] : [study] };
}

describe('STAT orders', () => {
  test('are known by accession number or by study', () => {
    const { orders } = makeOrders();
    orders.learn([order('urgent', 'A1', '1.2.3')]);
    expect(orders.isUrgent('A1', undefined)).toBe(true);
    expect(orders.isUrgent(undefined, '1.2.3')).toBe(true);
    expect(orders.isUrgent('A2', '1.2.3')).toBe(true);
    expect(orders.isUrgent('A2', '1.2.4')).toBe(false);
    expect(orders.isUrgent('1.2.3', 'A1')).toBe(false);
    expect(orders.isUrgent(undefined, undefined)).toBe(false);
  });

  test('are kept for 24 hours since they were ordered, however often they are asked for', () => {
    const { orders, clock } = makeOrders();
    orders.learn([order('urgent', 'A1')]);
    clock.ms += DAY - 1;
    expect(orders.isUrgent('A1', undefined)).toBe(true);
    clock.ms += 2;
    expect(orders.isUrgent('A1', undefined)).toBe(false);
  });

  test.each(['withdrawn', 'routine'] as const)('are none any more when %s', (urgency) => {
    const { orders, table } = makeOrders();
    orders.learn([order('urgent', 'A1', '1.2.3'), order('urgent', 'A2')]);
    orders.learn([order(urgency, 'A1', '1.2.3')]);
    expect(orders.isUrgent('A1', '1.2.3')).toBe(false);
    expect(orders.isUrgent('A2', undefined)).toBe(true);
    expect(table.size).toBe(1);
  });

  test('in one message urgent goes before all else, in whatever order it says so', () => {
    const { orders } = makeOrders();
    orders.learn([
      order('urgent', 'A1'),
      order('routine', 'A1'),
      order('withdrawn', 'A2'),
      order('urgent', 'A2'),
    ]);
    expect([orders.isUrgent('A1', undefined), orders.isUrgent('A2', undefined)]).toEqual([true, true]);
  });

  test('of a message that was refused after all are none, unless they were known before', () => {
    const { orders } = makeOrders();
    orders.learn([order('urgent', 'A2')]);
    orders.unlearn(orders.learn([order('urgent', 'A1'), order('urgent', 'A2')]));
    expect([orders.isUrgent('A1', undefined), orders.isUrgent('A2', undefined)]).toEqual([false, true]);
  });

  test('the oldest go when there are too many', () => {
    const { orders, table } = makeOrders({ ttl: DAY, size: 3 });
    for (let number = 1; number <= 10; number++) orders.learn([order('urgent', `A${number}`)]);
    expect(table.size).toBe(3);
    expect([7, 8, 9, 10].map((number) => orders.isUrgent(`A${number}`, undefined))).toEqual([
      false,
      true,
      true,
      true,
    ]);
  });

  test('a value longer than any accession number or UID is not kept', () => {
    const { orders, table } = makeOrders();
    orders.learn([order('urgent', 'x'.repeat(65), '1'.repeat(64))]);
    expect(table.size).toBe(1);
  });

  test('rest in a table as entries, so that they outlive a restart', () => {
    const { orders, table } = makeOrders();
    const before = table.changes;
    orders.learn([order('urgent', 'A1')]);
    expect(table.changes).toBeGreaterThan(before);
    const again = makeOrders();
    for (const entry of table.walk()) again.table.restore(entry);
    expect(again.orders.isUrgent('A1', undefined)).toBe(true);
  });
});
