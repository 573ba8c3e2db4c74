import { expect, test } from 'vitest';
import type { Depth } from '../src/queue/message.ts';
import type { Queue } from '../src/queue/queue.ts';
import { createQueueControl, type QueueControl } from '../src/queue-control.ts';

/** What the control uses of a queue, counted by the test. */
class CountedQueue {
  readonly file = '/var/lib/gantry/orders';
  readonly totals = { stored: 0, delivered: 0 };
  asked = 0;
  readonly answers: ((depth: Depth) => void)[] = [];

  depth(): Promise<Depth> {
    this.asked++;
    return new Promise((resolve) => this.answers.push(resolve));
  }
}

const depth: Depth = { messages: 3, bytes: 300, taken: 1, held: 1, oldest: 1_000_000, fileBytes: 4096 };

/** A clock that the test moves on, a second at a time; what is due then is run. */
function control(queues: ReadonlyMap<string, CountedQueue>): {
  control: QueueControl;
  second: () => void;
} {
  let now = 1_000_000;
  const later = new Map<() => void, number>();
  return {
    control: createQueueControl({
      queues: () => queues as unknown as ReadonlyMap<string, Queue>,
      isVip: () => true,
      now: () => now,
      later: (ms, run) => {
        later.set(run, now + ms);
        return { cancel: () => void later.delete(run) };
      },
    }),
    second() {
      now += 1000;
      for (const [run, due] of [...later]) {
        if (due > now) continue;
        later.delete(run);
        run();
      }
    },
  };
}

const shown = async (queue: CountedQueue, control: QueueControl) => {
  const documents = control.queues();
  for (const answer of queue.answers.splice(0)) answer(depth);
  return (await documents)[0]!;
};

test('rates are means over ten seconds; ages are counted from the oldest', async () => {
  const queue = new CountedQueue();
  const { control: made, second } = control(new Map([['ORDERS', queue]]));
  expect(await shown(queue, made)).toMatchObject({ storedPerSecond: 0, deliveredPerSecond: 0, age: 0 });
  for (let count = 0; count < 30; count++) {
    second();
    queue.totals.stored += 50;
    if (count >= 25) queue.totals.delivered += 10;
  }
  second();
  expect(await shown(queue, made)).toMatchObject({
    stored: 1500,
    storedPerSecond: 50,
    deliveredPerSecond: 5.6,
    age: 31,
    oldest: '1970-01-01T00:16:40.000Z',
  });
  for (let count = 0; count < 12; count++) second();
  expect(await shown(queue, made)).toMatchObject({ storedPerSecond: 0, deliveredPerSecond: 0 });
  made.close();
});

test('a disk that hangs is waited for 2 s, by all who look together', async () => {
  const queue = new CountedQueue();
  const { control: made, second } = control(new Map([['ORDERS', queue]]));
  const looks = [made.queues(), made.queues(), made.depth('ORDERS')] as const;
  for (let count = 0; count < 3; count++) second();
  expect(await Promise.all(looks)).toMatchObject([[{ isReadable: false }], [{ isReadable: false }], null]);
  expect(queue.asked).toBe(1);
  queue.answers[0]!(depth);
  expect(await shown(queue, made)).toMatchObject({ isReadable: true, messages: 3 });
  expect(await made.depth('WEB')).toBeUndefined();
  made.close();
});
