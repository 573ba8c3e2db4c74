/**
 * Order. A message stands in the lane of each of its keys (a patient, a sender) and goes when it is first in all of
 * them; the others of those lanes wait until it leaves. A barrier over the whole VIP goes when everything before it
 * has left, and everything behind it waits. Who enters later never overtakes, so nothing can wait in a circle.
 *
 *     lane P1:  [A08] [A40] [A08]        A08 of P1 is on its way, A40 (P1, P2) waits for it,
 *     lane P2:        [A40] [ORU]        and both lanes go on behind the A40
 *     lane P3:  [ORU]                    nobody else is held up
 *
 * A lane also remembers where its last message went, so that its messages go to one server while any is in flight or
 * queued. Keys live here and nowhere else: a lane that empties is forgotten.
 */

/** The key of a message that everything before and behind it is kept apart from. */
export const WHOLE_VIP = Symbol('whole VIP');

/** One key, several, none (`[]`: no order, yet a whole-VIP barrier counts it), or the whole VIP. */
export type OrderKeys = string | readonly string[] | typeof WHOLE_VIP;

/** What waits for its turn. The fields `lane` to `behind` belong to the lanes. */
export interface Turn<Place> {
  readonly keys: OrderKeys;
  lane: Lane<Place> | undefined;
  /** Of a message with several keys: its other lanes. */
  moreLanes: readonly Lane<Place>[] | undefined;
  /** Lanes in which somebody is still before it. */
  behind: number;
  /** It may go now. Called at most once, and never from within `enter`. */
  go(): void;
}

export interface Lane<Place> {
  /** Where its messages go while there are any. */
  place: Place | undefined;
}

class PatientLane<Place> implements Lane<Place> {
  key = '';
  place: Place | undefined = undefined;
  /** Those behind the first one, from `head` on. */
  readonly waiting: Turn<Place>[] = [];
  head = 0;
}

/** Empty lanes kept for use again. */
const SPARE = 256;

export class Lanes<Place> {
  readonly #lanes = new Map<string, PatientLane<Place>>();
  readonly #spare: PatientLane<Place>[] = [];
  /** Turns that entered a lane, or none by choice, and did not leave. */
  #inside = 0;
  /** A whole-VIP barrier and all behind it, in order of arrival. */
  #gate: Turn<Place>[] = [];
  #barrierInside = false;
  /** Turns found ready while leaving; worked off in a loop, since each may leave at once. */
  readonly #ready: Turn<Place>[] = [];
  #working = false;

  /** Messages that entered and did not leave. */
  get size(): number {
    return this.#inside + this.#gate.length;
  }

  /** Takes a place in order. True: it may go at once, and `go` will not be called. */
  enter(turn: Turn<Place>): boolean {
    if (this.#barrierInside || this.#gate.length > 0 || (turn.keys === WHOLE_VIP && this.#inside > 0)) {
      this.#gate.push(turn);
      return false;
    }
    return this.#stand(turn);
  }

  /** It is done with, having gone: whoever waited for it may go. */
  leave(turn: Turn<Place>): void {
    this.#inside--;
    if (turn.keys === WHOLE_VIP) this.#barrierInside = false;
    if (turn.lane) this.#step(turn.lane as PatientLane<Place>);
    if (turn.moreLanes) for (const lane of turn.moreLanes) this.#step(lane as PatientLane<Place>);
    turn.lane = undefined;
    turn.moreLanes = undefined;
    if (this.#gate.length > 0) this.#open();
    if (this.#ready.length > 0 && !this.#working) this.#work();
  }

  #stand(turn: Turn<Place>): boolean {
    this.#inside++;
    const { keys } = turn;
    if (typeof keys === 'string') {
      turn.lane = this.#join(turn, keys);
    } else if (keys === WHOLE_VIP) {
      this.#barrierInside = true;
    } else {
      const lanes = [...new Set(keys)].map((key) => this.#join(turn, key));
      turn.lane = lanes.shift();
      turn.moreLanes = lanes;
    }
    return turn.behind === 0;
  }

  #join(turn: Turn<Place>, key: string): PatientLane<Place> {
    const lane = this.#lanes.get(key);
    if (lane) {
      lane.waiting.push(turn);
      turn.behind++;
      return lane;
    }
    const fresh = this.#spare.pop() ?? new PatientLane<Place>();
    fresh.key = key;
    this.#lanes.set(key, fresh);
    return fresh;
  }

  /** The first of a lane left: the next is first, or the lane is forgotten. */
  #step(lane: PatientLane<Place>): void {
    const { waiting } = lane;
    if (lane.head < waiting.length) {
      const next = waiting[lane.head++]!;
      if (lane.head === waiting.length || lane.head === 1024) {
        waiting.splice(0, lane.head);
        lane.head = 0;
      }
      if (--next.behind === 0) this.#ready.push(next);
      return;
    }
    this.#lanes.delete(lane.key);
    lane.key = '';
    lane.place = undefined;
    if (this.#spare.length < SPARE) this.#spare.push(lane);
  }

  /** Lets in who waits at the gate, up to the next barrier that has somebody before it. */
  #open(): void {
    let admitted = 0;
    for (const turn of this.#gate) {
      if (this.#barrierInside || (turn.keys === WHOLE_VIP && this.#inside > 0)) break;
      admitted++;
      if (this.#stand(turn)) this.#ready.push(turn);
    }
    if (admitted > 0) this.#gate = this.#gate.slice(admitted);
  }

  #work(): void {
    this.#working = true;
    try {
      for (let turn = this.#ready.shift(); turn; turn = this.#ready.shift()) turn.go();
    } finally {
      this.#working = false;
    }
  }
}
