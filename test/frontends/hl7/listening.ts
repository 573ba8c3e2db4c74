/**
 * A sender's bytes given to a `Reception` by hand: no sockets, no clock. Every buffer is spoilt as soon as the rules of
 * channels allow it to be read into again.
 */
import type { MllpDecoderOptions } from '../../../protocols/hl7/mllp-decoder.ts';
import type { InboundStream } from '../../../src/frontends/hl7/inbound-stream.ts';
import type { Break, StreamReader } from '../../../src/frontends/hl7/message-stream.ts';
import { Reception, type Recipient } from '../../../src/frontends/hl7/reception.ts';
import type { Channel } from '../../../src/relay/channel.ts';
import { createDeadlines, type Deadlines } from '../../../src/relay/deadlines.ts';

/** A long message as its reader sees it. */
export class LongMessage implements StreamReader {
  readonly stream: InboundStream;
  readonly parts: Buffer[] = [];
  /** `end`, or why not. */
  outcome: 'end' | Break | undefined;
  isAsking = false;
  /** Asks for each part as soon as it has the one before. */
  isEager = false;

  constructor(stream: InboundStream) {
    this.stream = stream;
    this.parts.push(Buffer.from(stream.beginning));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts);
  }

  ask(): void {
    if (this.isAsking || this.outcome) return;
    this.isAsking = true;
    this.stream.next(this);
  }

  part(bytes: Buffer): void {
    this.isAsking = false;
    this.parts.push(Buffer.from(bytes));
    if (this.isEager) this.ask();
  }

  end(): void {
    this.isAsking = false;
    this.outcome = 'end';
  }

  broken(why: Break): void {
    this.isAsking = false;
    this.outcome = why;
  }
}

export interface Listening {
  readonly reception: Reception;
  /** What came, in order: messages, long ones, and what was said. */
  readonly heard: (Buffer | LongMessage | string)[];
  readonly longMessages: LongMessage[];
  readonly isPaused: boolean;
  /** No more messages are taken. */
  isFull: boolean;
  /** Pushes bytes; not while paused. */
  push(bytes: Buffer | string): void;
}

type Options = Pick<MllpDecoderOptions, 'maxFrame'> & {
  readonly release2?: boolean;
  readonly deadlines?: Deadlines;
};

/** `take` gets each long message when it begins. */
export function listenTo(options: Options = {}, take: (message: LongMessage) => void = () => {}): Listening {
  const heard: Listening['heard'] = [];
  const longMessages: LongMessage[] = [];
  let lent: Buffer | undefined;
  let isPaused = false;
  let isPushing = false;
  const spoil = (): void => {
    lent?.fill(0xee);
    lent = undefined;
  };
  const channel = {
    remote: { host: '192.0.2.1', port: 4321 },
    pause() {
      isPaused = true;
    },
    resume() {
      isPaused = false;
      if (!isPushing) spoil();
    },
  } as unknown as Channel;
  const recipient: Recipient = {
    get isFull() {
      return listening.isFull;
    },
    message: (content) => heard.push(Buffer.from(content)),
    longMessage(stream) {
      const message = new LongMessage(stream);
      heard.push(message);
      longMessages.push(message);
      take(message);
    },
    longMessageBreaks: (_, why) => heard.push(why),
    overlongMessage: (byteCount) => heard.push(`overlong ${byteCount > 0}`),
    unreadable: () => heard.push('unreadable'),
    heard() {},
  };
  const { maxFrame = 64 * 1024 * 1024, release2 = false, deadlines = createDeadlines() } = options;
  const reception = new Reception(
    channel,
    { vip: 'RIS', blocks: {}, maxFrame, release2, deadlines },
    recipient,
  );
  const listening = {
    reception,
    heard,
    longMessages,
    isFull: false,
    get isPaused() {
      return isPaused;
    },
    push(bytes: Buffer | string) {
      if (isPaused) throw new Error('a paused channel reads nothing');
      lent = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
      isPushing = true;
      reception.push(lent);
      isPushing = false;
      if (!isPaused) spoil();
    },
  };
  return listening;
}
