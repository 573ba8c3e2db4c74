/**
 * What comes from one sender: its frames are messages, the long ones streams, and no more is read than is taken. When
 * there is too much, the decoder stops behind the message at hand and the channel is paused.
 */
import { commitAcknowledgement, END_BLOCK_ALONE_MS, type MllpBlocks } from '../../../protocols/hl7/mllp.ts';
import { type DropReason, MllpDecoder, type MllpSink } from '../../../protocols/hl7/mllp-decoder.ts';
import { notice } from '../../observe/events.ts';
import type { Channel } from '../../relay/channel.ts';
import type { Deadline, Deadlines } from '../../relay/deadlines.ts';
import { InboundStream } from './inbound-stream.ts';
import { type Break, STREAMED_ABOVE } from './message-stream.ts';

export interface ReceptionOptions {
  readonly vip: string;
  readonly blocks: MllpBlocks;
  readonly maxFrame: number;
  readonly release2: boolean;
  readonly deadlines: Deadlines;
}

/** Who takes what comes. */
export interface Recipient {
  /** Takes nothing more for now. `regulate` is called when that changes. */
  readonly isFull: boolean;
  /** A message, valid during the call. */
  message(content: Buffer): void;
  /** A message that is longer than `STREAMED_ABOVE`. */
  longMessage(stream: InboundStream): void;
  /** The rest of the long message that came last will not come, as its reader hears next. */
  longMessageBreaks(stream: InboundStream, why: Break): void;
  /** A message was too long. Nothing more comes. Its beginning is valid during the call. */
  overlongMessage(byteCount: number, beginning: Buffer): void;
  /** What came was not MLLP. Nothing more comes. */
  unreadable(): void;
  /** The sender was heard, or is listened to again. */
  heard(): void;
}

/** Frames that began and did not end, one after another. */
const MOST_BROKEN = 16;

const EMPTY: Buffer = Buffer.alloc(0);

const BREAKS: Readonly<Partial<Record<DropReason, Break>>> = {
  'start block inside a frame': 'its sender began anew',
  'connection ended inside a frame': 'its sender left',
};

export class Reception implements MllpSink {
  readonly #channel: Channel;
  readonly #options: ReceptionOptions;
  readonly #recipient: Recipient;
  readonly #decoder: MllpDecoder;
  /** The long message that is being read, or was read and not taken. */
  #stream: InboundStream | undefined;
  #paused = false;
  #isOver = false;
  #broken = 0;
  #endBlock: Deadline | undefined;

  constructor(channel: Channel, options: ReceptionOptions, recipient: Recipient) {
    this.#channel = channel;
    this.#options = options;
    this.#recipient = recipient;
    const { blocks, maxFrame } = options;
    this.#decoder = new MllpDecoder(this, { ...blocks, maxFrame, streamAbove: STREAMED_ABOVE });
  }

  get inFrame(): boolean {
    return this.#decoder.inFrame;
  }

  /** Nothing is read for now. */
  get paused(): boolean {
    return this.#paused;
  }

  /** The channel read this. */
  push(bytes: Buffer): void {
    this.#decoder.push(bytes);
    this.regulate();
    this.#heard();
  }

  /** The sender sent FIN. */
  end(): void {
    this.#decoder.end();
    this.stop();
  }

  /** Nothing that comes is heard any more. What was read and not taken is gone. */
  stop(): void {
    this.#isOver = true;
    this.#decoder.stop();
    this.#endBlock?.cancel();
    this.#breakStream('its sender left');
  }

  /** Reads on, or stops reading. */
  regulate(): void {
    if (this.#stream?.isOver && !this.#stream.holdsUp) this.#stream = undefined;
    if (this.#isOver) return;
    while (this.#decoder.paused && !this.#isFull) this.#decoder.resume();
    const pauses = this.#isFull;
    if (pauses === this.#paused || this.#isOver) return;
    this.#paused = pauses;
    if (pauses) {
      this.#channel.pause();
    } else {
      this.#channel.resume();
      this.#heard();
    }
  }

  // What the decoder tells.

  frame(content: Buffer): void {
    this.#broken = 0;
    const acknowledgement = this.#options.release2 ? commitAcknowledgement(content) : undefined;
    if (acknowledgement === 'not committed')
      this.#notice('warn', 'a sender did not take an acknowledgement', 1);
    else if (!acknowledgement) this.#recipient.message(content);
    if (this.#isFull) this.#decoder.pause();
  }

  began(beginning: Buffer): void {
    this.#stream = new InboundStream(beginning, () => this.regulate());
    this.#recipient.longMessage(this.#stream);
  }

  part(bytes: Buffer): void {
    this.#stream?.add(bytes);
  }

  whole(): void {
    this.#broken = 0;
    this.#stream?.end();
    if (this.#isFull) this.#decoder.pause();
  }

  dropped(reason: DropReason, byteCount: number): void {
    const { vip } = this.#options;
    const client = this.#channel.remote.host;
    notice('warn', 'a broken frame was dropped', { vip, client, reason, bytes: byteCount });
    const why = BREAKS[reason];
    if (why) this.#breakStream(why);
    this.#broken++;
    if (this.#broken > MOST_BROKEN) {
      this.#decoder.stop();
      this.#notice('warn', 'too many broken frames one after another: the connection was closed', byteCount);
      this.#recipient.unreadable();
    } else if (this.#isFull) {
      this.#decoder.pause();
    }
  }

  garbage(byteCount: number): void {
    // A line end between frames is habit with some senders.
    if (byteCount > 2) this.#notice('debug', 'bytes between frames were skipped', byteCount);
  }

  overlong(byteCount: number, what: 'frame' | 'garbage', beginning = EMPTY): void {
    if (what === 'garbage') {
      this.#notice('warn', 'too many bytes that are no MLLP frame: the connection was closed', byteCount);
      this.#recipient.unreadable();
      return;
    }
    this.#notice('warn', 'a message was longer than hl7.maxFrame allows', byteCount);
    if (this.#stream && !this.#stream.isOver) {
      this.#breakStream('it is too long');
      this.#recipient.unreadable();
    } else {
      this.#recipient.overlongMessage(byteCount, beginning);
    }
  }

  get #isFull(): boolean {
    return this.#recipient.isFull || (this.#stream?.holdsUp ?? false);
  }

  #breakStream(why: Break): void {
    const stream = this.#stream;
    if (!stream) return;
    if (!stream.isOver) this.#recipient.longMessageBreaks(stream, why);
    stream.breakOff(why);
  }

  #heard(): void {
    if (this.#isOver) return;
    if (this.#decoder.pendingEnd) {
      this.#endBlock ??= this.#options.deadlines.after(END_BLOCK_ALONE_MS, () => this.#endBlockAlone());
      this.#endBlock.restart();
    }
    this.#recipient.heard();
  }

  #endBlockAlone(): void {
    // What follows may be there already, and not be read.
    if (this.#paused) return;
    this.#decoder.flushPendingEnd();
    this.regulate();
    this.#heard();
  }

  #notice(level: 'debug' | 'warn', message: string, bytes: number): void {
    notice(level, message, { vip: this.#options.vip, client: this.#channel.remote.host, bytes });
  }
}
