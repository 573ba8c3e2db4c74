/**
 * A leg: one association with one server, on behalf of the client's association. The lead is one, and each further
 * server that a study needs. What happens to a leg while nothing is asked of it, the client never sees.
 */
import { indexAssociate } from '../../../../protocols/dicom/associate.ts';
import { acceptedContexts } from '../../../../protocols/dicom/associate-rewrite.ts';
import type { Outcome } from '../../../../protocols/dicom/operations.ts';
import { PDU } from '../../../../protocols/dicom/pdu.ts';
import { ABORT_REASON } from '../../../../protocols/dicom/pdu-fault.ts';
import {
  type Reject,
  writeAbort,
  writeReleaseRp,
  writeReleaseRq,
} from '../../../../protocols/dicom/small-pdus.ts';
import { GantryError } from '../../../errors.ts';
import type { Server } from '../../../pools/server.ts';
import type { Channel, ChannelHandler } from '../../../relay/channel.ts';
import type { Deadline, Deadlines } from '../../../relay/deadlines.ts';
import { dismiss } from '../../../relay/dismiss.ts';
import type { Accept, AttemptListener, ServerAttempt } from '../server-attempt.ts';
import type { Message } from './message.ts';
import { type MessageListener, MessageReader } from './message-reader.ts';
import type { Operation } from './operation.ts';
import { Outbox, type OutboxListener } from './outbox.ts';

export interface LegListener {
  /** The server accepted. */
  opened(leg: Leg): void;
  /** There is no association to be had there. */
  refused(leg: Leg, error: GantryError | Reject): void;
  /** It is gone, and work was open there. */
  lost(leg: Leg, why: string): void;
  /** It is gone, its slot is free. Called once, last. */
  over(leg: Leg): void;
  /** It had no work for a while. */
  rested(leg: Leg): void;
  /** A message of the server has begun; its data set follows. */
  began(leg: Leg, message: Message): void;
  arrived(leg: Leg, message: Message): void;
  ended(leg: Leg, message: Message): void;
  /** The server took more, or a message went out to it whole. */
  moved(leg: Leg): void;
}

export interface LegSettings {
  readonly deadlines: Deadlines;
  readonly timeouts: { readonly release: number };
}

/** A message of the server. */
export interface Incoming {
  readonly message: Message;
  /** Its bytes go to the client already. */
  isStreamed: boolean;
  /** They do not, before it was looked at as a whole. */
  isHeld: boolean;
}

type State = 'opening' | 'open' | 'releasing' | 'over';

/** An association that was opened on demand ends after so many milliseconds without work. */
const REST_MS = 10_000;

const ABORT_PROVIDER = writeAbort(2, 0);

export class Leg implements AttemptListener, ChannelHandler, MessageListener, OutboxListener {
  readonly server: Server;
  /** `POOL/SERVER`: what is remembered of where things are. */
  readonly place: string;
  /** The message of the server that is under way. */
  incoming: Incoming | undefined;
  /** Open requests of the client, by message id. */
  readonly operations = new Map<number, Operation>();
  /** Those that wait for it to open. */
  readonly waiting = new Set<Operation>();
  /** Presentation contexts that the server accepted: id → transfer syntax. */
  contexts: ReadonlyMap<number, string> = new Map();
  outbox: Outbox | undefined;
  /** It is to end when nothing is open there any more. */
  isLeaving = false;
  /** Something may still come from the server by itself: it is not closed for being idle. */
  isAwaited = false;
  readonly #listener: LegListener;
  readonly #settings: LegSettings;
  #state: State = 'opening';
  #attempt: ServerAttempt | undefined;
  #channel: Channel | undefined;
  #reader: MessageReader | undefined;
  #deadline: Deadline | undefined;
  #rest: Deadline | undefined;

  constructor(server: Server, listener: LegListener, settings: LegSettings) {
    this.server = server;
    this.place = `${server.pool}/${server.name}`;
    this.#listener = listener;
    this.#settings = settings;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Nothing is open or waits there, nor is the rest of a message on its way that was answered early. */
  get isIdle(): boolean {
    return this.operations.size === 0 && this.waiting.size === 0 && this.outbox?.isEmpty !== false;
  }

  get bytesWritten(): number {
    return this.#channel?.bytesWritten ?? 0;
  }

  /** The rest of a message, or of a PDU, is still to come from the server, or to be taken by it. */
  get isMidway(): boolean {
    const isInside = this.#reader?.insidePdu === true || this.#reader?.insideMessage === true;
    return isInside || (this.outbox?.isHeldBack ?? false);
  }

  /** Asks the server for an association, for at most `ms` milliseconds. */
  open(attempt: (listener: AttemptListener) => ServerAttempt, ms: number): void {
    const { deadlines } = this.#settings;
    this.#deadline = deadlines.after(ms, () => {
      const isThere = this.#attempt!.isConnected;
      this.#attempt!.giveUp();
      this.#refused(
        new GantryError(
          'GTY_CONNECT_TIMEOUT',
          isThere ? 'accepts connections but does not answer' : 'does not connect',
        ),
      );
    });
    this.#attempt = attempt(this);
  }

  /** Takes over an association that the server has accepted; nothing is read before `resume`. */
  adopt(channel: Channel, accept: Buffer): void {
    const answer = indexAssociate(accept);
    this.contexts = acceptedContexts(answer);
    this.#state = 'open';
    this.#channel = channel;
    this.outbox = new Outbox(channel, answer.userInformation.maxLength ?? 0, this);
    this.#reader = new MessageReader(this, { contexts: this.contexts });
    channel.handler = this;
    channel.pause();
  }

  accepted(channel: Channel, { pdu }: Accept, rest: Buffer): void {
    this.#deadline!.cancel();
    this.#attempt = undefined;
    try {
      this.adopt(channel, pdu);
    } catch {
      channel.reset();
      this.#refused(new GantryError('GTY_PROTOCOL', 'the server answered with bytes that are not DICOM'));
      return;
    }
    this.#listener.opened(this);
    if (rest.length > 0 && this.isOpen) this.read(rest);
    this.resume();
  }

  rejected(_pdu: Buffer, reject: Reject): void {
    this.#refused(reject);
  }

  failed(error: GantryError): void {
    this.#refused(error);
  }

  pause(): void {
    this.#channel?.pause();
  }

  resume(): void {
    if (this.#channel?.open) this.#channel.resume();
  }

  /** Sends the message of an operation, as far as it is there. */
  begin(operation: Operation): void {
    this.operations.set(operation.id, operation);
    this.server.load.operationStarted();
    this.grew(operation);
    operation.outbox = this.outbox;
    this.outbox!.push(operation.message);
  }

  /** More bytes of its message are there. */
  grew(operation: Operation): void {
    if (!this.operations.has(operation.id)) return;
    const { length } = operation.message;
    this.server.load.bytesInFlight += length - operation.bytesInFlight;
    operation.bytesInFlight = length;
  }

  /** An operation that was sent has ended here, whoever goes on with it. */
  end(operation: Operation, outcome: Outcome, now: number): void {
    this.#let(operation);
    this.server.load.operationEnded(Math.max(now - operation.since, 0), outcome);
  }

  /** Nobody wants it any more, sent or not. */
  drop(operation: Operation): void {
    if (this.operations.get(operation.id) === operation) this.server.load.operations--;
    this.#let(operation);
  }

  #let(operation: Operation): void {
    if (this.operations.get(operation.id) === operation) this.operations.delete(operation.id);
    this.waiting.delete(operation);
    this.server.load.bytesInFlight -= operation.bytesInFlight;
    operation.bytesInFlight = 0;
    operation.leg = undefined;
  }

  /** Nothing is open there: it ends when that stays so. */
  rest(): void {
    const { deadlines } = this.#settings;
    this.#rest ??= deadlines.after(REST_MS, () => {
      if (this.isOpen && this.isIdle && !this.isAwaited) this.#listener.rested(this);
    });
    this.#rest.restart();
  }

  /** Ends it in order; nothing is open there any more. */
  release(): void {
    if (this.#state !== 'open' || !this.outbox!.isEmpty) {
      this.abort();
      return;
    }
    const { deadlines, timeouts } = this.#settings;
    this.#state = 'releasing';
    this.#channel!.write(writeReleaseRq());
    this.#channel!.resume();
    this.#deadline = deadlines.after(timeouts.release, () => this.abort());
  }

  /**
   * Ends it at once: an A-ABORT between two PDUs, a reset inside one, as well while bytes are still on their way, whose
   * memory will be used again.
   */
  abort(lastWords: Buffer = ABORT_PROVIDER): void {
    if (this.#state === 'over') return;
    const wasOpening = this.#state === 'opening';
    const canSpeak = this.#canSpeak;
    this.#gone();
    if (wasOpening) this.#attempt?.giveUp();
    else this.#part(canSpeak ? lastWords : undefined);
    this.#listener.over(this);
  }

  // The server's bytes.

  read(bytes: Buffer): void {
    this.#reader!.push(bytes);
  }

  ended(): void {
    this.#lose('closed its connection');
  }

  closed(error: GantryError | undefined): void {
    this.#lose(error ? 'was lost' : 'closed its connection');
  }

  messageBegan(message: Message): void {
    this.#listener.began(this, message);
  }

  messageArrived(message: Message): void {
    this.#listener.arrived(this, message);
  }

  messageEnded(message: Message): void {
    this.#listener.ended(this, message);
  }

  otherPdu(type: number): void {
    if (type === PDU.A_ABORT) {
      this.#lose('aborted');
    } else if (type === PDU.A_RELEASE_RQ && this.#state === 'open' && !this.#canSpeak) {
      this.#lose('released inside a PDU');
    } else if (type === PDU.A_RELEASE_RQ) {
      // In a collision both get their response (PS3.8 7.2.2.7); we asked for the association, so ours goes first.
      this.#channel!.write(writeReleaseRp());
      if (this.#state === 'open') this.#lose('released', true);
    } else if (this.#state === 'releasing') {
      this.#leave();
    } else {
      this.broken(ABORT_REASON.UNEXPECTED_PDU, 'A-RELEASE-RP came out of turn');
    }
  }

  broken(reason: number, what: string): void {
    this.#lose(`broke the standard: ${what}`, false, writeAbort(2, reason));
  }

  moved(): void {
    if (this.#state !== 'over') this.#listener.moved(this);
  }

  /** Between two PDUs towards the server, and it has all that was written. */
  get #canSpeak(): boolean {
    return this.outbox?.atBoundary === true && this.#channel!.pending === 0;
  }

  #refused(error: GantryError | Reject): void {
    if (this.#state === 'over') return;
    this.#gone();
    this.#listener.refused(this, error);
    this.#listener.over(this);
  }

  /** The server ended it. `isPolite`: by a release, which was answered. */
  #lose(why: string, isPolite = false, lastWords?: Buffer): void {
    if (this.#state === 'over') return;
    const wasIdle = this.isIdle;
    const canSpeak = this.#canSpeak;
    this.#gone();
    if (isPolite) this.#dismiss();
    else this.#part(canSpeak ? lastWords : undefined);
    if (!wasIdle) this.#listener.lost(this, why);
    this.#listener.over(this);
  }

  #leave(): void {
    this.#gone();
    this.#dismiss();
    this.#listener.over(this);
  }

  #gone(): void {
    this.#state = 'over';
    this.#deadline?.cancel();
    this.#rest?.cancel();
    this.#reader?.stop();
    this.outbox?.drop();
  }

  /** With last words, those and a FIN; without, a reset. */
  #part(lastWords: Buffer | undefined): void {
    const channel = this.#channel!;
    if (lastWords && channel.open) {
      this.#dismiss(lastWords);
      return;
    }
    channel.handler = DEAF;
    if (channel.open) channel.reset();
  }

  #dismiss(lastWords?: Buffer): void {
    const { deadlines, timeouts } = this.#settings;
    dismiss(this.#channel!, deadlines, timeouts.release, lastWords);
  }
}

const DEAF: ChannelHandler = { read() {}, ended() {}, closed() {} };
