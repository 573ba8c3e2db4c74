/**
 * The durable queue of one VIP, as its front-end sees it. What is stored in one turn of the event loop, or while the
 * disk was busy, is one transaction:
 *
 *     store ─┐                                    ┌─► stored(id)      it is on the disk: acknowledge it
 *     store ─┼─ a batch ─► thread: one commit ────┤
 *     delivered ┘                                 └─► handed(message) its turn came, up to `window` at once
 *                                                        └─► delivered, failed or hold: the next of its patients
 *                                                            goes when that is on the disk
 *
 * The queue only stores and keeps order: which server gets a message, and what its answer means, is not its business.
 */
import { Worker } from 'node:worker_threads';
import { GantryError } from '../errors.ts';
import { notice } from '../observe/events.ts';
import { Batch, type Told } from './batch.ts';
import { Buffers } from './buffers.ts';
import { PIECE_BYTES } from './file.ts';
import { type Remembered, unpackFingerprints } from './fingerprints.ts';
import { type BodyKeeper, IncomingBody } from './incoming-body.ts';
import type {
  Depth,
  Failure,
  HeldMessage,
  KeyMerge,
  NewMessage,
  OrderKeys,
  QueueSettings,
  Stored,
  TakenMessage,
} from './message.ts';
import {
  type Handed,
  isRefused,
  type Opening,
  type Operation,
  type Recalled,
  type Received,
} from './operations.ts';
import { Traffic } from './traffic.ts';
import type { FromThread, ThreadData, ToThread } from './worker.ts';

export interface QueueListener {
  /** The turn of a message came; it is in your hands. Never called from within a call to the queue. */
  handed(message: TakenMessage): void;
  /** It was put in quarantine: refused too often, too old, damaged, or held. */
  quarantined(message: HeldMessage): void;
  /** The thread is gone, and with it the queue until it is opened again; what was stored is in the file. */
  lost(reason: string): void;
}

/** A place in the queue's order of something that is not stored. */
export interface Standing {
  /** It is done with, or not wanted any more: whoever waits behind it goes on. */
  leave(): void;
}

export interface QueueOptions {
  readonly file: string;
  readonly settings: QueueSettings;
  /** May be set later, but before `window` is called. */
  readonly listener?: QueueListener;
}

/** Bytes that may wait for the disk: with more than that it does not keep up, or hangs. */
const MOST_WAITING_BYTES = 64 * 1024 * 1024;

type First = { readonly opening: Opening } | { readonly failure: string };

/**
 * Opens the queue, or makes its file. Nothing is handed out before `window` is called. Rejects with GTY_QUEUE when the
 * file cannot be used; one that is damaged is moved aside, and that is a notice.
 */
export async function openQueue(options: QueueOptions): Promise<Queue> {
  const { file, settings } = options;
  const suffix = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const workerData: ThreadData = { file, settings };
  const program = new URL(`worker.${suffix}`, import.meta.url);
  // Options of this process may not fit a thread.
  const worker = new Worker(program, { workerData, name: 'queue', execArgv: [] });
  const opening = await new Promise<Opening>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (first: First) => {
      worker.off('error', reject);
      if ('opening' in first) resolve(first.opening);
      else reject(new GantryError('GTY_QUEUE', first.failure));
    });
  });
  const { movedAside, messages, maybeTwice, held } = opening;
  if (movedAside !== undefined) {
    notice('error', 'the file of the durable queue is damaged: it was moved aside, and the queue is empty', {
      file,
      movedAside,
    });
  }
  if (messages > 0) notice('info', 'the durable queue has messages', { file, messages, maybeTwice, held });
  const queue = new Queue(worker, options, opening);
  await queue.recall();
  return queue;
}

export class Queue {
  readonly file: string;
  /** What was found in the file. */
  readonly opening: Opening;
  /** Messages since it was opened. */
  readonly totals = { stored: 0, delivered: 0 };
  listener: QueueListener | undefined;
  readonly #worker: Worker;
  readonly #buffers = new Buffers();
  readonly #keeper: BodyKeeper = {
    buffers: this.#buffers,
    traffic: new Traffic(),
    submit: (operation, told) => this.#submit(operation, told),
    store: (message, content, stored) => this.#store(message, content, stored),
  };
  /** What goes to the thread next. */
  #batch = new Batch(this.#buffers);
  /** What the thread has. */
  #sent: Batch | undefined;
  #isScheduled = false;
  readonly #taken = new Set<number>();
  /** What is told to those that stand in order and whose turn has not come, by name. */
  readonly #standing = new Map<number, () => void>();
  /** The next name of a body that is received, or of a standing. */
  #names = 0;
  #remembered: Iterable<Remembered> = [];
  #merges: readonly KeyMerge[] = [];
  /** The thread is gone, or told to go. */
  #isOver = false;
  readonly #gone = Promise.withResolvers<void>();
  #trouble: string | undefined;

  /** Made by `openQueue`. */
  constructor(worker: Worker, options: QueueOptions, opening: Opening) {
    this.#worker = worker;
    this.file = options.file;
    this.opening = opening;
    this.listener = options.listener;
    let reason = 'it ended';
    worker.on('message', (message: FromThread) => this.#told(message));
    worker.on('error', (error) => {
      reason = (error as Error).message;
    });
    worker.on('exit', () => this.#ended(reason));
  }

  /** Keeps a message; `content` is copied at once. */
  store(message: NewMessage, content: Uint8Array, stored: Stored): void {
    if (this.#batch.bytes > 0 && this.#batch.bytes + content.length > MOST_WAITING_BYTES) {
      setImmediate(stored, undefined, 'unavailable');
      return;
    }
    this.#store(message, this.#batch.copy(content), stored);
  }

  /** A body that comes in parts: `write` them, then `store` or `discard`. For those too long to be had in memory. */
  receive(): IncomingBody {
    return new IncomingBody(this.#keeper, this.#names++);
  }

  /**
   * Takes a place in order for what is not stored. `granted`, later: all that was stored before with one of these keys
   * is off the disk. What is stored from now on with one of them waits until the standing leaves, granted or not. A
   * queue that is lost grants nothing.
   */
  stand(keys: OrderKeys, granted: () => void): Standing {
    const standing = this.#names++;
    this.#standing.set(standing, granted);
    this.#submit({ do: 'stand', standing, keys });
    return {
      leave: () => {
        this.#standing.delete(standing);
        this.#submit({ do: 'leave', standing });
      },
    };
  }

  /** So many messages may be in your hands at once. Less than there are: nothing more comes until they are fewer. */
  window(size: number): void {
    this.#submit({ do: 'window', size });
  }

  /** A server is back: those that wait for one do not wait for the end of their pause. */
  hurry(): void {
    this.#submit({ do: 'hurry' });
  }

  reconfigure(settings: QueueSettings): void {
    this.#submit({ do: 'settings', settings });
  }

  /** A server took it: it is removed. */
  delivered(id: number): void {
    this.#release(id);
    this.totals.delivered++;
    this.#submit({ do: 'delivered', id });
  }

  /**
   * It was not delivered: it is handed out again after a pause, or put in quarantine. `reason`: a sentence without
   * patient data, as below.
   */
  failed(id: number, failure: Failure, reason: string): void {
    this.#release(id);
    this.#submit({ do: 'failed', id, failure, reason });
  }

  /** It cannot be delivered: into quarantine. */
  hold(id: number, reason: string): void {
    this.#release(id);
    this.#submit({ do: 'hold', id, reason });
  }

  /**
   * A piece of a body that was handed out without content: 256 KiB, the last one less. Undefined: it is damaged.
   * `giveBack` it, so that its memory is used again.
   */
  async read(id: number, number: number): Promise<Buffer | undefined> {
    const into = this.#buffers.take(PIECE_BYTES);
    return asBuffer(await this.#ask<Uint8Array | undefined>({ do: 'read', id, number, into }));
  }

  /** A piece that was read is not looked at any more. */
  giveBack(piece: Buffer): void {
    this.#buffers.giveBack(piece.buffer as ArrayBuffer);
  }

  /** Part of opening: reads what `takeRemembered` and `takeMerges` give. */
  async recall(): Promise<void> {
    const { remembered, merges } = await this.#ask<Recalled>({ do: 'recall' });
    this.#remembered = unpackFingerprints(remembered);
    this.#merges = merges;
  }

  /** What messages that were stored before the queue was opened have merged, in their order; once. Patient data. */
  takeMerges(): readonly KeyMerge[] {
    const merges = this.#merges;
    this.#merges = [];
    return merges;
  }

  /** Fingerprints of messages that were stored before the queue was opened, in their order; once. */
  takeRemembered(): Iterable<Remembered> {
    const remembered = this.#remembered;
    this.#remembered = [];
    return remembered;
  }

  // Quarantine, by operators. Each rejects with GTY_QUEUE when the file cannot be read or written.

  /** Messages in quarantine with ids above `after`, in order, without bodies. */
  list(after: number, limit: number): Promise<readonly HeldMessage[]> {
    return this.#ask({ do: 'list', after, limit });
  }

  /** The body of a message. Patient data. Undefined: there is no such message, or its body is damaged. */
  async show(id: number): Promise<Buffer | undefined> {
    return asBuffer(await this.#ask<Uint8Array | undefined>({ do: 'show', id }));
  }

  /** Out of quarantine, at its place: before all messages of its patients that wait. False: it is not in quarantine. */
  async release(id: number): Promise<boolean> {
    return (await this.#ask<number | undefined>({ do: 'release', id })) !== undefined;
  }

  /** Out of quarantine, behind all messages that wait. Returns its new id; undefined: it is not in quarantine. */
  replay(id: number): Promise<number | undefined> {
    return this.#ask({ do: 'replay', id });
  }

  /** Removes a message that is in quarantine. False: it is not. */
  async drop(id: number): Promise<boolean> {
    return (await this.#ask<number | undefined>({ do: 'drop', id })) !== undefined;
  }

  depth(): Promise<Depth> {
    return this.#ask({ do: 'depth' });
  }

  /** Resolves when all that was said before is on the disk, or could not be. */
  settled(): Promise<void> {
    return this.#ask({ do: 'settle' });
  }

  /** Writes what it has and gives the file free. Messages in your hands may be delivered twice afterwards. */
  async close(): Promise<void> {
    if (!this.#isOver) await this.settled().catch(() => {});
    if (!this.#isOver) {
      this.#isOver = true;
      this.#worker.postMessage('close' satisfies ToThread);
    }
    await this.#gone.promise;
  }

  #store(message: NewMessage, content: Uint8Array | Received, stored: Stored): void {
    this.#submit({ do: 'store', ...message, content }, (result) => {
      if (isRefused(result)) stored(undefined, result.refusal);
      else {
        this.#works();
        this.totals.stored++;
        stored(result as number, undefined);
      }
    });
  }

  #release(id: number): void {
    if (!this.#taken.delete(id)) throw new Error(`message ${id} was not handed out`);
  }

  #ask<Answer>(operation: Operation): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#submit(operation, (result) => {
        if (!isRefused(result)) resolve(result as Answer);
        else reject(new GantryError('GTY_QUEUE', `the queue ${this.file} cannot be used now`));
      });
    });
  }

  #submit(operation: Operation, told?: Told): void {
    this.#batch.add(operation, told);
    if (this.#sent || this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#send();
    });
  }

  /** The thread is free: it gets all that has come up. */
  #send(): void {
    const batch = this.#batch;
    if (batch.operations.length === 0) return;
    this.#batch = new Batch(this.#buffers);
    if (this.#isOver) {
      for (const told of batch.told) told?.({ refusal: 'unavailable' });
      return;
    }
    this.#sent = batch;
    const { operations, lent, filled } = batch;
    const message: ToThread = { operations, lent };
    this.#worker.postMessage(message, [...lent, ...filled]);
  }

  #told({ outcome, lent }: FromThread): void {
    const { results, handed, granted, quarantined, trouble } = outcome;
    const told = lent ? this.#sent!.told : [];
    if (lent) {
      this.#sent = undefined;
      for (const buffer of lent) this.#buffers.giveBack(buffer);
      // At once, so that the disk works while we do.
      this.#send();
    }
    if (trouble !== undefined) this.#fails(trouble);
    for (const [index, result] of results.entries()) told[index]?.(result);
    for (const message of handed) this.#hand(message);
    for (const message of quarantined) this.listener?.quarantined(message);
    for (const standing of granted) this.#grant(standing);
  }

  #grant(standing: number): void {
    const granted = this.#standing.get(standing);
    this.#standing.delete(standing);
    // It may have left meanwhile.
    granted?.();
  }

  #hand(message: Handed): void {
    this.#taken.add(message.id);
    this.listener!.handed({ ...message, content: asBuffer(message.content) });
  }

  /** Said once, not each time. */
  #fails(trouble: string): void {
    if (this.#trouble === trouble) return;
    this.#trouble = trouble;
    const { file } = this;
    notice('error', 'the durable queue cannot be written: it takes nothing in', { file, reason: trouble });
  }

  #works(): void {
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    notice('info', 'the durable queue can be written again', { file: this.file });
  }

  #ended(reason: string): void {
    const wasTold = this.#isOver;
    this.#isOver = true;
    this.#gone.resolve();
    for (const told of this.#sent?.told ?? []) told?.({ refusal: 'unavailable' });
    this.#sent = undefined;
    this.#send();
    if (!wasTold) this.listener?.lost(reason);
  }
}

function asBuffer(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
