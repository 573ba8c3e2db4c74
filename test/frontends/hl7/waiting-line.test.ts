import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Delivery } from '../../../src/frontends/hl7/delivery.ts';
import { WaitingLine } from '../../../src/frontends/hl7/waiting-line.ts';

interface Waiting {
  readonly number: number;
  readonly arrived: number;
  readonly stream: object | undefined;
  finished: boolean;
}

const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('add' as const), streamed: fc.boolean() }),
    fc.record({ do: fc.constant('next' as const), mayStream: fc.boolean() }),
    fc.record({ do: fc.constant('finish' as const), which: fc.nat() }),
    fc.record({ do: fc.constant('put back' as const) }),
    fc.record({ do: fc.constant('take all' as const) }),
  ),
  { maxLength: 200 },
);

test('property: who came first goes first, but that streams wait for their place', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const line = new WaitingLine();
      let model: Waiting[] = [];
      let number = 0;
      for (const step of all) {
        if (step.do === 'add') {
          const one = { number, arrived: number++, stream: step.streamed ? {} : undefined, finished: false };
          line.add(one as unknown as Delivery);
          model.push(one);
        } else if (step.do === 'next') {
          const first = line.first(step.mayStream) as unknown as Waiting | undefined;
          const expected = model.find(({ stream, finished }) => !finished && (step.mayStream || !stream));
          expect(first).toBe(expected);
          if (!first) continue;
          line.shift(first as unknown as Delivery);
          model = model.filter((one) => one !== first);
        } else if (step.do === 'finish') {
          const one = model[step.which % Math.max(model.length, 1)];
          if (one) one.finished = true;
        } else {
          const taken = line.takeAll() as unknown as Waiting[];
          expect(line.isEmpty).toBe(true);
          const waiting = model.filter(({ finished }) => !finished);
          expect(new Set(taken.filter(({ finished }) => !finished))).toEqual(new Set(waiting));
          model = step.do === 'put back' ? waiting : [];
          line.addBefore(model as unknown as Delivery[]);
        }
      }
      const waiting = model.filter(({ finished }) => !finished);
      expect(line.isEmpty && waiting.length > 0).toBe(false);
      expect(line.messages + line.streams).toBeGreaterThanOrEqual(waiting.length);
    }),
  );
});

test('thousands pass through a line that never empties', () => {
  const line = new WaitingLine();
  const add = (number: number) =>
    line.add({ number, arrived: number, stream: undefined, finished: false } as unknown as Delivery);
  add(0);
  for (let number = 1; number < 5000; number++) {
    add(number);
    const first = line.first(true)!;
    expect((first as unknown as Waiting).number).toBe(number - 1);
    line.shift(first);
    expect(line.messages).toBe(1);
  }
});
