/** An admin API over durable queues that have messages in quarantine, and whoever asks it. */
import { request } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { type Admin, type AdminSource, createAdmin } from '../../src/admin/admin.ts';
import type { StatusDocument } from '../../src/admin/documents.ts';
import { createKeyedHash } from '../../src/observe/privacy.ts';
import { USUAL_SETTINGS } from '../../src/queue/message.ts';
import { openQueue, type Queue } from '../../src/queue/queue.ts';
import { createQueueControl } from '../../src/queue-control.ts';
import { createDeadlines } from '../../src/relay/deadlines.ts';
import { scratchFolder } from '../queue/scratch.ts';
import { within } from './waiting.ts';

const status: StatusDocument = { version: '0.1.0', uptime: 12, vips: [], pools: [] };

/** A balancer that has nothing to tell. */
export const idle: AdminSource = {
  ready: () => true,
  status: () => status,
  connections: () => [],
  change: () => undefined,
  reload: async () => ({ done: { changes: [] } }),
  entries: () => [],
  clear: () => {},
  queues: async () => [],
  quarantine: () => 'no VIP',
};

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
  /** The same as text. */
  readonly body: string;
}

export async function askAdmin(
  { host, port }: Admin['endpoint'],
  path: string,
  method = 'GET',
  headers: Readonly<Record<string, string>> = {},
  body?: object,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request({ port, host, path, method, headers }, (answer) => {
    buffer(answer).then((bytes) => {
      const { statusCode, headers: heads } = answer;
      resolve({ status: statusCode!, headers: heads, bytes, body: bytes.toString() });
    }, reject);
  });
  asked.on('error', reject).end(body && JSON.stringify(body));
  return promise;
}

/** Words on one message; everything is invented. */
export interface Poison {
  readonly controlId: string;
  readonly reason?: string;
  readonly body?: string;
  readonly about?: Readonly<Record<string, string>>;
}

/** Opens a queue and puts these messages in quarantine: their ids are 1, 2, … Closed when the test is over. */
export async function openQuarantine(...messages: readonly Poison[]): Promise<Queue> {
  const held: number[] = [];
  const done = Promise.withResolvers<void>();
  const reasons = new Map<number, string>();
  const settings = { ...USUAL_SETTINGS, reserve: 0 };
  const queue = await openQueue({ file: join(scratchFolder(), 'queue'), settings });
  onTestFinished(() => queue.close());
  queue.listener = {
    handed({ id }) {
      queue.hold(id, reasons.get(id) ?? 'AE from ris/a');
      held.push(id);
      if (held.length === messages.length) done.resolve();
    },
    quarantined: () => {},
    lost: (reason) => done.reject(new Error(reason)),
  };
  for (const {
    controlId,
    reason,
    body = `MSH|^~\\&|LAB|NORTH|||||ORU^R01|${controlId}\r`,
    about,
  } of messages) {
    await new Promise<void>((resolve, reject) => {
      const what = {
        type: 'ORU',
        event: 'R01',
        controlId,
        sender: 'LAB^NORTH',
        client: '10.0.0.7',
        ...about,
      };
      queue.store({ keys: [controlId], about: what }, Buffer.from(body, 'latin1'), (id, refusal) => {
        if (id === undefined) reject(new Error(refusal));
        else {
          if (reason !== undefined) reasons.set(id, reason);
          resolve();
        }
      });
    });
  }
  queue.window(1);
  if (messages.length > 0) await within(done.promise, 'messages in quarantine');
  queue.window(0);
  await queue.settled();
  return queue;
}

export interface QueueAdmin {
  readonly admin: Admin;
  readonly ask: (
    path: string,
    method?: string,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Answer>;
}

/** The admin API over these queues, by VIP; `WEB` is a VIP without one. Closed when the test is over. */
export async function startQueueAdmin(
  queues: Readonly<Record<string, Queue>>,
  token?: string,
  source: Partial<AdminSource> = {},
): Promise<QueueAdmin> {
  const deadlines = createDeadlines();
  const byVip = new Map(Object.entries(queues));
  const control = createQueueControl({
    queues: () => byVip,
    isVip: (name) => name === 'WEB' || byVip.has(name),
    now: Date.now,
    later: (ms, run) => deadlines.after(ms, run),
  });
  const admin = await createAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    token,
    hash: createKeyedHash(),
    hashUids: false,
    source: { ...idle, ...control, ...source },
  });
  onTestFinished(async () => {
    control.close();
    await admin.close();
    deadlines.close();
  });
  return { admin, ask: (path, method, headers) => askAdmin(admin.endpoint, path, method, headers) };
}
