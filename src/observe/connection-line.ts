/** The log line of a TCP connection, written by hand as that of a message is: the same words as pino's lines. */
import type { ConnectionEvent } from './events.ts';
import { member, quoted, time } from './line-parts.ts';

/** `reason` and `detail` are the event's, or what may be shown of them. ASCII only; ends with a line feed. */
export function connectionLine(
  event: ConnectionEvent,
  reason: string | undefined,
  detail: string | undefined,
): string {
  const { bytes } = event;
  return (
    `{"level":"info","time":"${time()}","vip":${quoted(event.vip)},"client":${quoted(event.client)}` +
    `,"port":${event.port}${member('pool', event.pool)}${member('server', event.server)}` +
    `${member('rule', event.rule)}${member('reason', reason)},"attempts":${event.attempts}` +
    `,"bytes":{"toServer":${bytes.toServer},"toClient":${bytes.toClient}},"ms":${event.ms}` +
    `,"end":"${event.end}"${member('detail', detail)},"msg":"connection"}\n`
  );
}
