/**
 * Follows the PDUs of one direction of an association while its bytes pass: nothing is held but the fragments of a
 * command. Of P-DATA-TF (PS3.8 Table 9-22, Table 9-23, Annex E) it reads the headers, and jumps over data by length:
 *
 *     PDU header (6)  then, until the PDU is full, PDVs:
 *     offset  length
 *          0       4  item length: ID, control header and fragment, big endian
 *          4       1  presentation context ID
 *          5       1  message control header: bit 0 command (1) or data set (0), bit 1 last fragment
 *          6          fragment
 *
 * Nothing is allocated per chunk. Bytes are judged one by one only in headers.
 */
import { GrowingBuffer } from '../bytes/growing-buffer.ts';
import { type Command, type DecodeOptions, decodeCommand } from './command-set.ts';
import { COMMAND_BIT, LAST_BIT, PDV_HEADER_LENGTH } from './p-data.ts';
import { isPduType, PDU, PDU_HEADER_LENGTH } from './pdu.ts';

/** Hears what passes, during `push`, in the order of the bytes. */
export interface PduSink {
  /** A PDU header is complete. `length`: of the variable field, in bytes. */
  pduStart?(type: number, length: number): void;
  /** The last byte of a PDU. `source` and `reason` are those of an A-ABORT or A-ASSOCIATE-RJ, else 0. */
  pduEnd(type: number, source: number, reason: number): void;
  /** A PDV begins: of a command set or a data set, the last of it or not; `length`: of its fragment, in bytes. */
  fragmentStart?(contextId: number, isCommand: boolean, isLast: boolean, length: number): void;
  /** Bytes of the fragment under way: those from `start` to `end`, valid during the call. */
  fragmentBytes?(bytes: Uint8Array, start: number, end: number): void;
  /** The last fragment of a command set. */
  command(command: Command, contextId: number): void;
  /** The last fragment of a data set. */
  dataEnd?(contextId: number): void;
  /** The bytes break PS3.8, so that nothing behind them can be known. Called once; nothing else follows. */
  fault(message: string): void;
}

export interface PduFollower {
  /** Takes the next bytes of this direction, in pieces of any size. Keeps nothing of them. */
  push(bytes: Uint8Array): void;
  /** No byte of a PDU has passed without the rest of that PDU: an A-ABORT may follow here. False for ever after a fault. */
  readonly atBoundary: boolean;
  /** Between the first and the last byte of a PDU, as far as known. False for ever after a fault. */
  readonly insidePdu: boolean;
  /** A command set has begun that goes on in another fragment. */
  readonly insideCommand: boolean;
  /** The type of the PDU under way; 0 between PDUs, and while its header is not complete. */
  readonly pduType: number;
  /** There was a fault. */
  readonly blind: boolean;
  /** Bytes of data set fragments that passed. */
  readonly dataBytes: number;
}

/** The longest command set that is collected, in bytes: real ones have a few hundred. */
export const COMMAND_CAP = 64 * 1024;

/** `strict`: command sets are judged as decodeCommand judges them with it; what is wrong with one is a fault. */
export function createPduFollower(sink: PduSink, options: DecodeOptions = {}): PduFollower {
  return new Follower(sink, options);
}

/** What the next byte is part of. */
const PDU_HEADER = 0;
const PDV_HEADER = 1;
const COMMAND_FRAGMENT = 2;
const DATA_FRAGMENT = 3;
/** The variable field of a PDU that is not P-DATA-TF. */
const OTHER = 4;

/** No presentation context: their ids are bytes. */
const NONE = -1;

class Follower implements PduFollower {
  readonly #sink: PduSink;
  readonly #options: DecodeOptions;
  #expects = PDU_HEADER;
  #blind = false;
  /** Of the header under way: how many bytes there are, and its length field so far. */
  #headerBytes = 0;
  #length = 0;

  #type = 0;
  /** Bytes of the PDU that are still to come. */
  #pduLeft = 0;
  #source = 0;
  #reason = 0;

  #contextId = 0;
  #control = 0;
  /** Bytes of the fragment that are still to come. */
  #fragmentLeft = 0;
  readonly #command = new GrowingBuffer();
  /** The context whose command set is incomplete, or NONE. */
  #commandContext = NONE;
  #dataBytes = 0;

  constructor(sink: PduSink, options: DecodeOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  get atBoundary(): boolean {
    return this.#expects === PDU_HEADER && this.#headerBytes === 0 && !this.#blind;
  }

  get insidePdu(): boolean {
    return !this.#blind && !this.atBoundary;
  }

  get insideCommand(): boolean {
    return this.#commandContext !== NONE;
  }

  get pduType(): number {
    return this.#type;
  }

  get blind(): boolean {
    return this.#blind;
  }

  get dataBytes(): number {
    return this.#dataBytes;
  }

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.#blind) {
      switch (this.#expects) {
        case PDU_HEADER:
          at = this.#readPduHeader(bytes, at);
          break;
        case PDV_HEADER:
          at = this.#readPdvHeader(bytes, at);
          break;
        case COMMAND_FRAGMENT:
          at = this.#readCommand(bytes, at);
          break;
        case DATA_FRAGMENT: {
          const length = Math.min(bytes.length - at, this.#fragmentLeft);
          this.#sink.fragmentBytes?.(bytes, at, at + length);
          at += length;
          this.#dataBytes += length;
          this.#passed(length);
          break;
        }
        default:
          at = this.#readOther(bytes, at);
      }
    }
  }

  #readPduHeader(bytes: Uint8Array, start: number): number {
    let at = start;
    while (at < bytes.length && this.#headerBytes < PDU_HEADER_LENGTH) {
      const byte = bytes[at++]!;
      if (this.#headerBytes === 0) {
        if (!isPduType(byte)) {
          this.#fail('a byte where a PDU should begin begins none');
          return at;
        }
        this.#type = byte;
      } else if (this.#headerBytes >= 2) {
        this.#length = this.#length * 256 + byte;
      }
      this.#headerBytes++;
    }
    if (this.#headerBytes === PDU_HEADER_LENGTH) this.#startPdu();
    return at;
  }

  #startPdu(): void {
    this.#pduLeft = this.#length;
    this.#headerBytes = 0;
    this.#length = 0;
    this.#source = 0;
    this.#reason = 0;
    this.#sink.pduStart?.(this.#type, this.#pduLeft);
    if (this.#pduLeft === 0) this.#endPdu();
    else this.#expects = this.#type === PDU.P_DATA_TF ? PDV_HEADER : OTHER;
  }

  #endPdu(): void {
    const type = this.#type;
    this.#expects = PDU_HEADER;
    this.#type = 0;
    this.#sink.pduEnd(type, this.#source, this.#reason);
  }

  #readPdvHeader(bytes: Uint8Array, start: number): number {
    let at = start;
    if (this.#headerBytes === 0 && this.#pduLeft < PDV_HEADER_LENGTH) {
      this.#fail('a P-DATA-TF ends inside the header of a PDV');
      return at;
    }
    while (at < bytes.length && this.#headerBytes < PDV_HEADER_LENGTH) {
      const byte = bytes[at++]!;
      if (this.#headerBytes < 4) this.#length = this.#length * 256 + byte;
      else if (this.#headerBytes === 4) this.#contextId = byte;
      else this.#control = byte;
      this.#headerBytes++;
    }
    if (this.#headerBytes === PDV_HEADER_LENGTH) this.#startFragment();
    return at;
  }

  #startFragment(): void {
    const fragment = this.#length - 2;
    this.#headerBytes = 0;
    this.#length = 0;
    this.#pduLeft -= PDV_HEADER_LENGTH;
    const isCommand = (this.#control & COMMAND_BIT) !== 0;
    const broken = this.#brokenRule(fragment, isCommand);
    if (broken !== undefined) {
      this.#fail(broken);
      return;
    }
    if (isCommand) this.#commandContext = this.#contextId;
    this.#fragmentLeft = fragment;
    this.#sink.fragmentStart?.(this.#contextId, isCommand, (this.#control & LAST_BIT) !== 0, fragment);
    this.#expects = isCommand ? COMMAND_FRAGMENT : DATA_FRAGMENT;
    if (fragment === 0) this.#endFragment();
  }

  /** What is wrong with a PDV of `fragment` bytes at this place, if anything. */
  #brokenRule(fragment: number, isCommand: boolean): string | undefined {
    if (fragment < 0) return 'a PDV is too short for its own header';
    if (fragment > this.#pduLeft) return 'a PDV is longer than its PDU';
    if (this.#commandContext !== NONE && (!isCommand || this.#commandContext !== this.#contextId)) {
      return 'another message begins inside a command set';
    }
    if (isCommand && this.#command.length + fragment > COMMAND_CAP) return 'a command set is too long';
    return undefined;
  }

  #readCommand(bytes: Uint8Array, start: number): number {
    const end = Math.min(bytes.length, start + this.#fragmentLeft);
    this.#command.append(bytes, start, end);
    this.#sink.fragmentBytes?.(bytes, start, end);
    this.#passed(end - start);
    return end;
  }

  /** `length` bytes of the fragment under way passed. */
  #passed(length: number): void {
    this.#pduLeft -= length;
    this.#fragmentLeft -= length;
    if (this.#fragmentLeft === 0) this.#endFragment();
  }

  #endFragment(): void {
    if ((this.#control & LAST_BIT) !== 0) {
      if (this.#expects === COMMAND_FRAGMENT) this.#endCommand();
      else this.#sink.dataEnd?.(this.#contextId);
      if (this.#blind) return;
    }
    if (this.#pduLeft === 0) this.#endPdu();
    else this.#expects = PDV_HEADER;
  }

  #endCommand(): void {
    let command: Command;
    try {
      command = decodeCommand(this.#command.view(), this.#options);
    } catch (fault) {
      this.#fail((fault as Error).message);
      return;
    }
    this.#command.clear();
    this.#commandContext = NONE;
    this.#sink.command(command, this.#contextId);
  }

  /** Jumps over the variable field, but for the source and reason that the short PDUs keep in bytes 2 and 3 of it. */
  #readOther(bytes: Uint8Array, start: number): number {
    const end = Math.min(bytes.length, start + this.#pduLeft);
    if (this.#type === PDU.A_ABORT || this.#type === PDU.A_ASSOCIATE_RJ) {
      for (let at = start; at < end; at++) {
        this.#source = this.#reason;
        this.#reason = bytes[at]!;
      }
    }
    this.#pduLeft -= end - start;
    if (this.#pduLeft === 0) this.#endPdu();
    return end;
  }

  #fail(message: string): void {
    this.#blind = true;
    this.#type = 0;
    this.#command.take();
    this.#sink.fault(message);
  }
}
