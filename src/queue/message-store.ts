/**
 * The queue itself, without its thread: operations in, what became of them and the messages whose turn came out. All
 * operations of one call are one transaction, flushed to the disk before the call returns. Memory - whose turn it is -
 * follows only what was committed:
 *
 *     begin ─► what is owed, who goes next, the operations ─► commit ─► memory changes, results count
 *                                 │
 *                                 └─ no room, a broken disk ─► rolled back: new messages are refused, the rest is tried
 *                                    again without them; what was delivered is owed to the file until it is in it
 *
 * A message is marked as taken before it is handed out, so that after a crash it is known what may go out twice. Whoever
 * comes behind a message goes when its removal is on the disk.
 */
import { FULL, type OpenedFile, PIECE_BYTES, STATE, sqliteCode } from './file.ts';
import { Intake } from './intake.ts';
import { load } from './load.ts';
import type { About, Failure, HeldMessage, OrderKeys, QueueSettings, Refusal } from './message.ts';
import {
  type Handed,
  isInMemory,
  isNew,
  isOwed,
  type Opening,
  type Operation,
  type OperationOf,
  type Outcome,
  type Result,
} from './operations.ts';
import { Order, Place } from './order.ts';
import { Pauses, pauseAfter } from './pauses.ts';
import { heldOf, type MessageRow, Rows } from './rows.ts';
import { Standings } from './standings.ts';

/** Messages, and bytes of them, that are handed out by one transaction. */
const MOST_HANDED = 256;
const MOST_HANDED_BYTES = 8 * 1024 * 1024;
/** Pages that are given back to the file system at once, and that are kept for what comes: 1 MiB, 16 MiB. */
const PAGES_AT_ONCE = 256;
const SPARE_PAGES = 4096;

interface Taken {
  readonly place: Place;
  readonly body: number;
  readonly size: number;
}

type Done = Omit<Outcome, 'granted' | 'quarantined'>;

/** What is to happen in memory when a transaction is on the disk. */
type Effect = () => void;

export class MessageStore {
  readonly opening: Opening;
  readonly #rows: Rows;
  readonly #intake: Intake;
  readonly #order = new Order();
  readonly #pauses: Pauses;
  readonly #standings: Standings;
  #window = 0;
  /** Messages that were handed out, by id. */
  readonly #taken = new Map<number, Taken>();
  /** Those that keep their place in quarantine. */
  readonly #resting: Map<number, Place>;
  /** What the file could not be told yet. */
  #owed: Operation[] = [];
  #effects: Effect[] = [];
  /** Those that the last transaction put there. */
  #quarantined: HeldMessage[] = [];
  #now = 0;

  /** `now`: milliseconds since 1970, here and below. */
  constructor(file: string, { database, movedAside }: OpenedFile, settings: QueueSettings, now: number) {
    this.#rows = new Rows(database);
    this.#intake = new Intake(file, this.#rows, settings);
    this.#pauses = new Pauses(this.#order);
    this.#standings = new Standings(this.#order);
    const { maybeTwice, resting } = load(this.#rows, this.#intake, this.#order, this.#pauses, now);
    this.#resting = resting;
    const { messages, held } = this.#intake.counts;
    this.opening = { movedAside, maybeTwice, messages, held };
  }

  /** Carries out the operations and hands out what may go. Never throws: what went wrong is in the outcome. */
  commit(operations: readonly Operation[], now: number): Outcome {
    if (now < this.#now) this.#pauses.shorten(now + this.#intake.settings.pause.longest);
    this.#now = now;
    this.#pauses.wake(now);
    const outcome = this.#carryOut(operations);
    // Last: the order has heard of all that is on the disk now.
    const quarantined = this.#quarantined;
    this.#quarantined = [];
    return { ...outcome, granted: this.#standings.granted(), quarantined };
  }

  /** Somebody could be handed out now. */
  get hasReady(): boolean {
    return this.#order.hasReady && this.#taken.size < this.#window;
  }

  /** When the next pause ends; Infinity: nobody pauses. */
  get nextDue(): number {
    return this.#pauses.next;
  }

  /** For idle moments: old fingerprints go, and the file becomes shorter. True: there is more of that to do. */
  tidy(now: number): boolean {
    const { ms, entries } = this.#intake.settings.remember;
    try {
      this.#rows.forget(now - ms, entries);
      return this.#rows.shrink(PAGES_AT_ONCE, SPARE_PAGES);
    } catch {
      // The next commit tells what is the matter.
      return false;
    }
  }

  close(): void {
    this.#rows.close();
  }

  // Transactions.

  #carryOut(operations: readonly Operation[]): Done {
    const isIdle = operations.length > 0 && this.#owed.length === 0 && !this.hasReady;
    // No flush for those that only take a place in order, or leave it.
    if (isIdle && operations.every(isInMemory)) {
      for (const operation of operations) this.#inMemory(operation);
      return { results: operations.map(() => undefined), handed: [], trouble: undefined };
    }
    try {
      return this.#transact(operations, true);
    } catch (error) {
      return this.#withoutNew(operations, error);
    }
  }

  #transact(operations: readonly Operation[], handsOut: boolean): Done {
    const picked: Place[] = [];
    let outcome: Done;
    this.#effects = [];
    try {
      this.#rows.begin();
      this.#intake.begin(operations);
      for (const operation of this.#owed) this.#apply(operation);
      // Before the operations: what they bring goes next time, when it is on the disk.
      const handed = handsOut ? this.#handOut(picked) : [];
      const results = operations.map((operation) => this.#apply(operation));
      this.#rows.commit();
      outcome = { results, handed, trouble: undefined };
    } catch (error) {
      this.#rows.rollback();
      this.#intake.rolledBack();
      for (const place of picked) this.#order.wake(place);
      throw error;
    }
    this.#owed = [];
    this.#intake.committed();
    for (const effect of this.#effects) effect();
    return outcome;
  }

  /** The transaction failed: nothing new is taken in; what is done with may still find room. */
  #withoutNew(operations: readonly Operation[], error: unknown): Done {
    const refusal: Refusal = sqliteCode(error) === FULL ? 'no space' : 'unavailable';
    const trouble = (error as Error).message;
    const rest = operations.filter((operation) => !isNew(operation));
    let results: readonly Result[];
    try {
      this.#makeRoom();
      ({ results } = this.#transact(rest, false));
    } catch {
      this.#owed = [...this.#owed, ...rest.filter(isOwed)];
      results = rest.map((operation) => this.#withoutFile(operation, refusal));
    }
    let next = 0;
    const all = operations.map((operation) => (isNew(operation) ? { refusal } : results[next++]));
    return { results: all, handed: [], trouble };
  }

  /** The log that was moved into the database can be written again from its beginning. */
  #makeRoom(): void {
    try {
      this.#rows.checkpoint();
    } catch {
      // Then not.
    }
  }

  /** What can be done while the file cannot be written. */
  #withoutFile(operation: Operation, refusal: Refusal): Result {
    if (isOwed(operation)) return undefined;
    if (!isInMemory(operation)) return { refusal };
    this.#inMemory(operation);
    return undefined;
  }

  #inMemory(operation: Operation): void {
    this.#effects = [];
    this.#apply(operation);
    for (const effect of this.#effects) effect();
  }

  // Handing out.

  /** Takes those whose turn it is. `picked`: filled with all that were looked at. */
  #handOut(picked: Place[]): Handed[] {
    const handed: Handed[] = [];
    let bytes = 0;
    while (this.#taken.size + handed.length < this.#window) {
      if (picked.length === MOST_HANDED || bytes >= MOST_HANDED_BYTES) break;
      const place = this.#order.take();
      if (!place) break;
      picked.push(place);
      const row = this.#rows.message(place.id)!;
      const content = row.size <= PIECE_BYTES ? this.#rows.piece(row.body, 0) : undefined;
      if (row.arrived + this.#intake.settings.maxAge < this.#now) {
        this.#quarantine(place, row, 'it was not delivered within its maximum age');
      } else if (row.size <= PIECE_BYTES && content?.length !== row.size) {
        this.#quarantine(place, row, 'its body is damaged on the disk');
      } else {
        handed.push(this.#hand(place, row, content));
        bytes += content?.length ?? 0;
      }
    }
    return handed;
  }

  #hand(place: Place, row: MessageRow, content: Uint8Array | undefined): Handed {
    const { id, body, size, arrived, attempts, maybe } = row;
    this.#rows.take(id);
    this.#intake.counts.taken++;
    this.#effects.push(() => this.#taken.set(id, { place, body, size }));
    const about = JSON.parse(row.about) as About;
    return { id, about, content, size, arrived, attempts: attempts + 1, maybeTwice: maybe === 1 };
  }

  // Operations.

  #apply(operation: Operation): Result {
    switch (operation.do) {
      case 'store':
        return this.#store(operation);
      case 'piece':
        return this.#intake.piece(operation);
      case 'discard':
        this.#intake.bodies.discard(operation.incoming);
        return undefined;
      case 'delivered':
        return this.#delivered(operation.id);
      case 'failed':
        return this.#failed(operation.id, operation.failure, operation.reason);
      case 'hold':
        return this.#hold(operation.id, operation.reason);
      case 'release':
      case 'replay':
        return this.#release(operation.id, operation.do === 'replay');
      case 'drop':
        return this.#drop(operation.id);
      case 'list':
        return this.#rows.held(operation.after, operation.limit);
      case 'read':
        return this.#intake.bodies.read(operation);
      case 'show':
        return this.#intake.bodies.whole(operation.id);
      case 'recall':
        return this.#rows.recall(this.#now - this.#intake.settings.remember.ms);
      case 'depth':
        return this.#intake.depth();
      case 'stand':
        this.#stand(operation, this.#rows.passingId());
        return undefined;
      case 'leave':
        this.#effects.push(() => this.#standings.leave(operation.standing));
        return undefined;
      case 'window':
        this.#effects.push(() => {
          this.#window = operation.size;
        });
        return undefined;
      case 'hurry':
        this.#effects.push(() => this.#pauses.hurry());
        return undefined;
      case 'settings':
        this.#effects.push(() => {
          this.#intake.settings = operation.settings;
        });
        return undefined;
      case 'settle':
        return undefined;
    }
  }

  #store(operation: OperationOf<'store'>): Result {
    const id = this.#intake.store(operation, this.#now);
    if (typeof id === 'number') this.#effects.push(() => this.#order.enter(new Place(id), operation.keys));
    return id;
  }

  #stand({ standing, keys }: OperationOf<'stand'>, id: number): void {
    this.#effects.push(() => this.#standings.enter(standing, id, keys));
  }

  #delivered(id: number): undefined {
    const { place, body, size } = this.#taken.get(id)!;
    this.#rows.remove(id, body);
    this.#intake.gone(size);
    this.#intake.counts.taken--;
    this.#effects.push(() => {
      this.#taken.delete(id);
      this.#order.leave(place);
    });
  }

  #failed(id: number, failure: Failure, reason: string): undefined {
    const { place } = this.#taken.get(id)!;
    const row = this.#rows.message(id)!;
    const refusals = row.refusals + (failure === 'refused' ? 1 : 0);
    const maybe = failure === 'unanswered' ? 1 : row.maybe;
    const { maxAttempts, pause } = this.#intake.settings;
    this.#intake.counts.taken--;
    if (failure === 'refused' && refusals >= maxAttempts) {
      this.#quarantine(place, { ...row, maybe }, reason);
      return;
    }
    const due = this.#now + pauseAfter(row.attempts, pause);
    this.#rows.pause(id, due, refusals, maybe);
    this.#effects.push(() => {
      this.#taken.delete(id);
      this.#pauses.add(place, due, failure);
    });
  }

  #hold(id: number, reason: string): undefined {
    this.#intake.counts.taken--;
    this.#quarantine(this.#taken.get(id)!.place, this.#rows.message(id)!, reason);
  }

  // Quarantine.

  #quarantine(place: Place, row: MessageRow, reason: string): void {
    const { id, maybe } = row;
    const keepsPlace = this.#intake.settings.onPoison === 'pause';
    this.#rows.hold(id, keepsPlace, reason, maybe);
    this.#intake.counts.held++;
    this.#effects.push(() => {
      this.#taken.delete(id);
      this.#quarantined.push(heldOf({ ...row, reason }, keepsPlace));
      if (keepsPlace) {
        this.#order.rest(place);
        this.#resting.set(id, place);
      } else {
        this.#order.leave(place);
      }
    });
  }

  /** Back at its place, or at the end. Returns its id; undefined: it is not in quarantine. */
  #release(id: number, toTheEnd: boolean): number | undefined {
    const row = this.#heldRow(id);
    if (!row) return undefined;
    const as = toTheEnd ? this.#rows.freshId() : id;
    this.#rows.renew(id, as);
    this.#intake.counts.held--;
    this.#effects.push(() => {
      const place = this.#leaveQuarantine(id);
      if (place && !toTheEnd) {
        this.#order.wake(place);
        return;
      }
      if (place) this.#order.leave(place);
      this.#order.enter(new Place(as), JSON.parse(row.keys) as OrderKeys);
    });
    return as;
  }

  #drop(id: number): number | undefined {
    const row = this.#heldRow(id);
    if (!row) return undefined;
    this.#rows.remove(id, row.body);
    this.#intake.gone(row.size);
    this.#intake.counts.held--;
    this.#effects.push(() => {
      const place = this.#leaveQuarantine(id);
      if (place) this.#order.leave(place);
    });
    return id;
  }

  #heldRow(id: number): MessageRow | undefined {
    const row = this.#rows.message(id);
    return row && row.state >= STATE.HELD_IN_PLACE ? row : undefined;
  }

  /** Returns the place that it kept. */
  #leaveQuarantine(id: number): Place | undefined {
    const place = this.#resting.get(id);
    this.#resting.delete(id);
    return place;
  }
}
