/** One connection to a server that the test plays itself: a channel without a socket, a clock that the test turns. */

import type { Acknowledgement } from '../../../protocols/hl7/acknowledgement.ts';
import { acknowledgementMode } from '../../../protocols/hl7/acknowledgement.ts';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { MllpDecoder } from '../../../protocols/hl7/mllp-decoder.ts';
import type { GantryError } from '../../../src/errors.ts';
import { Delivery } from '../../../src/frontends/hl7/delivery.ts';
import { type Flushable, FlushQueue } from '../../../src/frontends/hl7/flush-queue.ts';
import type { Break, MessageStream, StreamReader } from '../../../src/frontends/hl7/message-stream.ts';
import type { Loss, OutboundListener, OutboundOptions } from '../../../src/frontends/hl7/outbound.ts';
import { OutboundConnection } from '../../../src/frontends/hl7/outbound-connection.ts';
import type { Channel, ChannelHandler, Endpoint } from '../../../src/relay/channel.ts';
import type { Deadline, Deadlines } from '../../../src/relay/deadlines.ts';
import { hl7Message, type MessageOptions } from '../../peers/hl7-messages.ts';

/** Milliseconds in which a server has to answer, or to take a part. */
export const ANSWER_MS = 1000;

/** Turned by hand. */
export class TestClock implements Deadlines {
  time = 0;
  readonly #armed = new Map<object, { due: number; readonly expire: () => void }>();

  after(ms: number, expire: () => void): Deadline {
    const key = {};
    const restart = (again = ms) => this.#armed.set(key, { due: this.time + again, expire });
    restart();
    return { cancel: () => this.#armed.delete(key), restart };
  }

  close(): void {
    this.#armed.clear();
  }

  pass(ms: number): void {
    const until = this.time + ms;
    for (;;) {
      const [next] = [...this.#armed]
        .filter(([, { due }]) => due <= until)
        .sort(([, a], [, b]) => a.due - b.due);
      if (!next) break;
      this.#armed.delete(next[0]);
      this.time = Math.max(this.time, next[1].due);
      next[1].expire();
    }
    this.time = until;
  }
}

/** Asks its writers when the test says so. */
export class TestFlushQueue extends FlushQueue {
  readonly #writers: Flushable[] = [];

  override add(writer: Flushable): void {
    this.#writers.push(writer);
  }

  flush(): void {
    for (const writer of this.#writers.splice(0)) writer.flush();
  }
}

/** Keeps what is written. */
export class TestChannel implements Channel {
  handler: ChannelHandler;
  readonly remote: Endpoint = { host: '127.0.0.1', port: 1 };
  readonly local: Endpoint = { host: '127.0.0.1', port: 2 };
  bytesRead = 0;
  bytesWritten = 0;
  pending = 0;
  open = true;
  /** The kernel takes what is written at once; else when the test calls `take`. */
  takesAtOnce = true;
  /** FIN and RST that were sent. */
  readonly ends: ('end' | 'reset')[] = [];
  /** Views of what was written, as the channel keeps them until the kernel took them. */
  #waiting: { readonly bytes: Uint8Array; readonly done: (() => void) | undefined }[] = [];
  #taken: Buffer[] = [];

  constructor(handler: ChannelHandler) {
    this.handler = handler;
  }

  /** What the kernel has. */
  get sent(): Buffer {
    this.#taken = [Buffer.concat(this.#taken)];
    return this.#taken[0]!;
  }

  /** Frames that are whole at the server. */
  get frames(): Buffer[] {
    const frames: Buffer[] = [];
    const frame = (content: Buffer) => frames.push(Buffer.from(content));
    const broken = () => {
      throw new Error('the server read what is no frame');
    };
    new MllpDecoder({ frame, dropped: broken, garbage: broken, overlong: broken }).push(this.sent);
    return frames;
  }

  write(bytes: Uint8Array, done?: () => void): boolean {
    if (!this.open) return true;
    this.bytesWritten += bytes.length;
    if (this.takesAtOnce && this.#waiting.length === 0) {
      this.#taken.push(Buffer.from(bytes));
      return true;
    }
    this.#waiting.push({ bytes, done });
    return false;
  }

  /** The kernel takes the first write that waits. False: none does. */
  take(): boolean {
    const first = this.#waiting.shift();
    if (!first || !this.open) return false;
    this.#taken.push(Buffer.from(first.bytes));
    first.done?.();
    return true;
  }

  takeAll(): void {
    while (this.take());
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.ends.push('end');
  }

  reset(): void {
    if (!this.open) return;
    this.open = false;
    this.ends.push('reset');
  }

  /** The server sends something. */
  receive(bytes: Buffer): void {
    if (this.open && !this.ends.includes('end')) this.handler.read(bytes);
  }

  /** The connection is lost. */
  lose(error?: GantryError): void {
    if (!this.open) return;
    this.open = false;
    this.handler.closed(error);
  }
}

export type Told =
  | { readonly what: 'answered'; readonly delivery: Delivery; readonly controlId: string | undefined }
  | { readonly what: 'unconfirmed' | 'not committed' | 'answered later'; readonly delivery: Delivery }
  | { readonly what: 'lost'; readonly delivery: Delivery; readonly loss: Loss };

export interface Stage extends OutboundListener {
  readonly connection: OutboundConnection;
  readonly channel: TestChannel;
  readonly clock: TestClock;
  readonly queue: TestFlushQueue;
  readonly told: Told[];
  /** `gone` was called. */
  isGone: boolean;
  /** Sends a message, as far as the channel takes it. */
  send(delivery: Delivery): void;
}

/** A connection that is there. */
export function stage(more: Partial<OutboundOptions> = {}): Stage {
  const clock = new TestClock();
  const queue = new TestFlushQueue();
  const told: Told[] = [];
  let channel!: TestChannel;
  const listener: OutboundListener = {
    connected() {},
    gone() {
      it.isGone = true;
    },
    answered(_, delivery, answer: Acknowledgement | undefined) {
      told.push({ what: 'answered', delivery, controlId: answer?.controlId });
    },
    unconfirmed: (_, delivery) => told.push({ what: 'unconfirmed', delivery }),
    committed() {},
    notCommitted: (_, delivery) => told.push({ what: 'not committed', delivery }),
    answeredLater: (delivery) => told.push({ what: 'answered later', delivery }),
    notAnsweredLater() {},
    lost: (delivery, loss) => told.push({ what: 'lost', delivery, loss }),
  };
  const connection = new OutboundConnection({ host: '127.0.0.1', port: 1 }, listener, {
    blocks: { startBlock: 0x0b, endBlock: 0x1c },
    maxFrame: 64 * 1024 * 1024,
    ackMatch: 'strict',
    connectTimeout: 2000,
    responseTimeout: undefined,
    from: undefined,
    tls: undefined,
    proxyHeader: undefined,
    dial: (_, handler) => {
      channel = new TestChannel(handler);
      return channel;
    },
    deadlines: clock,
    queue,
    now: () => clock.time,
    ...more,
  });
  connection.connected();
  const it: Stage = {
    ...listener,
    connection,
    channel,
    clock,
    queue,
    told,
    isGone: false,
    send(delivery) {
      const content = delivery.stream ? undefined : contents.get(delivery);
      connection.send(delivery, content, ANSWER_MS, clock.time);
      queue.flush();
    },
  };
  return it;
}

const contents = new WeakMap<Delivery, Buffer>();

/** What was to be sent. */
export function contentOf(delivery: Delivery): Buffer {
  return contents.get(delivery)!;
}

/** A message in hand, with a courier that nobody asks. */
export function deliveryOf(options: MessageOptions, stream?: MessageStream): Delivery {
  const content = hl7Message(options);
  const message = openMessage(content);
  const courier = { vip: 'TEST' } as unknown as ConstructorParameters<typeof Delivery>[0];
  const origin = { latest: undefined } as unknown as ConstructorParameters<typeof Delivery>[1];
  const plan = {} as unknown as ConstructorParameters<typeof Delivery>[4];
  const delivery = new Delivery(
    courier,
    origin,
    message,
    acknowledgementMode(message),
    plan,
    5000,
    0,
    stream,
  );
  contents.set(delivery, content);
  return delivery;
}

/** A stream in the test's hands: it gives a part when asked and told to. */
export class TestStream implements MessageStream {
  readonly beginning: Buffer;
  readonly rest: readonly Buffer[];
  /** What becomes of it after its last part. */
  readonly ending: 'end' | Break;
  isCancelled = false;
  /** Parts and ends that were asked for. */
  asked = 0;
  /** Gives its parts as soon as they are asked for; else when the test calls `give`. */
  isReady = true;
  #reader: StreamReader | undefined;
  #at = 0;

  constructor(whole: Buffer, cuts: readonly number[], ending: 'end' | Break = 'end') {
    const at = [...cuts.map((cut) => Math.min(cut, whole.length)), whole.length].sort((a, b) => a - b);
    this.beginning = whole.subarray(0, at[0]);
    this.rest = at.slice(1).map((end, index) => whole.subarray(at[index], end));
    this.ending = ending;
  }

  next(reader: StreamReader): void {
    this.asked++;
    this.#reader = reader;
    if (this.isReady) this.give();
  }

  /** Gives what was asked for. False: nothing was. */
  give(): boolean {
    const reader = this.#reader;
    if (!reader) return false;
    this.#reader = undefined;
    const part = this.rest[this.#at++];
    if (part) reader.part(part);
    else if (this.ending === 'end') reader.end();
    else reader.broken(this.ending);
    return true;
  }

  rewind(): boolean {
    this.#reader = undefined;
    this.#at = 0;
    return true;
  }

  cancel(): void {
    this.isCancelled = true;
    this.#reader = undefined;
  }
}
