/**
 * Store and forward: what the durable queue of a VIP has to do with its messages.
 *
 *     a message comes ─► keep ─► on the disk ─► kept: its sender gets CA (or AA, `ackOnStore`)
 *     its turn comes  ─► StoredMessage ─► the courier, as if it had just come ─► attempted:
 *           AA, CA, or nothing was to come      it is delivered, and gone when that is on the disk
 *           AE, AR, CE, CR                      again after a pause, `maxAttempts` times, then into quarantine
 *           no answer, or no server             again after a pause, until `maxAge`
 *           no rule takes it                    into quarantine
 */
import {
  isOfApplication,
  isPositive,
  isSent,
  readAcknowledgement,
} from '../../../protocols/hl7/acknowledgement.ts';
import { events, notice } from '../../observe/events.ts';
import type { Server } from '../../pools/server.ts';
import type { About, Depth, HeldMessage, NewMessage, Refusal, TakenMessage } from '../../queue/message.ts';
import type { Queue, QueueListener, Standing } from '../../queue/queue.ts';
import type { Endpoint } from '../../relay/channel.ts';
import type { Deadline, Deadlines } from '../../relay/deadlines.ts';
import { type Delivery, hasArrived, type Outcome } from './delivery.ts';
import type { Break, MessageStream, StreamReader } from './message-stream.ts';
import { ambiguityOf } from './plan.ts';
import { QueueStream } from './queue-stream.ts';
import type { StoreSettings } from './settings.ts';
import { StoredMessage, type StoredMessageListener } from './stored-message.ts';

/** What the store asks of the courier. */
export interface StoreHost {
  readonly vip: string;
  readonly now: () => number;
  /** Whom the answers of applications go to now. */
  readonly returnTo: StoreSettings['returnTo'] | undefined;
  /** Delivers a message whose turn came. `to`: a return address; undefined: as the rules have it. */
  deliver(
    message: StoredMessage,
    content: Buffer,
    stream: MessageStream | undefined,
    to?: Endpoint,
  ): Delivery;
  expire(delivery: Delivery): void;
  abandon(delivery: Delivery, why: string): void;
}

/** What became of a message that was to be kept. */
export interface KeepListener {
  /** It is on the disk. */
  kept(delivery: Delivery): void;
  notKept(delivery: Delivery, why: string): void;
  /** Its end will not come. */
  broken(delivery: Delivery, why: Break): void;
}

/** The next part of a long message may stay away for so long, in milliseconds. */
const FLOW_MS = 60_000;
/** How often is looked for messages whose time is over, in milliseconds. */
const LOOK_MS = 250;

const TAKEN_UP_LATER = 'the balancer takes it up again later';
const DAMAGED = 'its body is damaged on the disk';

const REFUSALS: Readonly<Record<Refusal, string>> = {
  full: 'the queue is full',
  'no space': 'the disk of the queue is full',
  unavailable: 'the queue cannot be written',
};

/** MSH-16 asks for this answer of the application. */
function isWanted({ mode }: Delivery, answer: Buffer | undefined): answer is Buffer {
  if (!answer || !mode.enhanced) return false;
  return isSent(mode.application, isPositive(readAcknowledgement(answer)?.code));
}

/** It waits for a connection of a server that is there: its sender has its answer, and nobody else's time runs. */
function isInLine({ connection, ambiguous, target }: Delivery): boolean {
  return !connection && !ambiguous && (target?.server.eligible ?? false);
}

export class Store implements QueueListener, StoredMessageListener {
  readonly #queue: Queue;
  readonly #host: StoreHost;
  readonly #deadlines: Deadlines;
  readonly #inHand = new Set<Delivery>();
  #look: Deadline | undefined;
  /** Of messages that may have arrived, where: `onAmbiguous: hold` sends them nowhere else. */
  readonly #bound = new Map<number, Server>();
  /** What applications answered to messages that they refused: for the return address when there is no further attempt. */
  readonly #refusals = new Map<number, Buffer>();
  /** Between messages that stand in one order and those behind them that stand in another. */
  #border: Standing | undefined;
  #window = 0;
  #isDraining = false;
  #isLost = false;
  isOpen = true;

  constructor(queue: Queue, host: StoreHost, deadlines: Deadlines) {
    this.#queue = queue;
    this.#host = host;
    this.#deadlines = deadlines;
    queue.listener = this;
  }

  get queue(): Queue {
    return this.#queue;
  }

  /** The servers that may get something now can have so many messages at once. */
  resize(room: number): void {
    const window = this.#isDraining ? 0 : room;
    // A queue whose file went to another VIP has another listener, whose window it is now.
    if (window === this.#window || this.#isLost || this.#queue.listener !== this) return;
    const isMore = window > this.#window;
    this.#window = window;
    this.#queue.window(window);
    if (isMore) this.#queue.hurry();
  }

  /** What comes from now on waits until all that is there has gone, but not for what is in quarantine. */
  divide(): void {
    this.#border?.leave();
    const border = this.#queue.stand('whole', () => border.leave());
    this.#border = border;
    const unlessHeld = ({ held }: Depth) => {
      if (held > 0) border.leave();
    };
    this.#queue.depth().then(unlessHeld, () => border.leave());
  }

  /** Hands out nothing more, and gives back what no server has. Resolves when everything that was handed out has come. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.resize(0);
    this.#giveBack();
    if (!this.#isLost) await this.#queue.settled().catch(() => {});
  }

  /** Hands out nothing more, and gives back what is out. */
  close(): void {
    this.isOpen = false;
    void this.drain();
  }

  #giveBack(): void {
    for (const delivery of [...this.#inHand]) {
      const mayBeThere = delivery.ambiguous && this.isOpen;
      if (!delivery.finished && !mayBeThere) this.#host.abandon(delivery, TAKEN_UP_LATER);
    }
  }

  // In.

  /**
   * Keeps the message of a delivery; `content` is copied. `describe`: asked when it is whole. `header`: so many bytes of
   * it are needed until it is answered.
   */
  keep(
    delivery: Delivery,
    describe: () => NewMessage,
    content: Buffer,
    header: number,
    listener: KeepListener,
  ): void {
    const stored = (id: number | undefined, refusal: Refusal | undefined) => {
      if (id !== undefined) listener.kept(delivery);
      else listener.notKept(delivery, REFUSALS[refusal ?? 'unavailable']);
    };
    const { stream } = delivery;
    if (!stream) {
      delivery.isBeingKept = true;
      this.#queue.store(describe(), content, stored);
      return;
    }
    const body = this.#queue.receive();
    delivery.body = body;
    const written = (refusal: Refusal | undefined) => {
      // Nobody wants it any more.
      if (delivery.finished) return;
      if (refusal === undefined) stream.next(reader);
      else stored(undefined, refusal);
    };
    const reader: StreamReader = {
      part: (bytes) => {
        delivery.length += bytes.length;
        // As long as it flows: how long the sender may be silent inside a frame is watched elsewhere.
        delivery.expires = this.#host.now() + delivery.senderTimeout + FLOW_MS;
        body.write(bytes, written);
      },
      end: () => {
        delivery.isBeingKept = true;
        delivery.body = undefined;
        body.store(describe(), stored);
      },
      broken: (why) => listener.broken(delivery, why),
    };
    body.write(stream.beginning, (refusal) => {
      stream.shorten?.(header);
      written(refusal);
    });
  }

  // Out.

  handed(taken: TakenMessage): void {
    if (this.#isDraining) this.#queue.failed(taken.id, 'unsent', TAKEN_UP_LATER);
    else if (taken.content) this.#deliver(taken, taken.content, undefined);
    else void this.#deliverLong(taken);
  }

  lost(reason: string): void {
    this.#isLost = true;
    notice('error', 'the durable queue is lost until the balancer is started again: nothing is taken in', {
      vip: this.#host.vip,
      reason,
    });
  }

  attempted(message: StoredMessage, delivery: Delivery, outcome: Outcome): void {
    this.#inHand.delete(delivery);
    const { id } = message.taken;
    const { acknowledgement } = delivery;
    if (this.#isLost) return;
    if (hasArrived(outcome)) {
      if (delivery.isRefused) {
        if (isOfApplication(acknowledgement) && isWanted(delivery, message.answerBytes))
          this.#refusals.set(id, message.answerBytes);
        this.#queue.failed(id, 'refused', `a server answered ${acknowledgement}`);
        return;
      }
      if (message.answerBytes && isOfApplication(acknowledgement))
        this.answeredLater(message, delivery, message.answerBytes);
      this.#forget(id);
      this.#queue.delivered(id);
    } else if (outcome === 'rejected') {
      this.#forget(id);
      this.#queue.hold(id, delivery.detail ?? 'it cannot be routed');
    } else if (delivery.detail === ('its body is damaged' satisfies Break)) {
      this.#forget(id);
      this.#queue.hold(id, DAMAGED);
    } else if (!delivery.ambiguous) {
      this.#queue.failed(id, 'unsent', delivery.detail ?? 'no server took it');
    } else if (delivery.choice && ambiguityOf(delivery) === 'fail') {
      this.#queue.hold(id, 'it may have arrived, and onAmbiguous is fail');
    } else {
      if (delivery.heldFor) this.#bound.set(id, delivery.heldFor.server);
      this.#queue.failed(id, 'unanswered', delivery.detail ?? 'it was not answered');
    }
  }

  quarantined(held: HeldMessage): void {
    this.#border?.leave();
    this.#border = undefined;
    const answer = this.#refusals.get(held.id);
    this.#forget(held.id);
    if (answer) this.#sendBack(held.about, answer);
    const { vip, now } = this.#host;
    if (!events.message.hasSubscribers) return;
    const { client = '', type = '', event = '', controlId = '', sender = '' } = held.about;
    events.message.publish({
      vip,
      client,
      type,
      event,
      controlId,
      sender,
      pool: undefined,
      server: undefined,
      rule: undefined,
      reason: undefined,
      attempts: held.attempts,
      acknowledgement: undefined,
      outcome: 'quarantined',
      detail: held.reason,
      bytes: held.size,
      ms: Math.round(now() - held.arrived),
    });
  }

  answeredLater(message: StoredMessage, delivery: Delivery, answer: Buffer): void {
    if (isWanted(delivery, answer)) this.#sendBack(message.taken.about, answer);
  }

  /** Keeps an answer of an application for the return address of the message that it answers. */
  #sendBack({ application = '', controlId = '' }: About, answer: Buffer): void {
    const { vip, returnTo } = this.#host;
    if (!returnTo) return;
    const { byApplication } = returnTo;
    const to = Object.hasOwn(byApplication, application) ? byApplication[application] : returnTo.default;
    if (!to) return;
    const about = { returnTo: `${to.host} ${to.port}`, controlId, type: 'ACK' };
    this.#queue.store({ keys: [`\ranswers ${about.returnTo}`], about }, answer, (_, refusal) => {
      if (refusal === undefined) return;
      const reason = REFUSALS[refusal];
      notice('warn', 'an answer for the return address could not be kept', { vip, controlId, reason });
    });
  }

  async #deliverLong(taken: TakenMessage): Promise<void> {
    const { id, size } = taken;
    const beginning = await this.#queue.read(id, 0).catch(() => 'not now' as const);
    if (this.#isLost) return;
    if (beginning === 'not now') this.#queue.failed(id, 'unsent', 'the queue cannot be read now');
    else if (!beginning) this.#queue.hold(id, DAMAGED);
    else if (this.#isDraining) this.#queue.failed(id, 'unsent', TAKEN_UP_LATER);
    else this.#deliver(taken, beginning, new QueueStream(this.#queue, id, size, beginning));
  }

  #deliver(taken: TakenMessage, content: Buffer, stream: QueueStream | undefined): void {
    const message = new StoredMessage(this.#host.vip, taken, this.#bound.get(taken.id), this);
    const [host, port] = taken.about.returnTo?.split(' ') ?? [];
    const to = host === undefined ? undefined : { host, port: Number(port) };
    const delivery = this.#host.deliver(message, content, stream, to);
    if (delivery.finished) return;
    this.#inHand.add(delivery);
    this.#look ??= this.#deadlines.after(LOOK_MS, () => this.#lookForExpired());
  }

  #lookForExpired(): void {
    const now = this.#host.now();
    for (const delivery of [...this.#inHand])
      if (!delivery.finished && delivery.isOverdue(now) && !isInLine(delivery)) this.#host.expire(delivery);
    if (this.#inHand.size > 0) this.#look!.restart();
    else this.#look = undefined;
  }

  #forget(id: number): void {
    this.#bound.delete(id);
    this.#refusals.delete(id);
  }
}
