/** A VIP with `protocol: hl7`: how it behaves, and the queue that it has with `delivery: store`. */
import { resolve } from 'node:path';
import type { File } from './file-schema.ts';
import type { FileVip } from './findings.ts';
import { hl7Schema } from './hl7-schema.ts';
import type { Hl7Timeouts, Hl7Vip, VipCommon } from './schema.ts';
import { closest } from './timeouts-schema.ts';

const TIMEOUTS: Hl7Timeouts = { connect: 2000, stall: 60_000, idle: undefined };

/** Repetitions are recognised among so many messages. */
const MOST_REMEMBERED = 200_000;
/** Milliseconds before a message that was not delivered is tried again: doubled each time. */
const PAUSE = { first: 1000, longest: 60_000 };

/** `folder`: what paths are relative to. */
export function normaliseHl7(vip: FileVip, common: VipCommon, file: File, folder: string): Hl7Vip {
  const { delivery, queue, ackOnStore, returnTo, duplicates, ackTimeout, ...rest } =
    vip.hl7 ?? hl7Schema.parse({});
  const { maxAge, maxAttempts, onPoison, ...settings } = rest;
  const remember = { ms: duplicates, entries: MOST_REMEMBERED };
  const stores = delivery === 'store';
  return {
    ...common,
    protocol: 'hl7',
    hl7: {
      ...settings,
      ackTimeout,
      duplicates: remember,
      store: stores
        ? { ackOnStore, returnTo: returnTo ?? { default: undefined, byApplication: {} } }
        : undefined,
      timeouts: closest(TIMEOUTS, file.timeouts, vip.timeouts),
    },
    queue:
      stores && queue
        ? {
            file: resolve(folder, queue.file),
            settings: {
              mostMessages: queue.messages,
              mostBytes: queue.size,
              reserve: queue.reserve,
              maxAge,
              maxAttempts,
              onPoison,
              pause: PAUSE,
              remember,
            },
          }
        : undefined,
  };
}
