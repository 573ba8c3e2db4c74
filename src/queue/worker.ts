/**
 * The queue's thread: it waits for the disk, so that nobody else has to. What came while it waited is its next
 * transaction.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { openFile } from './file.ts';
import type { QueueSettings } from './message.ts';
import { MessageStore } from './message-store.ts';
import type { Operation, Outcome } from './operations.ts';

/** What the thread is started with. */
export interface ThreadData {
  readonly file: string;
  readonly settings: QueueSettings;
}

/** `lent`: what the bytes of the operations are in. */
export type ToThread = { readonly operations: readonly Operation[]; readonly lent: ArrayBuffer[] } | 'close';

/** Without `lent` it is no answer: something happened by itself. */
export interface FromThread {
  readonly outcome: Outcome;
  readonly lent: ArrayBuffer[] | undefined;
}

/** Milliseconds between two looks at what is left to do in the file; while there is more; and after trouble. */
const TIDY_MS = 1000;
const TIDY_MORE_MS = 20;
/** So many times as long as it took, nothing is done for the file's sake. */
const TIDY_REST = 9;
const TROUBLE_MS = 500;
/** Milliseconds: a timer cannot be set to more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const port = parentPort!;
const { file, settings } = workerData as ThreadData;

function start(): void {
  let store: MessageStore;
  try {
    store = new MessageStore(file, openFile(file), settings, Date.now());
  } catch (error) {
    port.postMessage({ failure: (error as Error).message });
    return;
  }
  port.postMessage({ opening: store.opening });
  serve(store);
}

function serve(store: MessageStore): void {
  let next: NodeJS.Timeout | undefined;
  /** After trouble: what comes meanwhile does not put it off. */
  let again: NodeJS.Timeout | undefined;
  let soon: NodeJS.Immediate | undefined;
  let tidying = setTimeout(tidy, TIDY_MS);

  port.on('message', (message: ToThread) => {
    if (message !== 'close') {
      answer(store.commit(message.operations, Date.now()), message.lent);
      return;
    }
    clearTimeout(next);
    clearTimeout(again);
    clearTimeout(tidying);
    clearImmediate(soon);
    store.close();
    port.close();
  });

  function answer(outcome: Outcome, lent?: ArrayBuffer[]): void {
    const { handed, granted, quarantined } = outcome;
    const isNews = handed.length + granted.length + quarantined.length > 0;
    if (lent || isNews) {
      const message: FromThread = { outcome, lent };
      port.postMessage(message, [...(lent ?? []), ...buffersOf(outcome)]);
    }
    clearTimeout(next);
    clearImmediate(soon);
    if (outcome.trouble !== undefined) {
      again ??= setTimeout(goOn, TROUBLE_MS);
    } else if (store.hasReady) {
      // Operations that came meanwhile are taken along.
      soon = setImmediate(goOn);
    } else if (store.nextDue < Infinity) {
      const ms = Math.min(Math.max(store.nextDue - Date.now(), 1), LONGEST_TIMER_MS);
      next = setTimeout(goOn, ms);
    }
  }

  function goOn(): void {
    clearTimeout(again);
    again = undefined;
    answer(store.commit([], Date.now()));
  }

  function tidy(): void {
    const began = performance.now();
    const isMore = !store.hasReady && store.tidy(Date.now());
    const took = performance.now() - began;
    tidying = setTimeout(tidy, isMore ? Math.max(TIDY_MORE_MS, took * TIDY_REST) : TIDY_MS);
  }
}

/** Bodies change threads without being copied. */
function buffersOf({ results, handed }: Outcome): ArrayBuffer[] {
  const bodies = [...results, ...handed.map(({ content }) => content)];
  return bodies.flatMap((body) => (body instanceof Uint8Array ? [body.buffer as ArrayBuffer] : []));
}

start();
