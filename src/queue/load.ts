/** Opens what is in the file: its messages take their places, and what a process that ended left behind is put right. */
import { STATE } from './file.ts';
import type { Intake } from './intake.ts';
import type { OrderKeys } from './message.ts';
import { type Order, Place } from './order.ts';
import type { Pauses } from './pauses.ts';
import type { Rows } from './rows.ts';

export interface Loaded {
  /** Messages that were in somebody's hands. */
  readonly maybeTwice: number;
  /** Messages that keep their place in quarantine, by id. */
  readonly resting: Map<number, Place>;
}

/** Puts all messages of the file in order, and counts them. `now`: milliseconds since 1970. */
export function load(rows: Rows, intake: Intake, order: Order, pauses: Pauses, now: number): Loaded {
  const { counts, settings } = intake;
  const taken: number[] = [];
  const resting = new Map<number, Place>();
  for (const { id, size, keys, state, due } of rows.index()) {
    counts.messages++;
    counts.bytes += size;
    if (state === STATE.TAKEN) taken.push(id);
    if (state >= STATE.HELD_IN_PLACE) counts.held++;
    if (state === STATE.HELD_ASIDE) continue;
    const place = new Place(id);
    // Before it enters, so that it is not listed.
    if (state === STATE.HELD_IN_PLACE) {
      order.rest(place);
      resting.set(id, place);
    } else if (due > now) {
      // A clock that was set back does not make pauses longer.
      pauses.add(place, Math.min(due, now + settings.pause.longest), undefined);
    }
    order.enter(place, JSON.parse(keys) as OrderKeys);
  }
  rows.begin();
  rows.removeUnfinished();
  for (const id of taken) rows.mark(id);
  rows.commit();
  intake.committed();
  return { maybeTwice: taken.length, resting };
}
