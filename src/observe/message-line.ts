/**
 * The log line of an HL7 message, written by hand: there is one per message, and pino takes as long for it as the
 * front-end for the message itself. The same words in the same order as pino's lines.
 */
import type { MessageEvent } from './events.ts';
import { member, quoted, time } from './line-parts.ts';
import type { Line } from './line-writer.ts';

const QUOTATION_MARK = 0x22;
const BACKSLASH = 0x5c;
const POINT = 0x2e;
const ZERO = 0x30;

/**
 * Most lines differ from the one before in little more than the control id and the numbers. What is alike is kept as
 * bytes: up to the control id, and from there to the numbers.
 */
interface Kept {
  readonly event: MessageEvent;
  readonly reason: string | undefined;
  readonly detail: string | undefined;
  readonly head: Buffer;
  readonly tail: Buffer;
}

const TO_TIME = '{"level":"info","time":"';
const TO_MS = Buffer.from(',"ms":');
const END = Buffer.from(',"msg":"message"}\n');
/** Digits of two numbers, a point, and what is around them. */
const MOST_OF_NUMBERS = 64;
/** `\u0000`: what one character may become. */
const MOST_OF_CHARACTER = 6;
/** Beyond this a number is left to others. */
const MOST = 1e9;

/** The line of one message after the other. */
export class MessageLine implements Line {
  #kept: Kept | undefined;
  /** That the head says. */
  #time = '';
  #event!: MessageEvent;

  /** `reason` and `detail` are the event's, or what may be shown of them. */
  of(event: MessageEvent, reason: string | undefined, detail: string | undefined): this {
    const kept = this.#kept;
    const now = time();
    if (!kept || reason !== kept.reason || detail !== kept.detail || !isAlike(event, kept.event)) {
      const head = Buffer.from(`${TO_TIME}${now}${headOf(event)}`, 'latin1');
      const tail = Buffer.from(tailOf(event, reason, detail), 'latin1');
      this.#kept = { event, reason, detail, head, tail };
    } else if (now !== this.#time) kept.head.write(now, TO_TIME.length, 'latin1');
    this.#time = now;
    this.#event = event;
    return this;
  }

  get most(): number {
    const { head, tail } = this.#kept!;
    return head.length + MOST_OF_CHARACTER * this.#event.controlId.length + tail.length + MOST_OF_NUMBERS;
  }

  put(target: Buffer, start: number): number {
    const { head, tail } = this.#kept!;
    const { controlId, bytes, ms } = this.#event;
    target.set(head, start);
    let at = putText(target, start + head.length, controlId);
    target.set(tail, at);
    at = putNumber(target, at + tail.length, bytes);
    target.set(TO_MS, at);
    at = putNumber(target, at + TO_MS.length, ms);
    target.set(END, at);
    return at + END.length;
  }
}

/** Puts a text as JSON has it, without quotation marks. Returns where it ends. */
function putText(target: Buffer, start: number, text: string): number {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code > 0x7e || code === QUOTATION_MARK || code === BACKSLASH) {
      return start + target.write(quoted(text).slice(1, -1), start, 'latin1');
    }
    target[start + index] = code;
  }
  return start + text.length;
}

/** Puts a number; one of at most one decimal, as they mostly are, digit by digit. Returns where it ends. */
function putNumber(target: Buffer, start: number, value: number): number {
  const tenths = Math.round(value * 10);
  const isPlain = tenths / 10 === value && tenths >= 0 && tenths < MOST;
  if (!isPlain) return start + target.write(String(value), start, 'latin1');
  const decimal = tenths % 10;
  let rest = (tenths - decimal) / 10;
  let end = start + 1;
  for (let limit = 10; rest >= limit; limit *= 10) end++;
  for (let at = end - 1; at >= start; at--) {
    target[at] = ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  if (decimal === 0) return end;
  target[end] = POINT;
  target[end + 1] = ZERO + decimal;
  return end + 2;
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
  return `","vip":${quoted(vip)},"client":${quoted(client)},"type":${quoted(type)},"event":${quoted(event)},"controlId":"`;
}

function tailOf(event: MessageEvent, reason: string | undefined, detail: string | undefined): string {
  return (
    `","sender":${quoted(event.sender)}${member('pool', event.pool)}${member('server', event.server)}` +
    `${member('rule', event.rule)}${member('reason', reason)},"attempts":${event.attempts}` +
    `${member('acknowledgement', event.acknowledgement)},"outcome":${quoted(event.outcome)}` +
    `${member('detail', detail)},"bytes":`
  );
}
