/**
 * A message that is too long to be kept: how it begins, and the rest as it comes. It has one reader, who asks for each
 * part, so that no more is taken from the sender, or from the disk, than the server takes.
 */

/** Why the rest of a message will not come, or must not be sent. */
export type Break =
  | 'its sender left'
  | 'its sender began anew'
  | 'it is too long'
  | 'it is a repetition'
  | 'its body is damaged'
  | 'the queue cannot be read now';

export interface MessageStream {
  /** The first 256 KiB, or a little more: the whole header, and PID. Valid until `cancel`, or `shorten`. */
  readonly beginning: Buffer;
  /** Asks for what follows the part before, first of all for what follows the beginning. Told once, perhaps at once. */
  next(reader: StreamReader): void;
  /** The next part is the one behind the beginning again, for another server. False: what was read is gone. */
  rewind(): boolean;
  /** Of its beginning so many bytes are wanted from now on, and no `rewind`. Views of it from before are empty. */
  shorten?(length: number): void;
  /** Nobody wants the rest: it is read and thrown away. */
  cancel(): void;
}

export interface StreamReader {
  /** Valid until `next`, `rewind` or `cancel` is called. */
  part(bytes: Buffer): void;
  /** There is no more: the message is whole. */
  end(): void;
  /** What was sent of it must never become a message: no end block follows. */
  broken(why: Break): void;
}

/** A message that is longer than this is streamed, in bytes. */
export const STREAMED_ABOVE = 256 * 1024;
