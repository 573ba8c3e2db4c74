/** Who is the first in turn: not the same server for every VIP, nor after every change. */
import { expect, test } from 'vitest';
import { judged } from '../../src/layer4/judge.ts';
import { LIFETIMES, type Plan } from '../../src/layer4/plan.ts';
import { scheduleOf } from '../../src/layer4/scheduler.ts';

function planOf(name: string, turn: number, weights: readonly number[] = [1, 1]): Plan {
  const servers = weights.map((weight, index) => ({
    name: `pool/s${index + 1}`,
    address: `10.0.0.${index + 1}`,
    port: undefined,
    weight,
    duty: 'open' as const,
  }));
  const { service, family } = judged({
    name,
    mode: 'dr',
    listen: [{ host: '10.0.0.9', port: 104 }],
    interfaces: [],
    source: undefined,
    spread: 'round-robin',
    persistence: undefined,
    idle: 1000,
    servers,
  });
  return {
    service,
    family,
    table: { family: 'netdev', name },
    interfaces: [],
    servers: servers.map((one, index) => ({ ...one, mark: index + 1, device: 'eth0', hasLeft: false })),
    lifetimes: LIFETIMES,
    turn,
  };
}

/** The mark of slot 0. */
function firstOf(plan: Plan): string | undefined {
  return /\{ 0(?:-\d+)? : (\d+)/.exec(scheduleOf(plan).join())?.[1];
}

test('each change begins with the next server', () => {
  const firsts = [0, 1, 2, 3].map((turn) => firstOf(planOf('eis', turn)));
  expect(new Set(firsts.slice(0, 2))).toEqual(new Set(['1', '2']));
  expect(firsts.slice(2)).toEqual(firsts.slice(0, 2));
});

test('many VIPs do not all begin with the same one', () => {
  const names = Array.from({ length: 11 }, (_, index) => `VIP${index + 1}`);
  expect(new Set(names.map((name) => firstOf(planOf(name, 0))))).toEqual(new Set(['1', '2']));
});

test('whoever begins, each has the slots of its weight', () => {
  for (const turn of [0, 1]) {
    const rule = scheduleOf(planOf('eis', turn, [3, 1])).join();
    expect(rule).toContain('numgen inc mod 4 map');
    const slots = [...rule.matchAll(/(\d+)(?:-(\d+))? : 1\b/g)];
    expect(slots.reduce((sum, [, from, to]) => sum + Number(to ?? from) - Number(from) + 1, 0)).toBe(3);
  }
});
