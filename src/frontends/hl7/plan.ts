/** What one configuration says about messages. A message keeps the plan by which its server was chosen. */
import type { Director } from '../../director/director.ts';
import type { StatOrders } from '../../tables/stat-orders.ts';
import type { Delivery } from './delivery.ts';
import type { OrderMemory } from './order.ts';
import type { Loss } from './outbound.ts';
import { type Ambiguity, ackTimeoutOf, type Hl7Settings } from './settings.ts';

export interface Plan {
  readonly director: Director;
  readonly settings: Hl7Settings;
  /** By rule (`routes[1]`), where it differs from the VIP's. */
  readonly onAmbiguousByRule: Readonly<Record<string, Ambiguity>>;
  /** What messages are kept in order by, beside what they say themselves. */
  readonly orderMemory: OrderMemory;
  /** Where the urgent orders of messages are remembered; undefined: nobody asks for them. */
  readonly statOrders: StatOrders | undefined;
}

/** An answer that does not fit its message is believed to be a mistake once. */
const MOST_MISMATCHES = 1;

/** What is done with this message when it may have arrived. */
export function ambiguityOf({ plan, choice }: Delivery): Ambiguity {
  // Nobody chose the server of an answer: it goes to its return address.
  const ofRule = choice && plan.onAmbiguousByRule[choice.rule];
  return ofRule ?? plan.settings.onAmbiguous;
}

/**
 * Milliseconds that a server has to answer from `now` on. `ofPool`: what its pool says, if anything. The sender of a
 * stream waits for its answer only when it has sent the whole.
 */
export function answerTimeOf(delivery: Delivery, now: number, ofPool: number | undefined): number {
  const { plan, senderTimeout, expires } = delivery;
  const time = ofPool ?? ackTimeoutOf(plan.settings, senderTimeout, ambiguityOf(delivery));
  return delivery.stream ? time : Math.max(Math.min(time, expires - now), 0);
}

/** Would sending it once more help, and find somebody who waits for the answer? */
export function maySendAgain(delivery: Delivery, { cause }: Loss, now: number): boolean {
  if (!delivery.isAwaited || delivery.mismatches > MOST_MISMATCHES) return false;
  const left = delivery.expires - now;
  // A server that was silent this long will be so again: only if it gets as long once more.
  return cause === 'timeout' ? left >= now - delivery.sentAt : left > 0;
}
