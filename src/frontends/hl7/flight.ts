/** A message on its way to a server, on one connection. Used for one message after another. */
import { frameLength, type MllpBlocks, writeFrame } from '../../../protocols/hl7/mllp.ts';
import type { Delivery } from './delivery.ts';

/** Who is told of it: its connection. */
export interface FlightHost {
  /** The kernel has all of the message. */
  sentWhole(flight: Flight): void;
  /** The same, a little later: of a message that no answer is wanted to. */
  notAwaited(flight: Flight): void;
}

/**
 * How far it is: nothing was written, a part of a stream was, the channel has all of it, the kernel has. A server may
 * answer what the channel has: on TLS nobody hears at once that the kernel took it.
 */
type Progress = 'not yet' | 'in part' | 'handed over' | 'whole';

const EMPTY: Buffer = Buffer.alloc(0);
const SMALLEST = 2048;
/** A buffer larger than this is given back when its message is done. */
const LARGEST_KEPT = 65_536;

export class Flight {
  delivery: Delivery | undefined;
  written: Progress = 'not yet';
  /** Milliseconds that the server has to answer. */
  answerTime = 0;
  /** Clock time by which the answer must be there. */
  due = Infinity;
  /** The message in its frame is the first `#length` bytes. */
  #frame: Buffer = EMPTY;
  #length = 0;
  /** Used for one message after another. */
  #buffer: Buffer = EMPTY;
  readonly taken: () => void;
  readonly notAwaited: () => void;

  constructor(host: FlightHost) {
    this.taken = () => {
      if (!this.delivery || this.written !== 'handed over') return;
      this.written = 'whole';
      host.sentWhole(this);
    };
    this.notAwaited = () => host.notAwaited(this);
  }

  /** The server may have all of it, and answer. */
  get isHandedOver(): boolean {
    return this.written === 'handed over' || this.written === 'whole';
  }

  get frame(): Buffer {
    return this.#frame.length === this.#length ? this.#frame : this.#frame.subarray(0, this.#length);
  }

  /** `content` is the message when `delivery` has no copy of its own, and is no stream; it is copied. */
  board(delivery: Delivery, content: Buffer | undefined, blocks: Required<MllpBlocks>): void {
    this.delivery = delivery;
    this.written = 'not yet';
    if (delivery.frame) {
      this.#frame = withBlocks(delivery.frame, blocks);
      this.#length = delivery.frame.length;
    } else if (content) {
      const needed = frameLength(content.length);
      if (needed > this.#buffer.length) {
        this.#buffer = Buffer.allocUnsafeSlow(Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(needed))));
      }
      this.#frame = this.#buffer;
      this.#length = writeFrame(this.#buffer, 0, content, blocks);
    }
  }

  /** The message was answered. */
  land(): Delivery {
    const delivery = this.#leave();
    delivery.frame = undefined;
    if (this.#buffer.length > LARGEST_KEPT) this.#buffer = EMPTY;
    return delivery;
  }

  /** The message has to go once more: it takes its bytes with it. */
  turnBack(): Delivery {
    const delivery = this.#leave();
    if (delivery.stream || delivery.frame) return delivery;
    delivery.frame = this.#buffer.subarray(0, this.#length);
    this.#buffer = EMPTY;
    return delivery;
  }

  #leave(): Delivery {
    const delivery = this.delivery!;
    this.delivery = undefined;
    delivery.connection = undefined;
    this.due = Infinity;
    this.#frame = EMPTY;
    return delivery;
  }
}

/** A frame that was made for another connection, changed into one for a connection with these blocks. */
function withBlocks(frame: Buffer, { startBlock, endBlock }: Required<MllpBlocks>): Buffer {
  frame[0] = startBlock;
  frame[frame.length - 2] = endBlock;
  return frame;
}
