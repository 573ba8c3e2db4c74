/** A message of the durable queue that is too long to be handed out whole, read from the disk piece by piece. */
import type { Queue } from '../../queue/queue.ts';
import type { MessageStream, StreamReader } from './message-stream.ts';

export class QueueStream implements MessageStream {
  readonly beginning: Buffer;
  readonly #queue: Pick<Queue, 'read'>;
  readonly #id: number;
  readonly #size: number;
  /** Bytes that were read, of the beginning or after it. */
  #read: number;
  /** The piece that comes next. */
  #number = 1;
  /** Changes whenever pieces that are on their way are not wanted any more. */
  #reading = 0;

  /** `beginning`: the first piece. */
  constructor(queue: Pick<Queue, 'read'>, id: number, size: number, beginning: Buffer) {
    this.#queue = queue;
    this.#id = id;
    this.#size = size;
    this.beginning = beginning;
    this.#read = beginning.length;
  }

  next(reader: StreamReader): void {
    if (this.#read === this.#size) {
      reader.end();
      return;
    }
    const reading = this.#reading;
    const had = (piece: Buffer | undefined) => {
      if (reading !== this.#reading) return;
      if (!piece || piece.length === 0 || this.#read + piece.length > this.#size) {
        reader.broken('its body is damaged');
        return;
      }
      this.#read += piece.length;
      reader.part(piece);
    };
    this.#queue.read(this.#id, this.#number++).then(had, () => {
      if (reading === this.#reading) reader.broken('the queue cannot be read now');
    });
  }

  rewind(): boolean {
    this.#reading++;
    this.#number = 1;
    this.#read = this.beginning.length;
    return true;
  }

  cancel(): void {
    this.#reading++;
  }
}
