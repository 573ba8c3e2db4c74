/**
 * The ClientHello that a TLS connection begins with, read without taking part in the handshake: which server name the
 * client wants (SNI), and which protocols it speaks (ALPN).
 *
 * A record (RFC 8446 5.1): type 16 (handshake), version 03 xx, length 2, fragment. The handshake message may lie over
 * any number of records. A ClientHello (4.1.2):
 *
 *      1  type 01, then its length in 3 bytes
 *      2  version, 32 random bytes
 *      1  session id, its length before it
 *      2  cipher suites, likewise
 *      1  compression methods, likewise
 *      2  extensions, likewise: each type 2, length 2, data
 *
 * server_name (RFC 6066 3): list length 2, then type 00 (host_name), length 2, name. ALPN (RFC 7301 3.1): list length
 * 2, then names with a length of 1 byte each.
 */
import { GrowingBuffer } from '../bytes/growing-buffer.ts';

export interface ClientHello {
  /** In lower case; undefined when there is none, or one with characters that no name has. */
  readonly sni: string | undefined;
  /** In the client's order. */
  readonly alpn: readonly string[];
}

export interface ClientHelloReader {
  /**
   * Takes the next bytes of a connection. Undefined: more are needed. `not-tls`: these bytes begin no ClientHello, or
   * one of more than 16 KiB. After an answer it is of no more use.
   */
  push(bytes: Buffer): ClientHello | 'not-tls' | undefined;
  /** Everything that was pushed, to be passed on: a view, valid as long as the last chunk, and until the next push. */
  readonly bytes: Buffer;
}

/** Longest ClientHello that is read, record headers included. Those with post-quantum keys have about 2 KiB. */
export const CLIENT_HELLO_CAP = 16 * 1024;

export function createClientHelloReader(): ClientHelloReader {
  return new Reader();
}

const RECORD_HEADER = 5;
const HANDSHAKE_RECORD = 0x16;
/** RFC 8446 5.1. */
const LONGEST_FRAGMENT = 16 * 1024;
const MESSAGE_HEADER = 4;
const CLIENT_HELLO = 1;

const EMPTY = Buffer.alloc(0);

class Reader implements ClientHelloReader {
  /** All chunks but a first one that decided. */
  readonly #collected = new GrowingBuffer();
  #bytes: Buffer = EMPTY;
  /** Fragments of the message, when it lies over more than one record. */
  readonly #message = new GrowingBuffer();
  /** Where the next record begins. */
  #at = 0;

  get bytes(): Buffer {
    return this.#bytes;
  }

  push(bytes: Buffer): ClientHello | 'not-tls' | undefined {
    const isFirst = this.#collected.length === 0;
    if (isFirst) this.#bytes = bytes;
    else this.#collect(bytes);
    const answer = this.#read();
    if (answer === undefined && this.#bytes.length >= CLIENT_HELLO_CAP) return 'not-tls';
    if (answer === undefined && isFirst) this.#collect(bytes);
    return answer;
  }

  #collect(bytes: Buffer): void {
    this.#collected.append(bytes, 0, bytes.length);
    this.#bytes = this.#collected.view();
  }

  #read(): ClientHello | 'not-tls' | undefined {
    const bytes = this.#bytes;
    for (;;) {
      const at = this.#at;
      // What is there of the record's header must fit.
      if ((bytes[at] ?? HANDSHAKE_RECORD) !== HANDSHAKE_RECORD || (bytes[at + 1] ?? 3) !== 3)
        return 'not-tls';
      if (bytes.length < at + RECORD_HEADER) return undefined;
      const length = bytes.readUInt16BE(at + 3);
      // RFC 8446 5.1: no fragment of a handshake is empty.
      if (length === 0 || length > LONGEST_FRAGMENT) return 'not-tls';
      const start = at + RECORD_HEADER;
      if (this.#message.length === 0 && (bytes[start] ?? CLIENT_HELLO) !== CLIENT_HELLO) return 'not-tls';
      if (bytes.length < start + length) return undefined;
      this.#at = start + length;
      const fragment = bytes.subarray(start, start + length);
      const message = this.#message.length === 0 ? fragment : this.#withFragments(fragment);
      const whole = messageLength(message);
      if (whole !== undefined && whole > CLIENT_HELLO_CAP) return 'not-tls';
      if (whole !== undefined && message.length >= whole) {
        return readHello(message.subarray(MESSAGE_HEADER, whole)) ?? 'not-tls';
      }
      if (message === fragment) this.#withFragments(fragment);
    }
  }

  #withFragments(fragment: Buffer): Buffer {
    this.#message.append(fragment, 0, fragment.length);
    return this.#message.view();
  }
}

/** Header included; undefined when that is not there. */
function messageLength(message: Buffer): number | undefined {
  return message.length < MESSAGE_HEADER ? undefined : MESSAGE_HEADER + message.readUIntBE(1, 3);
}

/** Bytes taken one field after another; a field that reaches beyond the end makes `failed` true and reads as empty. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;
  failed = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isDone(): boolean {
    return this.failed || this.#at === this.#bytes.length;
  }

  bytes(length: number): Buffer {
    const end = this.#at + length;
    if (this.failed || end > this.#bytes.length) {
      this.failed = true;
      return EMPTY;
    }
    const field = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return field;
  }

  number(size: 1 | 2): number {
    const field = this.bytes(size);
    return this.failed ? 0 : field.readUIntBE(0, size);
  }

  /** A field whose length stands before it in `size` bytes. */
  sized(size: 1 | 2): Buffer {
    return this.bytes(this.number(size));
  }
}

const SERVER_NAME = 0;
const ALPN = 16;
const HOST_NAME = 0;

/** Undefined when it is malformed. */
function readHello(message: Buffer): ClientHello | undefined {
  const fields = new Fields(message);
  fields.bytes(2 + 32);
  fields.sized(1);
  fields.sized(2);
  fields.sized(1);
  let sni: string | undefined;
  let alpn: string[] = [];
  // Before TLS 1.3 a ClientHello may end here.
  const extensions = new Fields(fields.isDone ? EMPTY : fields.sized(2));
  while (!extensions.isDone) {
    const type = extensions.number(2);
    const data = new Fields(extensions.sized(2));
    if (type === SERVER_NAME) sni = readServerName(data);
    else if (type === ALPN) alpn = readProtocols(data);
    if (data.failed) return undefined;
  }
  return fields.failed || extensions.failed ? undefined : { sni, alpn };
}

function readServerName(data: Fields): string | undefined {
  const names = new Fields(data.sized(2));
  while (!names.isDone) {
    const type = names.number(1);
    const name = names.sized(2).toString('latin1');
    if (type === HOST_NAME && /^[\w.-]{1,255}$/.test(name)) return name.toLowerCase();
  }
  data.failed ||= names.failed;
  return undefined;
}

function readProtocols(data: Fields): string[] {
  const protocols: string[] = [];
  const names = new Fields(data.sized(2));
  while (!names.isDone) protocols.push(names.sized(1).toString('latin1'));
  data.failed ||= names.failed;
  return protocols;
}
