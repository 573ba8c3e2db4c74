import { expect, test } from 'vitest';
import { Traffic } from '../../src/queue/traffic.ts';

test('32 are on their way; those that wait go on in turn, one for each that arrived', () => {
  const traffic = new Traffic();
  for (let count = 0; count < 32; count++) {
    expect(traffic.isJammed).toBe(false);
    traffic.depart();
  }
  expect(traffic.isJammed).toBe(true);
  const order: string[] = [];
  for (const name of ['first', 'second', 'third']) {
    traffic.wait(() => {
      order.push(name);
      traffic.depart();
    });
  }
  traffic.arrived();
  expect(order).toEqual(['first']);
  expect(traffic.isJammed).toBe(true);
  traffic.arrived();
  expect(order).toEqual(['first', 'second']);
});

test('who goes on without sending anything makes room for the next; who waits again is last', () => {
  const traffic = new Traffic();
  for (let count = 0; count < 32; count++) traffic.depart();
  const order: string[] = [];
  traffic.wait(() => order.push('nothing to send'));
  traffic.wait(() => {
    order.push('sends');
    traffic.depart();
    traffic.wait(() => order.push('again'));
  });
  traffic.wait(() => order.push('next'));
  traffic.arrived();
  expect(order).toEqual(['nothing to send', 'sends']);
  traffic.arrived();
  expect(order).toEqual(['nothing to send', 'sends', 'next', 'again']);
});
