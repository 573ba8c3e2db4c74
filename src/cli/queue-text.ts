/** The durable queues and their quarantine as tables. */
import type { HeldDocument, QueueDocument, VipStatus } from '../admin/documents.ts';
import { durationText } from './duration.ts';
import { formatTable } from './table.ts';

export function queuesText(queues: readonly QueueDocument[]): string {
  return formatTable(
    ['VIP', 'MESSAGES', 'SIZE', 'SENDING', 'QUARANTINE', 'OLDEST', 'IN/S', 'OUT/S', 'FILE'],
    queues.map(
      ({ vip, messages, bytes, taken, held, age, storedPerSecond, deliveredPerSecond, file, isReadable }) => [
        vip,
        countText(messages),
        bytes === null ? '?' : sizeText(bytes),
        countText(taken),
        countText(held),
        isReadable ? ageText(age) : '?',
        String(storedPerSecond),
        String(deliveredPerSecond),
        isReadable ? file : `${file} (cannot be read now)`,
      ],
    ),
  );
}

/** Of the VIPs that have a queue; nothing when none has. `now`: milliseconds since 1970. */
export function vipQueuesText(vips: readonly VipStatus[], now: number): string {
  const rows = vips.flatMap(({ name, queue }) => {
    if (queue === undefined) return [];
    if (queue === null) return [[name, '?', '?', '?', '?', '?', 'its file cannot be read now']];
    const { messages, bytes, taken, held, oldest, file } = queue;
    const age = oldest === null ? null : Math.max(0, now - Date.parse(oldest)) / 1000;
    return [[name, String(messages), sizeText(bytes), String(taken), String(held), ageText(age), file]];
  });
  if (rows.length === 0) return '';
  return formatTable(['QUEUE', 'MESSAGES', 'SIZE', 'SENDING', 'QUARANTINE', 'OLDEST', 'FILE'], rows);
}

export function heldText(messages: readonly HeldDocument[]): string {
  return formatTable(
    ['ID', 'ARRIVED', 'MESSAGE', 'CONTROL ID', 'SENDER', 'SIZE', 'ATTEMPTS', 'REASON'],
    messages.map(
      ({ id, arrived, type, event, controlId, sender, returnTo, size, attempts, maybeTwice, ...why }) => [
        String(id),
        arrived,
        event ? `${type ?? ''}^${event}` : (type ?? '-'),
        controlId ?? '-',
        sender ?? (returnTo === null ? '-' : `answer for ${returnTo}`),
        sizeText(size),
        String(attempts),
        [
          why.reason,
          ...(maybeTwice ? ['may have arrived already'] : []),
          ...(why.keepsPlace ? [] : ['nobody waits for it']),
        ].join('; '),
      ],
    ),
  );
}

function countText(count: number | null): string {
  return count === null ? '?' : String(count);
}

function ageText(seconds: number | null): string {
  return seconds === null ? '-' : durationText(seconds);
}

/** `873 B`, `1.2 KiB`, … */
function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  const size = bytes / 1024 ** power;
  return `${power === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[power]}`;
}
