/**
 * Whose turn it is. A message stands in the lane of each of its keys, by its id, and may go when it is the first in all
 * of them; the others of those lanes wait until it leaves. One for the whole queue goes when everything before it has
 * left, and everything behind it waits at a gate.
 *
 *     lane P1:  [A08] [A40] [A08]        A08 of P1 is taken, A40 (P1, P2) waits for it,
 *     lane P2:        [A40] [ORU]        and both lanes go on behind the A40
 *     lane P3:  [ORU]                    may go now
 *
 * One that comes back gets before those with a higher id, but never before one that is taken. This is the index of the
 * file, in memory.
 */
import type { OrderKeys } from './message.ts';

/** A message in order. But for the id, its fields belong to the order. */
export class Place {
  readonly id: number;
  /** Lanes in which somebody is before it. */
  behind = 0;
  lane: Lane | undefined = undefined;
  /** Of a message with several keys: its other lanes. */
  moreLanes: readonly Lane[] | undefined = undefined;
  isAtGate = false;
  /** It is in somebody's hands: nobody gets before it any more. */
  isTaken = false;
  /** It keeps its place and does not go: it pauses, or is in quarantine. */
  isResting = false;
  /** It is in the list of those that may go. */
  isListed = false;

  constructor(id: number) {
    this.id = id;
  }
}

/** A place in order of what is not stored (standings.ts). */
export class Standing extends Place {
  readonly name: number;

  constructor(id: number, name: number) {
    super(id);
    this.name = name;
  }
}

class Lane {
  readonly key: string;
  first: Place;
  /** Those behind the first one, from `head` on. */
  rest: Place[] | undefined = undefined;
  head = 0;

  constructor(key: string, first: Place) {
    this.key = key;
    this.first = first;
  }
}

interface Waiting {
  readonly place: Place;
  readonly id: number;
  readonly keys: OrderKeys;
}

/** Places at the front of a list that were dealt with, before the list is shortened. */
const LONGEST_HEAD = 1024;

export class Order {
  readonly #lanes = new Map<string, Lane>();
  /** Places that stand in lanes, or in none by choice, or are the barrier that goes alone. */
  #inside = 0;
  #barrier: Place | undefined;
  /** A barrier that waits and all behind it. */
  #gate: Waiting[] = [];
  /** Those that may go, perhaps; from `#head` on. */
  readonly #ready: Place[] = [];
  #head = 0;
  /** Of those that are not stored: they do not wait for room in anybody's hands. */
  #readyStandings: Standing[] = [];

  enter(place: Place, keys: OrderKeys): void {
    if (this.#barrier && !this.#barrier.isTaken && place.id < this.#barrier.id) this.#stepBack(this.#barrier);
    const next = this.#gate[0];
    if (
      this.#barrier !== undefined ||
      (next !== undefined && next.id < place.id) ||
      (keys === 'whole' && this.#inside > 0)
    ) {
      this.#waitAtGate(place, keys);
    } else {
      this.#stand(place, keys);
    }
  }

  /** One that may go, and goes now; undefined: nobody may. */
  take(): Place | undefined {
    while (this.#head < this.#ready.length) {
      const place = this.#ready[this.#head++]!;
      if (this.#head === this.#ready.length || this.#head === LONGEST_HEAD) {
        this.#ready.splice(0, this.#head);
        this.#head = 0;
      }
      if (take(place)) return place;
    }
    return undefined;
  }

  /** All standings that may go: they go now. */
  takeStandings(): readonly Standing[] {
    const ready = this.#readyStandings;
    if (ready.length === 0) return ready;
    this.#readyStandings = [];
    return ready.filter(take);
  }

  /** There may be one to take. */
  get hasReady(): boolean {
    return this.#head < this.#ready.length;
  }

  /** Stays where it is and does not go, until it is woken. */
  rest(place: Place): void {
    place.isResting = true;
    if (place.isTaken) this.#giveBack(place);
  }

  /** It rested, or was taken for nothing: it may go when its turn comes. */
  wake(place: Place): void {
    if (place.isTaken) this.#giveBack(place);
    place.isResting = false;
    if (place.behind === 0 && !place.isAtGate) this.#list(place);
  }

  /** It is done with: those behind it move up. */
  leave(place: Place): void {
    place.isTaken = false;
    place.isResting = true;
    if (place.isAtGate) {
      place.isAtGate = false;
      this.#gate = this.#gate.filter((waiting) => waiting.place !== place);
    } else {
      this.#inside--;
      if (this.#barrier === place) this.#barrier = undefined;
      if (place.lane) this.#withdraw(place, place.lane);
      if (place.moreLanes) for (const lane of place.moreLanes) this.#withdraw(place, lane);
      place.lane = undefined;
      place.moreLanes = undefined;
    }
    if (this.#gate.length > 0) this.#open();
  }

  /** It is not taken any more: whoever came back meanwhile and has a lower id gets before it. */
  #giveBack(place: Place): void {
    place.isTaken = false;
    const [waiting] = this.#gate;
    if (place === this.#barrier && waiting && waiting.id < place.id) {
      this.#stepBack(place);
      this.#open();
    }
    for (const lane of place.moreLanes ? [place.lane!, ...place.moreLanes] : [place.lane]) {
      const next = lane?.rest?.[lane.head];
      if (!next || next.id > place.id) continue;
      this.#withdraw(place, lane);
      this.#join(place, lane.key);
    }
  }

  #waitAtGate(place: Place, keys: OrderKeys): void {
    place.isAtGate = true;
    insert(this.#gate, 0, { place, id: place.id, keys });
  }

  /** Somebody came back who was before the barrier that goes next. */
  #stepBack(barrier: Place): void {
    this.#barrier = undefined;
    this.#inside--;
    this.#waitAtGate(barrier, 'whole');
  }

  #stand(place: Place, keys: OrderKeys): void {
    this.#inside++;
    if (keys === 'whole') this.#barrier = place;
    else if (keys.length === 1) place.lane = this.#join(place, keys[0]!);
    else if (keys.length > 1) {
      const [lane, ...more] = [...new Set(keys)].map((key) => this.#join(place, key));
      place.lane = lane;
      if (more.length > 0) place.moreLanes = more;
    }
    if (place.behind === 0) this.#list(place);
  }

  #join(place: Place, key: string): Lane {
    const lane = this.#lanes.get(key);
    if (!lane) {
      const fresh = new Lane(key, place);
      this.#lanes.set(key, fresh);
      return fresh;
    }
    lane.rest ??= [];
    const { first } = lane;
    if (place.id < first.id && !first.isTaken) {
      lane.first = place;
      first.behind++;
      insert(lane.rest, lane.head, first);
    } else {
      place.behind++;
      insert(lane.rest, lane.head, place);
    }
    return lane;
  }

  #withdraw(place: Place, lane: Lane): void {
    const { rest } = lane;
    if (lane.first !== place) {
      rest!.splice(rest!.indexOf(place, lane.head), 1);
    } else if (!rest || lane.head === rest.length) {
      this.#lanes.delete(lane.key);
    } else {
      const next = rest[lane.head++]!;
      lane.first = next;
      if (lane.head === rest.length) {
        lane.rest = undefined;
        lane.head = 0;
      } else if (lane.head === LONGEST_HEAD) {
        rest.splice(0, lane.head);
        lane.head = 0;
      }
      if (--next.behind === 0) this.#list(next);
    }
  }

  #list(place: Place): void {
    if (place.isListed || place.isResting) return;
    place.isListed = true;
    if (place instanceof Standing) this.#readyStandings.push(place);
    else this.#ready.push(place);
  }

  /** Lets in who waits at the gate, up to the next barrier that has somebody before it. */
  #open(): void {
    let admitted = 0;
    for (const { place, keys } of this.#gate) {
      if (this.#barrier || (keys === 'whole' && this.#inside > 0)) break;
      admitted++;
      place.isAtGate = false;
      this.#stand(place, keys);
    }
    if (admitted > 0) this.#gate = this.#gate.slice(admitted);
  }
}

/** Whether one that was listed may go still; then it goes. */
function take(place: Place): boolean {
  place.isListed = false;
  if (place.behind > 0 || place.isResting || place.isAtGate || place.isTaken) return false;
  place.isTaken = true;
  return true;
}

/** Puts `item` where it belongs by its id, at `from` or behind it; nearly always at the end. */
function insert<Item extends { readonly id: number }>(list: Item[], from: number, item: Item): void {
  let low = from;
  let high = list.length;
  if (high === from || list[high - 1]!.id < item.id) low = high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]!.id < item.id) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, item);
}
