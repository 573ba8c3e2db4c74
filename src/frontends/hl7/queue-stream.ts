/**
 * A message of the durable queue that is too long to be handed out whole, read from the disk piece by piece. Some pieces
 * are read before they are asked for: while the disk takes in what comes, each reading waits for it.
 */
import type { Queue } from '../../queue/queue.ts';
import { whenFree } from '../../relay/read-buffers.ts';
import type { Break, MessageStream, StreamReader } from './message-stream.ts';

/** Pieces of one message that are asked for or wait, and of all messages, beyond one for each. */
const AHEAD = 4;
const MOST_AHEAD = 32;

let ahead = 0;

const EMPTY: Buffer = Buffer.alloc(0);

type Pieces = Pick<Queue, 'read' | 'giveBack'>;

export class QueueStream implements MessageStream {
  #beginning: Buffer;
  readonly #queue: Pieces;
  readonly #id: number;
  readonly #size: number;
  /** How many pieces there are. */
  readonly #count: number;
  /** Bytes that the reader has, of the beginning or after it. */
  #read: number;
  /** The piece that is asked for next. */
  #number = 1;
  /** Pieces that come next, asked for already. */
  #coming: Promise<Buffer | Break>[] = [];
  /** The piece that the reader has. */
  #part = EMPTY;
  /** Changes whenever pieces that are on their way are not wanted any more. */
  #reading = 0;

  /** `beginning`: the first piece, which the stream gives back. */
  constructor(queue: Pieces, id: number, size: number, beginning: Buffer) {
    this.#queue = queue;
    this.#id = id;
    this.#size = size;
    this.#count = Math.ceil(size / beginning.length);
    this.#beginning = beginning;
    this.#read = beginning.length;
  }

  get beginning(): Buffer {
    return this.#beginning;
  }

  next(reader: StreamReader): void {
    this.#letGo();
    if (this.#read === this.#size) {
      reader.end();
      return;
    }
    this.#ask();
    const reading = this.#reading;
    const coming = this.#coming.shift();
    if (!coming) {
      reader.broken('its body is damaged');
      return;
    }
    void coming.then((piece) => {
      ahead--;
      if (reading !== this.#reading) {
        this.#giveBack(piece);
      } else if (typeof piece === 'string') {
        reader.broken(piece);
      } else {
        this.#part = piece;
        this.#read += piece.length;
        if (piece.length === 0 || this.#read > this.#size) reader.broken('its body is damaged');
        else reader.part(piece);
      }
    });
  }

  rewind(): boolean {
    this.#stop();
    this.#number = 1;
    this.#read = this.#beginning.length;
    return true;
  }

  cancel(): void {
    this.#stop();
    this.#giveBack(this.#beginning);
    this.#beginning = EMPTY;
  }

  #ask(): void {
    while (this.#coming.length < AHEAD && this.#number < this.#count) {
      if (this.#coming.length > 0 && ahead >= MOST_AHEAD) return;
      ahead++;
      this.#coming.push(
        this.#queue.read(this.#id, this.#number++).then(
          (piece) => piece ?? 'its body is damaged',
          () => 'the queue cannot be read now',
        ),
      );
    }
  }

  #stop(): void {
    this.#reading++;
    this.#letGo();
    for (const piece of this.#coming.splice(0)) {
      void piece.then((bytes) => {
        ahead--;
        this.#giveBack(bytes);
      });
    }
  }

  #letGo(): void {
    this.#giveBack(this.#part);
    this.#part = EMPTY;
  }

  #giveBack(piece: Buffer | Break): void {
    if (typeof piece !== 'string' && piece !== EMPTY) whenFree(piece, () => this.#queue.giveBack(piece));
  }
}
