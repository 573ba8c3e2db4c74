/**
 * The log line of an HTTP request, written by hand as that of a message is: the same words as pino's lines. Paths name
 * patients and studies, so that they are shown as a keyed hash; queries and fields are not in the event at all.
 */
import type { RequestEvent } from './events.ts';
import { member, quoted, time } from './line-parts.ts';
import type { KeyedHash } from './privacy.ts';

/** `reason` and `detail` are the event's, or what may be shown of them. ASCII only; ends with a line feed. */
export function requestLine(
  event: RequestEvent,
  reason: string | undefined,
  detail: string | undefined,
  hash: KeyedHash,
): string {
  const { path, status, bytes } = event;
  return (
    `{"level":"info","time":"${time()}","vip":${quoted(event.vip)},"client":${quoted(event.client)}` +
    `,"id":${quoted(event.id)},"method":${quoted(event.method)}${member('host', event.host)}` +
    `${path === undefined ? '' : `,"path":"hash:${hash(path)}"`},"version":${quoted(event.version)}` +
    `${status === undefined ? '' : `,"status":${status}`}${member('pool', event.pool)}` +
    `${member('server', event.server)}${member('rule', event.rule)}${member('reason', reason)}` +
    `,"attempts":${event.attempts},"bytes":{"toServer":${bytes.toServer},"toClient":${bytes.toClient}}` +
    `,"ms":${event.ms}${member('detail', detail)},"msg":"request"}\n`
  );
}
