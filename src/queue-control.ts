/** The durable queues for the admin API: how full and how busy they are, and the way to their quarantine. */
import type { QueueStatus } from './admin/documents.ts';
import type { QueueSource } from './admin/queues.ts';
import type { Depth } from './queue/message.ts';
import type { Queue } from './queue/queue.ts';

export interface QueueControl extends QueueSource {
  /** What is in the queue of a VIP; undefined: it has none, null: its file cannot be read now. */
  readonly depth: (vip: string) => Promise<QueueStatus | null | undefined>;
  /** Counts no more. */
  readonly close: () => void;
}

export interface QueueControlOptions {
  /** Those that are open, by VIP. */
  readonly queues: () => ReadonlyMap<string, Queue>;
  readonly isVip: (name: string) => boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly later: (ms: number, run: () => void) => { cancel(): void };
}

/** What a disk that hangs may take of the time of whoever looks. */
const PATIENCE_MS = 2000;
/** Rates are means over this many looks, so far apart. */
const SAMPLES = 10;
const BETWEEN_SAMPLES_MS = 1000;

interface Sample {
  readonly at: number;
  readonly stored: number;
  readonly delivered: number;
}

export function createQueueControl({ queues, isVip, now, later }: QueueControlOptions): QueueControl {
  /** The latest, oldest first. */
  const samples = new WeakMap<Queue, Sample[]>();
  /** Asked and not answered. */
  const asked = new WeakMap<Queue, Promise<Depth | undefined>>();
  let timer = later(BETWEEN_SAMPLES_MS, count);

  function count(): void {
    for (const queue of queues().values()) {
      const latest = samples.get(queue) ?? [];
      latest.push({ at: now(), ...queue.totals });
      if (latest.length > SAMPLES) latest.shift();
      samples.set(queue, latest);
    }
    timer = later(BETWEEN_SAMPLES_MS, count);
  }

  function rates(queue: Queue): { storedPerSecond: number; deliveredPerSecond: number } {
    const first = samples.get(queue)?.[0];
    const seconds = first ? (now() - first.at) / 1000 : 0;
    const rate = (what: 'stored' | 'delivered') =>
      first && seconds > 0 ? Math.round(((queue.totals[what] - first[what]) / seconds) * 10) / 10 : 0;
    return { storedPerSecond: rate('stored'), deliveredPerSecond: rate('delivered') };
  }

  /** undefined: the file cannot be read, or not in time. */
  function depthOf(queue: Queue): Promise<Depth | undefined> {
    let answer = asked.get(queue);
    if (!answer) {
      answer = queue
        .depth()
        .catch(() => undefined)
        .finally(() => asked.delete(queue));
      asked.set(queue, answer);
    }
    return new Promise((resolve) => {
      const patience = later(PATIENCE_MS, () => resolve(undefined));
      void answer.then((depth) => {
        patience.cancel();
        resolve(depth);
      });
    });
  }

  return {
    quarantine: (vip) => queues().get(vip) ?? (isVip(vip) ? 'no queue' : 'no VIP'),
    queues: () =>
      Promise.all(
        [...queues()].map(async ([vip, queue]) => {
          const depth = await depthOf(queue);
          const { messages = null, bytes = null, taken = null, held = null, fileBytes = null } = depth ?? {};
          return {
            vip,
            file: queue.file,
            isReadable: depth !== undefined,
            messages,
            bytes,
            taken,
            held,
            oldest: timeOf(depth?.oldest),
            age: depth?.oldest === undefined ? null : Math.max(0, Math.floor((now() - depth.oldest) / 1000)),
            fileBytes,
            ...queue.totals,
            ...rates(queue),
          };
        }),
      ),
    async depth(vip) {
      const queue = queues().get(vip);
      if (!queue) return undefined;
      const depth = await depthOf(queue);
      return depth ? { file: queue.file, ...depth, oldest: timeOf(depth.oldest) } : null;
    },
    close: () => timer.cancel(),
  };
}

function timeOf(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : new Date(milliseconds).toISOString();
}
