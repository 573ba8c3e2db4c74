/**
 * Writes a streamed message to a server: start block and beginning, then part by part as the server takes it, then the
 * end block. A part is asked for when the one before was taken, so that a slow server slows the sender down and nothing
 * piles up in between.
 */
import { CARRIAGE_RETURN, type MllpBlocks } from '../../../protocols/hl7/mllp.ts';
import type { Channel } from '../../relay/channel.ts';
import type { Delivery } from './delivery.ts';
import type { Break, MessageStream, StreamReader } from './message-stream.ts';

/** Who is told: the connection it is written on. */
export interface StreamHost {
  /** It is the server's turn: it has bytes to take. */
  serverIsSlow(): void;
  /** It is the sender's turn: the server has taken everything so far. */
  senderIsSlow(): void;
  /** The channel has the end block. */
  streamEnded(): void;
  /** The kernel has it too. */
  streamTaken(): void;
  /** The end block must not be written. */
  streamBroken(why: Break): void;
}

export class StreamWriter implements StreamReader {
  readonly #channel: Channel;
  readonly #host: StreamHost;
  readonly #startBlock: Buffer;
  readonly #endBlock: Buffer;
  #delivery: Delivery | undefined;
  #stream: MessageStream | undefined;
  #isEnding = false;
  /** A stream may have its next part ready at once: asking for it is a loop, not a recursion. */
  #isAsking = false;
  #asksAgain = false;

  constructor(channel: Channel, host: StreamHost, { startBlock, endBlock }: Required<MllpBlocks>) {
    this.#channel = channel;
    this.#host = host;
    this.#startBlock = Buffer.of(startBlock);
    this.#endBlock = Buffer.of(endBlock, CARRIAGE_RETURN);
  }

  /** `delivery` has a stream. */
  begin(delivery: Delivery): void {
    const stream = delivery.stream!;
    this.#delivery = delivery;
    this.#stream = stream;
    this.#isEnding = false;
    delivery.length = stream.beginning.length;
    this.#channel.write(this.#startBlock);
    this.#write(stream.beginning);
  }

  /** Writes no more of it, and wants no more. */
  stop(): void {
    this.#stream = undefined;
    this.#delivery = undefined;
  }

  part(bytes: Buffer): void {
    if (!this.#delivery) return;
    this.#delivery.length += bytes.length;
    this.#write(bytes);
  }

  end(): void {
    if (!this.#stream) return;
    this.#isEnding = true;
    const isTaken = this.#channel.write(this.#endBlock, this.#taken);
    this.#host.streamEnded();
    if (isTaken) this.#goOn();
  }

  broken(why: Break): void {
    if (!this.#stream) return;
    this.stop();
    this.#host.streamBroken(why);
  }

  #write(bytes: Buffer): void {
    if (this.#channel.write(bytes, this.#taken)) this.#goOn();
    else this.#host.serverIsSlow();
  }

  readonly #taken = (): void => {
    if (!this.#stream) return;
    if (!this.#isEnding) this.#host.senderIsSlow();
    this.#goOn();
  };

  #goOn(): void {
    if (this.#isEnding) {
      this.stop();
      this.#host.streamTaken();
    } else if (this.#isAsking) {
      this.#asksAgain = true;
    } else {
      this.#isAsking = true;
      do {
        this.#asksAgain = false;
        this.#stream?.next(this);
      } while (this.#asksAgain);
      this.#isAsking = false;
    }
  }
}
