/** Front-ends with a durable queue, for tests. */
import { onTestFinished } from 'vitest';
import type { QueueSettings } from '../../../src/queue/message.ts';
import { openQueue, type Queue } from '../../../src/queue/queue.ts';
import { hl7Message, type MessageOptions } from '../../peers/hl7-messages.ts';
import { createGate, type Gate } from '../../peers/waiting.ts';
import { SETTINGS } from '../../queue/settings.ts';
import { patience, type Sketch, startHl7, type TestFrontEnd } from './start-front-end.ts';

const STORE = { ackOnStore: undefined, returnTo: { default: undefined, byApplication: {} } } as const;

export async function queueAt(file: string, settings: Partial<QueueSettings> = {}): Promise<Queue> {
  const pause = { first: 20, longest: 100 };
  const queue = await openQueue({ file, settings: { ...SETTINGS, pause, ...settings } });
  onTestFinished(() => queue.close());
  return queue;
}

export function storing(queue: Queue, sketch: Sketch): Promise<TestFrontEnd> {
  const hl7 = { store: STORE, ...sketch.hl7 };
  return startHl7({ ...sketch, hl7, more: { queue, ...sketch.more } });
}

/** Enhanced mode: CA is wanted, and nothing of the application. */
export function commit(controlId: string, more: Partial<MessageOptions> = {}): Buffer {
  return hl7Message({
    controlId,
    acceptAcknowledgement: 'AL',
    applicationAcknowledgement: 'NE',
    ...more,
  });
}

/** From now on a message has so many milliseconds: what is stored before has as long as the disk takes. */
export function hasten({ frontEnd, options }: TestFrontEnd, ms: number): void {
  frontEnd.reconfigure({ ...options, hl7: { ...options.hl7, senderTimeout: patience(ms) } });
}

/** The queue says only when the gate opens what became of what it keeps. */
export function slowDisk(queue: Queue): Gate {
  const gate = createGate();
  const store = queue.store.bind(queue);
  queue.store = (message, content, stored) =>
    store(message, content, (...told) => void gate.opened.then(() => stored(...told)));
  return gate;
}
