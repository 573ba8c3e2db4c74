/**
 * The log line of an HL7 message, written by hand: there is one per message, and pino takes as long for it as the
 * front-end for the message itself. The same words in the same order as pino's lines.
 */
import type { MessageEvent } from './events.ts';
import { member, quoted, time } from './line-parts.ts';

/** `reason` and `detail` are the event's, or what may be shown of them. Ends with a line feed. */
export function messageLine(
  event: MessageEvent,
  reason: string | undefined,
  detail: string | undefined,
): string {
  return (
    `{"level":"info","time":"${time()}","vip":${quoted(event.vip)},"client":${quoted(event.client)}` +
    `,"type":${quoted(event.type)},"event":${quoted(event.event)},"controlId":${quoted(event.controlId)}` +
    `,"sender":${quoted(event.sender)}${member('pool', event.pool)}${member('server', event.server)}` +
    `${member('rule', event.rule)}${member('reason', reason)},"attempts":${event.attempts}` +
    `${member('acknowledgement', event.acknowledgement)},"outcome":${quoted(event.outcome)}` +
    `${member('detail', detail)},"bytes":${event.bytes},"ms":${event.ms},"msg":"message"}\n`
  );
}
