/**
 * The store beside a model that is too simple to be wrong: a list, searched from the beginning. Messages come, go, fail,
 * are held, released, replayed and dropped, others only stand in order and leave, and the process is killed between any
 * two transactions.
 */
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Failure, HeldMessage, OrderKeys, QueueSettings } from '../../src/queue/message.ts';
import type { MessageStore } from '../../src/queue/message-store.ts';
import type { Operation } from '../../src/queue/operations.ts';
import { pauseAfter } from '../../src/queue/pauses.ts';
import { type HandingBack, type Step, step } from './model-steps.ts';
import { copyAsLeft, openStore, scratchFolder } from './scratch.ts';
import { SETTINGS } from './settings.ts';

interface Known {
  id: number;
  readonly keys: OrderKeys;
  readonly text: string;
  readonly arrived: number;
  state: 'waiting' | 'taken' | 'held in place' | 'held aside';
  due: number;
  attempts: number;
  refusals: number;
  maybeTwice: boolean;
}

/** What only stands in order. */
interface Standing {
  readonly name: number;
  readonly keys: OrderKeys;
  /** Undefined: it is not said yet. Between the ids of messages. */
  id: number | undefined;
  isGranted: boolean;
}

class Comparison {
  readonly #prefix: string;
  readonly #settings: QueueSettings;
  readonly #window: number;
  #file: string;
  #store: MessageStore;
  #known: Known[] = [];
  #standings: Standing[] = [];
  #names = 0;
  #lastId = 0;
  /** Decided, and not yet part of a transaction: the operation, and what it does to the model. */
  #said: { readonly operation: Operation; readonly happens: (result: unknown) => void }[] = [];
  readonly #touched = new Set<Known>();
  readonly #leaving = new Set<Standing>();
  #now = 1_000_000;
  #texts = 0;
  #lives = 0;

  constructor(prefix: string, settings: QueueSettings, window: number) {
    this.#prefix = prefix;
    this.#settings = settings;
    this.#window = window;
    this.#file = `${prefix}0`;
    this.#store = openStore(this.#file, settings, this.#now);
    this.#commit([{ do: 'window', size: window }]);
  }

  run(one: Step): void {
    switch (one.what) {
      case 'store':
        this.#storeOne(one.keys);
        break;
      case 'commit':
        this.#now += one.ms;
        this.#flush();
        break;
      case 'kill':
        this.#kill();
        break;
      case 'stand':
        this.#stand(one.keys);
        break;
      case 'leave':
        this.#leave(one.which);
        break;
      case 'delivered':
      case 'hold':
      case 'failed': {
        const known = this.#pick('taken', one.which);
        if (known) this.#handBack(known, one);
        break;
      }
      default: {
        const known = this.#pick('held', one.which);
        if (known) this.#operate(known, one.what);
      }
    }
  }

  finish(): void {
    this.#flush();
    this.#store.close();
  }

  #pick(state: string, at: number): Known | undefined {
    const fitting = this.#known.filter((known) => known.state.startsWith(state) && !this.#touched.has(known));
    const known = fitting[at % Math.max(fitting.length, 1)];
    if (known) this.#touched.add(known);
    return known;
  }

  #storeOne(its: OrderKeys): void {
    const text = `MSH|^~\\&|invented ${this.#texts++}`;
    const operation: Operation = {
      do: 'store',
      keys: its,
      about: { text },
      fingerprint: undefined,
      content: Buffer.from(text),
    };
    this.#said.push({
      operation,
      happens: (id) => {
        this.#lastId = id as number;
        this.#known.push({
          id: id as number,
          keys: its,
          text,
          arrived: this.#now,
          state: 'waiting',
          due: 0,
          attempts: 0,
          refusals: 0,
          maybeTwice: false,
        });
      },
    });
  }

  #stand(its: OrderKeys): void {
    const standing: Standing = { name: this.#names++, keys: its, id: undefined, isGranted: false };
    this.#standings.push(standing);
    this.#said.push({
      operation: { do: 'stand', standing: standing.name, keys: its },
      happens: () => {
        this.#lastId += 1e-6;
        standing.id = this.#lastId;
      },
    });
  }

  #leave(at: number): void {
    const standing = this.#standings[at % Math.max(this.#standings.length, 1)];
    if (!standing || this.#leaving.has(standing)) return;
    this.#leaving.add(standing);
    this.#said.push({
      operation: { do: 'leave', standing: standing.name },
      happens: () => {
        this.#leaving.delete(standing);
        this.#standings = this.#standings.filter((other) => other !== standing);
      },
    });
  }

  #handBack(known: Known, one: HandingBack): void {
    const { id } = known;
    if (one.what === 'delivered' || (known.keys === 'whole' && this.#settings.onPoison === 'skip')) {
      this.#said.push({ operation: { do: 'delivered', id }, happens: () => this.#forget(known) });
    } else if (one.what === 'failed') {
      const { failure } = one;
      this.#said.push({
        operation: { do: 'failed', id, failure, reason: 'the test says so' },
        happens: () => this.#fail(known, failure),
      });
    } else {
      this.#said.push({
        operation: { do: 'hold', id, reason: 'the test says so' },
        happens: () => this.#hold(known),
      });
    }
  }

  #fail(known: Known, failure: Failure): void {
    if (failure === 'refused') known.refusals++;
    if (failure === 'unanswered') known.maybeTwice = true;
    if (failure === 'refused' && known.refusals >= this.#settings.maxAttempts) {
      this.#hold(known);
    } else {
      known.state = 'waiting';
      known.due = this.#now + pauseAfter(known.attempts, this.#settings.pause);
    }
  }

  #hold(known: Known): void {
    known.state = this.#settings.onPoison === 'pause' ? 'held in place' : 'held aside';
  }

  #forget(known: Known): void {
    this.#known = this.#known.filter((other) => other !== known);
  }

  #operate(known: Known, what: 'release' | 'replay' | 'drop'): void {
    this.#said.push({
      operation: { do: what, id: known.id },
      happens: (id) => {
        if (what === 'drop') {
          this.#forget(known);
          return;
        }
        known.id = id as number;
        this.#lastId = Math.max(this.#lastId, known.id);
        known.state = 'waiting';
        known.due = 0;
        known.refusals = 0;
      },
    });
  }

  /** One transaction with all that was said, and as many without as it takes until nobody is handed out. */
  #flush(): void {
    const said = this.#said;
    this.#said = [];
    this.#touched.clear();
    this.#commit(
      said.map(({ operation }) => operation),
      said.map(({ happens }) => happens),
    );
    // Nobody is handed out while one is put in quarantine for its age.
    while (this.#commit([]) > 0 || this.#store.hasReady);
    this.#compare();
  }

  #commit(operations: Operation[], happenings: ((result: unknown) => void)[] = []): number {
    // Those that only stand in order need no transaction, and get none.
    if (operations.length > 0 && operations.every(({ do: what }) => what === 'stand' || what === 'leave')) {
      if (!this.#store.hasReady && this.#store.nextDue > this.#now)
        return this.#standOnly(operations, happenings);
    }
    // The list is made when others were handed out, and before the operations.
    const list: Operation = { do: 'list', after: 0, limit: 1000 };
    const { results, handed, granted, trouble } = this.#store.commit([list, ...operations], this.#now);
    expect(trouble).toBeUndefined();
    this.#noteTooOld(results[0] as HeldMessage[]);
    for (const message of handed) {
      const known = this.#known.find(({ id }) => id === message.id)!;
      expect(this.#inTheWayOf(known)).toEqual([]);
      expect(known.state).toBe('waiting');
      known.state = 'taken';
      known.attempts++;
      const { attempts, maybeTwice, arrived } = message;
      expect({ attempts, maybeTwice, arrived }).toEqual({
        attempts: known.attempts,
        maybeTwice: known.maybeTwice,
        arrived: known.arrived,
      });
      expect(Buffer.from(message.content!).toString()).toBe(known.text);
      expect(message.about).toEqual({ text: known.text });
    }
    for (const [index, happens] of happenings.entries()) happens(results[index + 1]);
    this.#compareGranted(granted);
    return handed.length;
  }

  #standOnly(operations: readonly Operation[], happenings: ((result: unknown) => void)[]): number {
    const { handed, granted } = this.#store.commit(operations, this.#now);
    expect(handed).toEqual([]);
    for (const happens of happenings) happens(undefined);
    this.#compareGranted(granted);
    return 0;
  }

  /** Who stands in order is told as soon as nobody is in its way, however many are handed out, and only then. */
  #compareGranted(granted: readonly number[]): void {
    const mayGo = this.#standings.filter(
      (standing) =>
        standing.id !== undefined && !standing.isGranted && this.#inTheWayOf(standing).length === 0,
    );
    expect(granted.toSorted((one, other) => one - other)).toEqual(mayGo.map(({ name }) => name));
    for (const standing of mayGo) standing.isGranted = true;
  }

  /** Messages that were put in quarantine for their age, before the others were handed out. */
  #noteTooOld(list: readonly HeldMessage[]): void {
    for (const held of list) {
      const known = this.#known.find(({ id }) => id === held.id)!;
      if (held.reason !== 'it was not delivered within its maximum age' || known.state !== 'waiting')
        continue;
      expect(known.arrived + this.#settings.maxAge).toBeLessThan(this.#now);
      this.#hold(known);
    }
  }

  /** What has to be done with before this one may go. */
  #inTheWayOf(one: Known | Standing): (Known | Standing)[] {
    const standings = this.#standings.filter(({ id }) => id !== undefined);
    return [...this.#known.filter(({ state }) => state !== 'held aside'), ...standings].filter(
      (other) =>
        other !== one &&
        (other.id! < one.id! || isUnderWay(other)) &&
        (other.keys === 'whole' || one.keys === 'whole' || other.keys.some((key) => one.keys.includes(key))),
    );
  }

  #compare(): void {
    const { results } = this.#store.commit(
      [{ do: 'depth' }, { do: 'list', after: 0, limit: 1000 }],
      this.#now,
    );
    const held = this.#known.filter(({ state }) => state.startsWith('held'));
    const taken = this.#known.filter(({ state }) => state === 'taken');
    expect(results[0]).toMatchObject({
      messages: this.#known.length,
      bytes: this.#known.reduce((sum, { text }) => sum + text.length, 0),
      held: held.length,
      taken: taken.length,
    });
    expect((results[1] as HeldMessage[]).map(({ id }) => id)).toEqual(
      held.map(({ id }) => id).toSorted((one, other) => one - other),
    );
    if (taken.length >= this.#window) return;
    const mayGo = this.#known.filter(
      (known) => known.state === 'waiting' && known.due <= this.#now && this.#inTheWayOf(known).length === 0,
    );
    expect(mayGo).toEqual([]);
  }

  /** What was only said is lost; what is in the file is there again. */
  #kill(): void {
    const next = `${this.#prefix}${++this.#lives}`;
    copyAsLeft(this.#file, next);
    this.#store.close();
    this.#file = next;
    this.#said = [];
    this.#touched.clear();
    this.#standings = [];
    this.#leaving.clear();
    this.#store = openStore(this.#file, this.#settings, this.#now);
    for (const known of this.#known) {
      if (known.state !== 'taken') continue;
      known.state = 'waiting';
      known.due = 0;
      known.maybeTwice = true;
    }
    this.#commit([{ do: 'window', size: this.#window }]);
  }
}

/** Nobody gets before it any more. */
function isUnderWay(one: Known | Standing): boolean {
  return 'isGranted' in one ? one.isGranted : one.state === 'taken';
}

test.each(['pause', 'skip'] as const)(
  'nothing stored is lost, order is kept for each patient, and what may go out twice is marked (%s)',
  (onPoison) => {
    const folder = scratchFolder();
    let runs = 0;
    const settings: QueueSettings = {
      ...SETTINGS,
      onPoison,
      maxAttempts: 3,
      maxAge: 20_000,
      pause: { first: 40, longest: 2000 },
    };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(step, { maxLength: 120, size: 'max' }),
        (window, steps) => {
          const comparison = new Comparison(join(folder, `${++runs}-`), settings, window);
          for (const one of steps) comparison.run(one);
          comparison.finish();
        },
      ),
      { numRuns: 100 },
    );
  },
  // Thousands of transactions: as long as the disk takes for them.
  300_000,
);
