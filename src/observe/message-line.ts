/**
 * The log line of an HL7 message, written by hand: there is one per message, and pino takes as long for it as the
 * front-end for the message itself. The same words in the same order as pino's lines.
 */
import type { MessageEvent } from './events.ts';
import { member, quoted, time } from './line-parts.ts';

/**
 * Most lines differ from the one before in little more than the control id and the numbers. What is alike is kept as
 * text: from `vip` to `event`, and from `sender` to `detail`.
 */
interface Kept {
  readonly event: MessageEvent;
  readonly reason: string | undefined;
  readonly detail: string | undefined;
  readonly head: string;
  readonly tail: string;
}

let kept: Kept | undefined;

/** `reason` and `detail` are the event's, or what may be shown of them. ASCII only; ends with a line feed. */
export function messageLine(
  event: MessageEvent,
  reason: string | undefined,
  detail: string | undefined,
): string {
  if (!kept || reason !== kept.reason || detail !== kept.detail || !isAlike(event, kept.event)) {
    kept = { event, reason, detail, head: headOf(event), tail: tailOf(event, reason, detail) };
  }
  return `{"level":"info","time":"${time()}${kept.head}${quoted(event.controlId)}${kept.tail}${event.bytes},"ms":${event.ms},"msg":"message"}\n`;
}

function isAlike(one: MessageEvent, other: MessageEvent): boolean {
  return (
    one.attempts === other.attempts &&
    one.outcome === other.outcome &&
    one.server === other.server &&
    one.sender === other.sender &&
    one.client === other.client &&
    one.event === other.event &&
    one.type === other.type &&
    one.acknowledgement === other.acknowledgement &&
    one.rule === other.rule &&
    one.pool === other.pool &&
    one.vip === other.vip
  );
}

function headOf({ vip, client, type, event }: MessageEvent): string {
  return `","vip":${quoted(vip)},"client":${quoted(client)},"type":${quoted(type)},"event":${quoted(event)},"controlId":`;
}

function tailOf(event: MessageEvent, reason: string | undefined, detail: string | undefined): string {
  return (
    `,"sender":${quoted(event.sender)}${member('pool', event.pool)}${member('server', event.server)}` +
    `${member('rule', event.rule)}${member('reason', reason)},"attempts":${event.attempts}` +
    `${member('acknowledgement', event.acknowledgement)},"outcome":${quoted(event.outcome)}` +
    `${member('detail', detail)},"bytes":`
  );
}
