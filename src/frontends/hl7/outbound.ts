/**
 * One connection to a server. It carries one message at a time: written whole, then its acknowledgement is awaited.
 * What comes back is matched by MSA-2 (HL7 v2.5.1 2.9.2, 2.9.3). When the answer stays away or names another message,
 * the connection is reset, so that a late answer can never meet the next message.
 */
import {
  type Acknowledgement,
  type AcknowledgementMatch,
  acknowledgementIn,
  matches,
} from '../../../protocols/hl7/acknowledgement.ts';
import { Message } from '../../../protocols/hl7/cursor.ts';
import { frameLength, type MllpBlocks, writeFrame } from '../../../protocols/hl7/mllp.ts';
import { type DropReason, MllpDecoder, type MllpSink } from '../../../protocols/hl7/mllp-decoder.ts';
import { GantryError } from '../../errors.ts';
import { notice } from '../../observe/events.ts';
import type { Channel, ChannelHandler, Endpoint } from '../../relay/channel.ts';
import type { Deadline, Deadlines } from '../../relay/deadlines.ts';
import type { dial, TlsClientOptions } from '../../relay/dial.ts';
import { dismiss } from '../../relay/dismiss.ts';
import type { Delivery } from './delivery.ts';
import type { Flushable, FlushQueue } from './flush-queue.ts';

/** Why no answer will come for a message. */
export type LossCause = 'closed' | 'timeout' | 'mismatch';

export interface Loss {
  readonly cause: LossCause;
  /** All of the message was given to the kernel: it may have arrived. */
  readonly whole: boolean;
  /** A sentence without patient data. */
  readonly detail: string;
}

/** What happens on a connection. */
export interface OutboundListener {
  connected(connection: OutboundConnection): void;
  /** The connection is gone: it could not be had (`connected` was not called), or it broke. */
  gone(connection: OutboundConnection, error: GantryError | undefined): void;
  /** `bytes`, valid during the call, answer the message in hand, which this connection carries no more. */
  answered(
    connection: OutboundConnection,
    delivery: Delivery,
    answer: Acknowledgement | undefined,
    bytes: Buffer,
  ): void;
  /** The message in hand was sent and has no answer, which is as its sender wants it. */
  unconfirmed(connection: OutboundConnection, delivery: Delivery): void;
  /** `bytes` answer a message that this connection carried before. */
  answeredLater(delivery: Delivery, answer: Acknowledgement, bytes: Buffer): void;
  /** An answer that was owed will not come: the connection is gone. */
  notAnsweredLater(delivery: Delivery): void;
  /** The message in hand got no answer. `gone` was called before. */
  lost(delivery: Delivery, loss: Loss): void;
}

export interface OutboundOptions {
  readonly blocks: Required<MllpBlocks>;
  readonly maxFrame: number;
  readonly ackMatch: AcknowledgementMatch;
  readonly connectTimeout: number;
  /** Milliseconds a server has to answer; undefined: as the VIP has it. */
  readonly responseTimeout: number | undefined;
  readonly tls: TlsClientOptions | undefined;
  /** The same for every connection. */
  readonly proxyHeader: Uint8Array | undefined;
  readonly dial: typeof dial;
  readonly deadlines: Deadlines;
  readonly queue: FlushQueue;
  readonly now: () => number;
}

const EMPTY: Buffer = Buffer.alloc(0);
const SMALLEST = 2048;
/** A buffer larger than this is given back when its message is done. */
const LARGEST_KEPT = 65_536;
/** Messages whose answer may still come, at most; the oldest is forgotten. */
const OWED = 256;
/** Milliseconds for which an idle connection is kept because an application's answer is owed. */
export const OWED_MS = 60_000;
/** Milliseconds after which an end block with nothing behind it ends a frame. */
const END_BLOCK_ALONE_MS = 200;
/** Milliseconds that a server may take to close its side of a connection that we closed. */
const LINGER_MS = 1000;

/** One for all: an answer is read while it arrives. */
const reader = new Message();

export class OutboundConnection implements ChannelHandler, MllpSink, Flushable {
  readonly #listener: OutboundListener;
  /** Those with which it began. */
  readonly options: OutboundOptions;
  readonly #channel: Channel;
  readonly #decoder: MllpDecoder;
  readonly #timer: Deadline;
  #endBlockTimer: Deadline | undefined;
  /** Messages that may still be answered: by the application after CA, or though nobody asked for it. */
  readonly #owed = new Map<string, Delivery>();
  #owingUntil = 0;
  #connected = false;
  #gone = false;
  #delivery: Delivery | undefined;
  /** MSH-10 of the message that was answered last. */
  #lastAnswered: string | undefined;
  /** The message in its frame is the first `#length` bytes. */
  #frame: Buffer = EMPTY;
  #length = 0;
  /** Used for one message after another. */
  #buffer: Buffer = EMPTY;
  #written: 'not yet' | 'in part' | 'whole' = 'not yet';
  /** Clock time by which the answer must be there. */
  #due = Infinity;
  /** When the timer comes round; Infinity when it stands still. */
  #timerAt: number;

  constructor(remote: Endpoint, listener: OutboundListener, options: OutboundOptions) {
    this.#listener = listener;
    this.options = options;
    this.#decoder = new MllpDecoder(this, { ...options.blocks, maxFrame: options.maxFrame });
    this.#due = options.now() + options.connectTimeout;
    this.#timerAt = this.#due;
    this.#timer = options.deadlines.after(options.connectTimeout, () => this.#look());
    const { tls, proxyHeader } = options;
    this.#channel = options.dial(remote, this, { tls, proxyHeader });
  }

  get isConnected(): boolean {
    return this.#connected;
  }

  /** An application's answer may be on its way that a sender waits for: not a good moment to close. */
  get isOwing(): boolean {
    return this.#owed.size > 0 && this.options.now() < this.#owingUntil;
  }

  /**
   * Sends the message, in this turn of the event loop. `content` is the message when `delivery` has no copy of its own;
   * it is copied. The answer must be there in `ms` milliseconds.
   */
  send(delivery: Delivery, content: Buffer | undefined, ms: number, now: number): void {
    this.#delivery = delivery;
    delivery.connection = this;
    delivery.sentAt = now;
    if (delivery.frame) {
      this.#frame = withBlocks(delivery.frame, this.options.blocks);
      this.#length = delivery.frame.length;
    } else {
      const needed = frameLength(content!.length);
      if (needed > this.#buffer.length) {
        this.#buffer = Buffer.allocUnsafeSlow(Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(needed))));
      }
      this.#frame = this.#buffer;
      this.#length = writeFrame(this.#buffer, 0, content!, this.options.blocks);
    }
    this.#due = now + ms;
    if (this.#due < this.#timerAt) this.#startTimer(ms);
    this.#written = 'not yet';
    this.options.queue.add(this);
  }

  flush(): void {
    if (!this.#delivery || this.#written !== 'not yet' || this.#gone) return;
    const frame = this.#frame.length === this.#length ? this.#frame : this.#frame.subarray(0, this.#length);
    this.#written = 'in part';
    if (this.#channel.write(frame, this.#taken)) this.#taken();
  }

  /** Ends the connection, which carries no message. */
  close(): void {
    this.#leave(undefined, true);
  }

  /** Resets the connection; the message in hand is lost. */
  abort(detail: string): void {
    this.#fail('closed', detail);
  }

  /** The sender's time is over: nobody waits for the answer of the message in hand any more. */
  giveUp(): void {
    if (this.#delivery) this.#unanswered();
  }

  /** The kernel has all of the message. */
  readonly #taken = (): void => {
    const delivery = this.#delivery;
    if (!delivery || this.#written !== 'in part') return;
    this.#written = 'whole';
    // Not at once: whoever comes next is served then, and may want no answer either.
    if (delivery.wantsNoAnswer) setImmediate(this.#notAwaited);
  };

  readonly #notAwaited = (): void => {
    const delivery = this.#delivery;
    if (!delivery?.wantsNoAnswer || this.#written !== 'whole') return;
    this.#release();
    this.#owe(delivery);
    this.#listener.unconfirmed(this, delivery);
  };

  connected(): void {
    this.#connected = true;
    this.#due = Infinity;
    this.#listener.connected(this);
  }

  read(bytes: Buffer): void {
    this.#decoder.push(bytes);
    if (!this.#decoder.pendingEnd) return;
    if (this.#endBlockTimer) this.#endBlockTimer.restart();
    else {
      const { deadlines } = this.options;
      this.#endBlockTimer = deadlines.after(END_BLOCK_ALONE_MS, () => this.#decoder.flushPendingEnd());
    }
  }

  /** FIN: a server that is done with us answers nothing any more. */
  ended(): void {
    this.#decoder.end();
    this.#fail('closed', 'the server closed the connection');
  }

  closed(error: GantryError | undefined): void {
    this.#fail('closed', error ? error.message : 'the server closed the connection', error);
  }

  frame(content: Buffer): void {
    if (this.#gone) return;
    const delivery = this.#delivery;
    const answer = acknowledgementIn(reader.open(content));
    const sent = this.#written === 'whole' ? delivery : undefined;
    const owner = this.#owed.size > 0 && answer ? this.#owed.get(this.#owedKey(answer.controlId)) : undefined;
    if (sent && this.#belongs(answer, sent) && !(owner && answer!.controlId !== sent.controlId)) {
      this.#release();
      // After CA the application's own answer follows.
      if (answer?.code === 'CA') this.#owe(sent);
      this.#lastAnswered = sent.controlId;
      this.#listener.answered(this, sent, answer, content);
    } else if (owner) {
      this.#owed.delete(this.#owedKey(answer!.controlId));
      this.#listener.answeredLater(owner, answer!, content);
    } else if (answer && answer.controlId === this.#lastAnswered) {
      notice('debug', 'a server answered a message twice', { code: answer.code });
    } else if (sent) {
      this.#fail('mismatch', mismatch(answer));
    } else {
      notice('warn', 'a server sent what nobody asked for', { bytes: content.length });
    }
  }

  dropped(reason: DropReason, byteCount: number): void {
    notice('warn', 'a server sent a broken frame', { reason, bytes: byteCount });
  }

  garbage(): void {
    // Line ends between frames and the like: harmless.
  }

  overlong(byteCount: number): void {
    const detail = 'the server sent a frame that is too long';
    notice('warn', detail, { bytes: byteCount });
    this.#fail('mismatch', detail);
  }

  #belongs(answer: Acknowledgement | undefined, delivery: Delivery): boolean {
    // The answer to a batch may be a batch without a single MSA: all is well (HL7 v2.5.1 2.10.3.4).
    if (delivery.batch) return true;
    return answer !== undefined && matches(answer, delivery.controlId, this.options.ackMatch);
  }

  #owe(delivery: Delivery): void {
    const key = this.#owedKey(delivery.controlId);
    this.#forget(key);
    if (this.#owed.size === OWED) this.#forget(this.#owed.keys().next().value!);
    this.#owed.set(key, delivery);
    if (delivery.wantsApplicationsAnswer) this.#owingUntil = this.options.now() + OWED_MS;
  }

  #forget(key: string): void {
    const forgotten = this.#owed.get(key);
    if (forgotten && this.#owed.delete(key)) this.#listener.notAnsweredLater(forgotten);
  }

  #owedKey(controlId: string): string {
    return this.options.ackMatch === 'prefix20' ? controlId.slice(0, 20).trim() : controlId;
  }

  /** The message in hand is no longer this connection's. */
  #release(): void {
    const delivery = this.#delivery!;
    this.#delivery = undefined;
    delivery.connection = undefined;
    delivery.frame = undefined;
    this.#frame = EMPTY;
    if (this.#buffer.length > LARGEST_KEPT) this.#buffer = EMPTY;
    this.#due = Infinity;
  }

  #startTimer(ms: number): void {
    this.#timerAt = this.#due;
    this.#timer.restart(ms);
  }

  /** The timer came round: is something overdue? It is not stopped and started for each message. */
  #look(): void {
    this.#timerAt = Infinity;
    if (this.#gone || this.#due === Infinity) return;
    const left = this.#due - this.options.now();
    if (left > 0) {
      this.#startTimer(left);
    } else if (!this.#connected) {
      this.#leave(new GantryError('GTY_CONNECT_TIMEOUT', 'the server does not take connections in time'));
    } else if (this.#delivery) {
      this.#unanswered();
    }
  }

  #unanswered(): void {
    const delivery = this.#delivery!;
    if (this.#written === 'whole' && delivery.silenceIsSuccess && this.options.ackMatch !== 'position') {
      this.#release();
      this.#owe(delivery);
      this.#listener.unconfirmed(this, delivery);
    } else {
      this.#fail('timeout', 'the server did not answer in time');
    }
  }

  #fail(cause: LossCause, detail: string, error?: GantryError): void {
    const delivery = this.#delivery;
    const whole = this.#written === 'whole';
    if (delivery) {
      // This connection writes no more: the message takes the bytes with it.
      delivery.frame ??= this.#frame.subarray(0, this.#length);
      delivery.connection = undefined;
      this.#delivery = undefined;
    }
    this.#leave(error, cause === 'closed' && !delivery);
    if (delivery) this.#listener.lost(delivery, { cause, whole, detail });
  }

  #leave(error: GantryError | undefined, politely = false): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#timer.cancel();
    this.#endBlockTimer?.cancel();
    this.#decoder.stop();
    if (politely && this.#connected) dismiss(this.#channel, this.options.deadlines, LINGER_MS);
    else this.#channel.reset();
    this.#listener.gone(this, error);
    for (const delivery of this.#owed.values()) this.#listener.notAnsweredLater(delivery);
    this.#owed.clear();
  }
}

/** A frame that was made for another connection, changed into one for a connection with these blocks. */
function withBlocks(frame: Buffer, { startBlock, endBlock }: Required<MllpBlocks>): Buffer {
  frame[0] = startBlock;
  frame[frame.length - 2] = endBlock;
  return frame;
}

function mismatch(answer: Acknowledgement | undefined): string {
  if (!answer) return 'the server answered without MSA';
  return answer.controlId === '' ? 'the answer has no MSA-2' : 'MSA-2 of the answer is not the MSH-10';
}
