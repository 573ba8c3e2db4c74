/** Writes big-endian fields and nested items of 16-bit length into memory that grows. For small PDUs, not for data. */
import { GrowingBuffer } from './growing-buffer.ts';

export class ByteWriter {
  readonly #buffer = new GrowingBuffer();

  uint8(value: number): this {
    return this.bytes(Uint8Array.of(value));
  }

  uint16(value: number): this {
    return this.bytes(Uint8Array.of(value >>> 8, value));
  }

  uint32(value: number): this {
    return this.bytes(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
  }

  bytes(bytes: Uint8Array): this {
    this.#buffer.append(bytes, 0, bytes.length);
    return this;
  }

  /** Characters of one byte each. */
  text(text: string): this {
    return this.bytes(Buffer.from(text, 'latin1'));
  }

  /** What `write` writes, with its 16-bit length before it. Throws RangeError when that is longer than 65535 bytes. */
  sized(write: (writer: ByteWriter) => void): this {
    const inner = new ByteWriter();
    write(inner);
    const bytes = inner.finish();
    if (bytes.length > 0xffff) throw new RangeError(`${bytes.length} bytes do not fit a 16-bit length`);
    return this.uint16(bytes.length).bytes(bytes);
  }

  /** What was written; the writer is empty afterwards. */
  finish(): Buffer {
    return this.#buffer.take();
  }
}
