/**
 * The durable queues of the balancer, by file. They outlive the configurations: a file that the next one has too stays
 * open, whichever VIP it belongs to then. A queue is closed when no front-end has messages of it in its hands any more.
 */
import type { QueueConfiguration } from './config/queue-configuration.ts';
import type { VipConfiguration } from './config/schema.ts';
import { type NoticeEvent, notice } from './observe/events.ts';
import { openQueue, type Queue } from './queue/queue.ts';

/** The queues of a configuration that is not in force yet. */
export interface OpenedQueues {
  /** undefined: this VIP has none. */
  readonly of: (vip: string) => Queue | undefined;
  /** It is in force: those that were open before go on as it says. */
  commit(): void;
  /** It will not be. */
  rollback(): void;
}

export class Queues {
  readonly #open = new Map<string, Queue>();
  /** Their files are not free yet. */
  readonly #closing = new Map<string, Promise<void>>();
  /** Files of the configuration that is not in force yet. */
  #wanted: ReadonlySet<string> = new Set();

  /** Opens what is not open yet; rejects with GTY_QUEUE, and then what was opened is closed by `closeAllBut`. */
  async open(vips: readonly VipConfiguration[]): Promise<OpenedQueues> {
    const queues = new Map(vips.flatMap((vip) => entriesOf(vip)));
    this.#wanted = new Set([...queues.values()].map(({ file }) => file));
    const forget = () => {
      this.#wanted = new Set();
    };
    const kept = new Set(this.#open.values());
    // Each is waited for, also when another one fails: one that is still opening could not be closed.
    const opened = await Promise.allSettled([...queues.values()].map((queue) => this.#openOne(queue)));
    const failed = opened.find((one) => one.status === 'rejected');
    if (failed) {
      forget();
      throw failed.reason;
    }
    return {
      of: (name) => this.#open.get(queues.get(name)?.file ?? ''),
      commit: () => {
        forget();
        for (const { file, settings } of queues.values()) {
          const queue = this.#open.get(file)!;
          if (kept.has(queue)) queue.reconfigure(settings);
        }
      },
      rollback: forget,
    };
  }

  async #openOne({ file, settings }: QueueConfiguration): Promise<void> {
    if (this.#open.has(file)) return;
    await this.#closing.get(file);
    this.#open.set(file, await openQueue({ file, settings }));
  }

  /** Closes the queues that nobody uses; says so where messages stay behind. */
  closeAllBut(used: ReadonlySet<Queue | undefined>): void {
    for (const [file, queue] of this.#open) {
      if (!used.has(queue) && !this.#wanted.has(file))
        this.#close(
          file,
          queue,
          'warn',
          'no VIP has this durable queue any more: its messages stay in the file',
        );
    }
  }

  /** Closes all. */
  async close(): Promise<void> {
    for (const [file, queue] of this.#open)
      this.#close(file, queue, 'info', 'messages stay in the durable queue until the next start');
    await Promise.all(this.#closing.values());
  }

  #close(file: string, queue: Queue, level: NoticeEvent['level'], ifMessagesStay: string): void {
    this.#open.delete(file);
    this.#closing.set(
      file,
      closeAndTell(queue, level, ifMessagesStay).finally(() => this.#closing.delete(file)),
    );
  }
}

function entriesOf(vip: VipConfiguration): [string, QueueConfiguration][] {
  return vip.protocol === 'hl7' && vip.queue ? [[vip.name, vip.queue]] : [];
}

async function closeAndTell(
  queue: Queue,
  level: NoticeEvent['level'],
  ifMessagesStay: string,
): Promise<void> {
  const depth = await queue.depth().catch(() => undefined);
  await queue.close();
  if (depth === undefined || depth.messages === 0) return;
  const { messages, held } = depth;
  notice(level, ifMessagesStay, { file: queue.file, messages, held });
}
