/** What the model test does, one step after another: any of these. */
import fc from 'fast-check';
import type { Failure, OrderKeys } from '../../src/queue/message.ts';

export type HandingBack =
  | { readonly what: 'delivered' | 'hold'; readonly which: number }
  | { readonly what: 'failed'; readonly which: number; readonly failure: Failure };

export type Step =
  | { readonly what: 'store'; readonly keys: OrderKeys }
  | HandingBack
  | { readonly what: 'release' | 'replay' | 'drop' | 'leave'; readonly which: number }
  | { readonly what: 'stand'; readonly keys: OrderKeys }
  | { readonly what: 'commit'; readonly ms: number }
  | { readonly what: 'kill' };

const which = fc.nat(20);
const keys: fc.Arbitrary<OrderKeys> = fc.oneof(
  { weight: 6, arbitrary: fc.array(fc.constantFrom('P1', 'P2', 'P3', 'P4'), { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constant<OrderKeys>([]) },
  { weight: 1, arbitrary: fc.constant<OrderKeys>('whole') },
);
export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ what: fc.constant('store'), keys }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('stand'), keys }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('leave'), which }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('delivered'), which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant('failed'),
      which,
      failure: fc.constantFrom<Failure>('refused', 'unanswered', 'unsent'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ what: fc.constantFrom('hold', 'release', 'replay', 'drop'), which }),
  },
  { weight: 6, arbitrary: fc.record({ what: fc.constant('commit'), ms: fc.constantFrom(0, 1, 50, 3000) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('kill') }) },
) as fc.Arbitrary<Step>;
