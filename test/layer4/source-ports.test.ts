import fc from 'fast-check';
import { expect, test } from 'vitest';
import { REST_MS, SourcePorts } from '../../src/layer4/source-ports.ts';

const COUNT = 65_536 - 10_240;

function ports(random = () => 0) {
  const clock = { now: 0 };
  return { clock, ports: new SourcePorts({ now: () => clock.now, random, systems: [32_768, 60_999] }) };
}

test('each server’s ports are taken in turn, from a place of their own, and go round', () => {
  // Of each server: among the ports that the system leaves alone, and among the others.
  const places = [0, 0, 0.999_999, 0];
  const { ports: some } = ports(() => places.shift()!);
  expect([some.take('a'), some.take('a'), some.take('b'), some.take('b'), some.take('a')]).toEqual([
    10_240, 10_241, 65_535, 10_240, 10_242,
  ]);
});

test('those that the system hands out by itself come last', () => {
  const { ports: some } = ports();
  const all = Array.from({ length: COUNT }, () => some.take('a')!);
  const isSystems = (port: number) => port >= 32_768 && port <= 60_999;
  expect(all.findIndex(isSystems)).toBe(COUNT - 28_232);
  expect(all.findLastIndex((port) => !isSystems(port))).toBe(COUNT - 28_233);
  expect([all[COUNT - 28_234], all[COUNT - 28_233]]).toEqual([65_534, 65_535]);
});

test('when all are in use there is none, and one that was given back has to rest first', () => {
  const { clock, ports: some } = ports();
  const all = new Set(Array.from({ length: COUNT }, () => some.take('a')));
  expect(all.size).toBe(COUNT);
  expect(some.take('a')).toBeUndefined();
  some.give('a', 20_000);
  clock.now = REST_MS - 1;
  expect(some.take('a')).toBeUndefined();
  clock.now = REST_MS;
  expect(some.take('a')).toBe(20_000);
  expect(some.take('a')).toBeUndefined();
});

test('property: a port goes to one connection to a server at a time, and rests between two', () => {
  const step = fc.oneof(
    fc.record({ take: fc.constantFrom('a', 'b') }),
    fc.record({ give: fc.nat() }),
    fc.record({ wait: fc.constantFrom(1, 1000, REST_MS / 2, REST_MS) }),
    fc.record({ move: fc.constantFrom('a', 'b') }),
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 200 }),
      fc.infiniteStream(fc.constantFrom(0, 0.5)),
      (steps, random) => {
        const { clock, ports: some } = ports(() => random.next().value!);
        some.take('a');
        some.take('b');
        const open: { server: string; port: number }[] = [];
        const rested = new Map<string, number>();
        for (const one of steps) {
          if ('take' in one) {
            const taken = { server: one.take, port: some.take(one.take)! };
            expect(open).not.toContainEqual(taken);
            expect(rested.get(`${taken.server} ${taken.port}`) ?? 0).toBeLessThanOrEqual(clock.now);
            open.push(taken);
          } else if ('give' in one && open.length > 0) {
            const [{ server, port }] = open.splice(one.give % open.length, 1) as [(typeof open)[0]];
            some.give(server, port);
            rested.set(`${server} ${port}`, clock.now + REST_MS);
          } else if ('wait' in one) clock.now += one.wait;
          else if ('move' in one) some.move(one.move);
        }
      },
    ),
  );
});
