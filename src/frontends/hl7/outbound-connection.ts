/**
 * One connection to a server. It carries one message at a time, or several where the server allows that: written whole,
 * one after another, then their acknowledgements are awaited, in any order. What comes back is matched by MSA-2 (HL7
 * v2.5.1 2.9.2, 2.9.3). When an answer stays away or names another message, the connection is reset, so that a late
 * answer can never meet another message; what else is on its way on it is lost with it.
 */
import {
  type Acknowledgement,
  acknowledgementIn,
  isPositive,
} from '../../../protocols/hl7/acknowledgement.ts';
import { Message } from '../../../protocols/hl7/cursor.ts';
import { commitAcknowledgement, END_BLOCK_ALONE_MS } from '../../../protocols/hl7/mllp.ts';
import { type DropReason, MllpDecoder, type MllpSink } from '../../../protocols/hl7/mllp-decoder.ts';
import { GantryError } from '../../errors.ts';
import { notice } from '../../observe/events.ts';
import type { Channel, ChannelHandler, Endpoint } from '../../relay/channel.ts';
import type { Deadline } from '../../relay/deadlines.ts';
import { dismiss } from '../../relay/dismiss.ts';
import { CommitBlocks } from './commit-blocks.ts';
import type { Delivery } from './delivery.ts';
import type { Flight, FlightHost } from './flight.ts';
import { Flights, mismatch } from './flights.ts';
import type { Flushable } from './flush-queue.ts';
import type { Break } from './message-stream.ts';
import type { Loss, LossCause, OutboundListener, OutboundOptions } from './outbound.ts';
import { OwedAnswers } from './owed-answers.ts';
import { type StreamHost, StreamWriter } from './stream-writer.ts';

/** Milliseconds that a server may take to close its side of a connection that we closed. */
const LINGER_MS = 1000;

/** Why a message goes elsewhere that its server has not stored. */
export const NOT_COMMITTED = 'the server could not commit it';

/** One for all: an answer is read while it arrives. */
const reader = new Message();

export class OutboundConnection implements ChannelHandler, MllpSink, Flushable, FlightHost, StreamHost {
  readonly #listener: OutboundListener;
  /** Those with which it began. */
  readonly options: OutboundOptions;
  readonly #channel: Channel;
  readonly #decoder: MllpDecoder;
  readonly #timer: Deadline;
  readonly #owed: OwedAnswers;
  readonly #flights: Flights;
  /** On TLS a message may have gone before we hear that it was taken. */
  readonly #isBlind: boolean;
  #endBlockTimer: Deadline | undefined;
  #connected = false;
  #gone = false;
  /** The flush queue was asked for a turn to write. */
  #isAsking = false;
  #streamWriter: StreamWriter | undefined;
  readonly #commitBlocks: CommitBlocks | undefined;
  /** Messages that were answered, and not committed before that (MLLP release 2). */
  #commitsMissed = 0;
  /** Clock time by which the next answer must be there. */
  #due = Infinity;
  /** When the timer comes round; Infinity when it stands still. */
  #timerAt: number;

  constructor(remote: Endpoint, listener: OutboundListener, options: OutboundOptions) {
    const { blocks, maxFrame, connectTimeout, deadlines, from, tls, proxyHeader } = options;
    this.#listener = listener;
    this.options = options;
    this.#flights = new Flights(this, options);
    this.#isBlind = tls !== undefined;
    this.#decoder = new MllpDecoder(this, { ...blocks, maxFrame });
    this.#owed = new OwedAnswers(options, (delivery) => listener.notAnsweredLater(delivery));
    this.#due = options.now() + connectTimeout;
    this.#timerAt = this.#due;
    this.#timer = deadlines.after(connectTimeout, () => this.#look());
    this.#channel = options.dial(remote, this, { from, tls, proxyHeader });
    if (options.release2) this.#commitBlocks = new CommitBlocks(this.#channel, blocks);
  }

  get isConnected(): boolean {
    return this.#connected;
  }

  /** Nothing can be sent on it any more. */
  get isGone(): boolean {
    return this.#gone;
  }

  /** An application's answer may be on its way that a sender waits for: not a good moment to close. */
  get isOwing(): boolean {
    return this.#owed.isAwaited;
  }

  /** Messages on their way. */
  get load(): number {
    return this.#flights.length;
  }

  /** May this message go now? */
  takes(delivery: Delivery): boolean {
    return !this.#gone && this.#flights.takes(delivery);
  }

  /**
   * Sends the message, in this turn of the event loop. `content` is the message when `delivery` has no copy of its own;
   * it is copied. The answer must be there in `ms` milliseconds; of a stream each part is taken in that time.
   */
  send(delivery: Delivery, content: Buffer | undefined, ms: number, now: number): void {
    const flight = this.#flights.add();
    flight.board(delivery, content, this.options.blocks);
    flight.answerTime = ms;
    delivery.connection = this;
    delivery.sentAt = now;
    this.#expect(flight, now);
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.options.queue.add(this);
  }

  flush(): void {
    this.#isAsking = false;
    if (this.#gone) return;
    for (let i = 0; i < this.#flights.length; i++) {
      const flight = this.#flights.at(i);
      if (flight.written !== 'not yet') continue;
      if (flight.delivery!.stream) {
        this.#writeStream(flight);
        // A stream goes alone, and may be broken by now.
        return;
      }
      flight.written = 'handed over';
      if (this.#channel.write(flight.frame, flight.taken)) flight.taken();
    }
  }

  /** Ends the connection, which carries no message. */
  close(): void {
    this.#leave(undefined, true);
  }

  /** Resets the connection; the messages on their way are lost. */
  abort(detail: string): void {
    this.#fail('closed', detail);
  }

  /** The sender's time is over: nobody waits for the answer any more. Of a stream it begins with its end. */
  giveUp(delivery: Delivery): void {
    const flight = this.#flights.of(delivery);
    if (flight && !delivery.stream) this.#unanswered(flight);
  }

  sentWhole({ delivery, notAwaited }: Flight): void {
    // Not at once: whoever comes next is served then, and may want no answer either.
    if (delivery!.wantsNoAnswer && !this.#commitBlocks) setImmediate(notAwaited);
  }

  notAwaited(flight: Flight): void {
    if (flight.delivery?.wantsNoAnswer && flight.written === 'whole') this.#confirmNot(flight);
  }

  #writeStream(flight: Flight): void {
    flight.written = 'in part';
    this.#streamWriter ??= new StreamWriter(this.#channel, this, this.options.blocks);
    this.#commitBlocks?.hold();
    this.senderIsSlow();
    this.#streamWriter.begin(flight.delivery!);
  }

  serverIsSlow(): void {
    this.#expect(this.#flights.first!, this.options.now());
  }

  senderIsSlow(): void {
    this.#flights.first!.due = this.#due = Infinity;
  }

  /** What counts as the server's time begins here. */
  streamEnded(): void {
    const flight = this.#flights.first!;
    flight.written = 'handed over';
    flight.delivery!.sentAt = this.options.now();
    this.#expect(flight, flight.delivery!.sentAt);
    this.#commitBlocks?.release();
  }

  streamTaken(): void {
    this.#flights.first!.taken();
  }

  streamBroken(why: Break): void {
    this.#fail('broken', why);
  }

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
    const word = this.#commitBlocks && commitAcknowledgement(content);
    if (word) {
      this.#readCommit(word);
      return;
    }
    const answer = acknowledgementIn(reader.open(content));
    const owner = answer && this.#owed.get(answer.controlId);
    const flight = this.#flights.answeredBy(answer);
    if (flight && !(owner && answer!.controlId !== flight.delivery!.controlId)) {
      this.#answer(flight, answer, content);
    } else if (owner) {
      this.#owed.delete(answer!.controlId);
      this.#commitBlocks?.accept();
      this.#listener.answeredLater(owner, answer!, content);
    } else if (answer && this.#flights.isAnsweredAlready(answer)) {
      this.#commitBlocks?.accept();
      notice('debug', 'a server answered a message twice', { code: answer.code });
    } else {
      this.#answerToNone(answer, content);
    }
  }

  dropped(reason: DropReason, byteCount: number): void {
    notice('warn', 'a server sent a broken frame', { reason, bytes: byteCount });
  }

  /** Line ends between frames and the like: harmless. */
  garbage(): void {}

  overlong(byteCount: number): void {
    const detail = 'the server sent a frame that is too long';
    notice('warn', detail, { bytes: byteCount });
    this.#fail('mismatch', detail);
  }

  #answer(flight: Flight, answer: Acknowledgement | undefined, content: Buffer): void {
    const delivery = this.#release(flight);
    // After CA the application's own answer follows.
    if (answer?.code === 'CA') this.#owed.add(delivery);
    // Its commit acknowledgement may still come, and must not be taken for that of the next message.
    if (this.#commitBlocks && !delivery.committed) this.#commitsMissed++;
    this.#flights.wasAnswered(delivery);
    this.#commitBlocks?.accept();
    this.#listener.answered(this, delivery, answer, content);
  }

  /** What came answers no message that the server can have. */
  #answerToNone(answer: Acknowledgement | undefined, content: Buffer): void {
    const { first, firstWhole } = this.#flights;
    if (first?.written === 'in part' && this.#flights.isAbout(answer, first.delivery!)) {
      this.#answerEarly(first, answer!, content);
    } else if (firstWhole) {
      this.#fail('mismatch', mismatch(answer), undefined, firstWhole);
    } else {
      this.#commitBlocks?.refuse();
      notice('warn', 'a server sent what nobody asked for', { bytes: content.length });
    }
  }

  /**
   * The server answers a stream of which it has only a part. It may refuse it (HL7 v2.5.1 2.9.2.2), and what it has must
   * never become a message; it cannot have accepted it.
   */
  #answerEarly(flight: Flight, answer: Acknowledgement, content: Buffer): void {
    if (answer.code === undefined || isPositive(answer.code)) {
      this.#fail('mismatch', 'the server accepted a message that was not whole');
      return;
    }
    const delivery = this.#release(flight);
    this.#leave(undefined);
    this.#listener.answered(this, delivery, answer, content);
    delivery.stream!.cancel();
  }

  /** A commit acknowledgement (MLLP release 2), which is about the message that was sent last. */
  #readCommit(word: 'committed' | 'not committed'): void {
    const flight = this.#flights.uncommitted;
    if (this.#commitsMissed > 0) {
      this.#commitsMissed--;
    } else if (!flight || flight.written === 'not yet') {
      notice('warn', 'a server sent a commit acknowledgement that nobody waits for', { word });
    } else if (word === 'not committed') {
      this.#notCommitted(flight);
    } else if (!flight.isHandedOver) {
      this.#fail('mismatch', 'the server committed a message that was not whole');
    } else {
      flight.delivery!.committed = true;
      if (flight.delivery!.wantsNoAnswer) this.#confirmNot(flight);
      else this.#listener.committed(this);
    }
  }

  #notCommitted(flight: Flight): void {
    if (flight.isHandedOver) this.#listener.notCommitted(this, this.#release(flight, true));
    else this.#fail('closed', NOT_COMMITTED);
  }

  /** The message is no longer this connection's. `again`: it has to go once more, with its bytes. */
  #release(flight: Flight, again = false): Delivery {
    this.#flights.remove(flight);
    this.#due = this.#flights.due;
    if (flight.written !== 'whole') this.#forgetStream();
    return again ? flight.turnBack() : flight.land();
  }

  #forgetStream(): void {
    this.#streamWriter?.stop();
    this.#streamWriter = undefined;
  }

  /** It was sent, and nobody waits for an answer, or for one more. */
  #confirmNot(flight: Flight): void {
    const delivery = this.#release(flight);
    this.#owed.add(delivery);
    this.#listener.unconfirmed(this, delivery);
  }

  /** The server's time for this message begins. */
  #expect(flight: Flight, now: number): void {
    flight.due = now + flight.answerTime;
    if (flight.due < this.#due) this.#due = flight.due;
    if (this.#due < this.#timerAt) this.#startTimer(this.#due - now);
  }

  #startTimer(ms: number): void {
    this.#timerAt = this.#due;
    this.#timer.restart(ms);
  }

  /** The timer came round: is something overdue? It is not stopped and started for each message. */
  #look(): void {
    this.#timerAt = Infinity;
    const now = this.options.now();
    while (!this.#gone && this.#due <= now) {
      const flight = this.#flights.overdue(now);
      if (flight) this.#unanswered(flight);
      else
        this.#leave(new GantryError('GTY_CONNECT_TIMEOUT', 'the server does not take connections in time'));
    }
    if (!this.#gone && this.#due < this.#timerAt) this.#startTimer(this.#due - now);
  }

  #unanswered(flight: Flight): void {
    const { delivery, written } = flight;
    const isCommitted = !this.#commitBlocks || delivery!.committed;
    const mayBeSilent = delivery!.silenceIsSuccess && this.options.ackMatch !== 'position';
    if (written === 'whole' && isCommitted && mayBeSilent) {
      this.#confirmNot(flight);
    } else {
      const what = written === 'whole' ? 'answer' : 'take the message';
      this.#fail('timeout', `the server did not ${what} in time`, undefined, flight);
    }
  }

  /** Every message on its way is lost; `guilty`, if any, by `cause`. */
  #fail(cause: LossCause, detail: string, error?: GantryError, guilty = this.#flights.first): void {
    const lost = this.#flights.removeAll().map((flight) => {
      const whole = flight.written === 'whole' || (flight.written === 'handed over' && this.#isBlind);
      const loss: Loss = { cause: flight === guilty ? cause : 'closed', whole, detail };
      return { delivery: flight.turnBack(), loss };
    });
    this.#leave(error, cause === 'closed' && lost.length === 0);
    for (const { delivery, loss } of lost) this.#listener.lost(delivery, loss);
  }

  #leave(error: GantryError | undefined, politely = false): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#timer.cancel();
    this.#endBlockTimer?.cancel();
    this.#decoder.stop();
    this.#forgetStream();
    if (politely && this.#connected) dismiss(this.#channel, this.options.deadlines, LINGER_MS);
    else this.#channel.reset();
    this.#listener.gone(this, error);
    this.#owed.forgetAll();
  }
}
