/** The log line of an association, written by hand as that of a message is: the same words as pino's lines. */
import type { AssociationEvent } from './events.ts';
import { member, quoted, time } from './line-parts.ts';

/** `reason` and `detail` are the event's, or what may be shown of them. Ends with a line feed. */
export function associationLine(
  event: AssociationEvent,
  reason: string | undefined,
  detail: string | undefined,
): string {
  const { contexts, bytes } = event;
  return (
    `{"level":"info","time":"${time()}","vip":${quoted(event.vip)},"client":${quoted(event.client)}` +
    `,"calling":${quoted(event.calling)},"called":${quoted(event.called)}${member('pool', event.pool)}` +
    `${member('server', event.server)}${member('rule', event.rule)}${member('reason', reason)}` +
    `,"attempts":${event.attempts},"contexts":{"proposed":${contexts.proposed},"accepted":${contexts.accepted}}` +
    (event.servers ? `,"servers":${JSON.stringify(event.servers)},"replays":${event.replays ?? 0}` : '') +
    `,"operations":${JSON.stringify(event.operations)}` +
    `,"bytes":{"toServer":${bytes.toServer},"toClient":${bytes.toClient}},"ms":${event.ms}` +
    `,"end":"${event.end}"${member('code', event.code)}${member('detail', detail)},"msg":"association"}\n`
  );
}
