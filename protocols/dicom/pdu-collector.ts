/**
 * Collects one whole PDU at a time, for the phases in which a conversation is a PDU each way: request, accept,
 * rejection, and the few messages of an echo check. Everything else is followed, not collected (pdu-follower.ts).
 */
import { GrowingBuffer } from '../bytes/growing-buffer.ts';
import { ASSOCIATE_LENGTH_CAP, isPduType, PDU, PDU_HEADER_LENGTH, type PduType, pduName } from './pdu.ts';
import { ABORT_REASON, invalid, PduFault } from './pdu-fault.ts';

export interface Collected {
  readonly type: PduType;
  /** The whole PDU, header included: a copy, owned by the receiver. */
  readonly pdu: Buffer;
  /** What followed in the same chunk: a view, valid as long as the chunk. Push it again for the next PDU. */
  readonly rest: Buffer;
}

export interface PduCollectorOptions {
  /** PDU type → longest variable field (what the length field says), in bytes; other types are unexpected. */
  readonly caps?: Readonly<Record<number, number>>;
}

export interface PduCollector {
  /**
   * Takes the next bytes; returns a PDU when it is whole, at most one per call.
   * Throws PduFault: at the first byte when it begins no PDU (`kind` tells TLS from garbage) or an unexpected one, at
   * the sixth when its length is over the cap. After that the collector is of no more use.
   */
  push(bytes: Buffer): Collected | undefined;
  /** Nothing of a next PDU has arrived. */
  readonly atBoundary: boolean;
  /** What has arrived of a PDU that is not whole yet: a view, valid until the next push. */
  readonly partial: Buffer;
}

/** What may come before an association is established. P-DATA-TF is unexpected there. */
export const ASSOCIATION_CAPS: Readonly<Record<number, number>> = {
  [PDU.A_ASSOCIATE_RQ]: ASSOCIATE_LENGTH_CAP,
  [PDU.A_ASSOCIATE_AC]: ASSOCIATE_LENGTH_CAP,
  [PDU.A_ASSOCIATE_RJ]: 4,
  [PDU.A_RELEASE_RQ]: 4,
  [PDU.A_RELEASE_RP]: 4,
  [PDU.A_ABORT]: 4,
};

export function createPduCollector(options: PduCollectorOptions = {}): PduCollector {
  return new Collector(options.caps ?? ASSOCIATION_CAPS);
}

/** First byte of a TLS record that carries a handshake (RFC 8446 5.1): a ClientHello on a plain port. */
const TLS_HANDSHAKE = 0x16;

class Collector implements PduCollector {
  readonly #caps: Readonly<Record<number, number>>;
  readonly #collected = new GrowingBuffer();
  /** Of the PDU under way, header included; known from the sixth byte on. */
  #total = 0;

  constructor(caps: Readonly<Record<number, number>>) {
    this.#caps = caps;
  }

  get atBoundary(): boolean {
    return this.#collected.length === 0;
  }

  get partial(): Buffer {
    return this.#collected.view();
  }

  push(bytes: Buffer): Collected | undefined {
    if (bytes.length === 0) return undefined;
    const collected = this.#collected;
    if (collected.length === 0) {
      this.#checkType(bytes[0]!);
      if (bytes.length >= PDU_HEADER_LENGTH) {
        const total = this.#checkedTotal(bytes);
        if (bytes.length >= total) return cut(bytes, total);
      }
    }

    let at = 0;
    if (collected.length < PDU_HEADER_LENGTH) {
      at = Math.min(bytes.length, PDU_HEADER_LENGTH - collected.length);
      collected.append(bytes, 0, at);
      if (collected.length < PDU_HEADER_LENGTH) return undefined;
      this.#total = this.#checkedTotal(collected.view());
    }
    const end = Math.min(bytes.length, at + this.#total - collected.length);
    collected.append(bytes, at, end);
    if (collected.length < this.#total) return undefined;
    const pdu = collected.take();
    return { type: pdu[0] as PduType, pdu, rest: bytes.subarray(end) };
  }

  #checkType(type: number): void {
    if (type === TLS_HANDSHAKE) {
      throw new PduFault(ABORT_REASON.UNRECOGNIZED_PDU, 'a TLS ClientHello where DICOM was expected', 'tls');
    }
    if (!isPduType(type)) {
      throw new PduFault(ABORT_REASON.UNRECOGNIZED_PDU, 'the first byte begins no DICOM PDU', 'not-dicom');
    }
    if (this.#caps[type] === undefined) {
      throw new PduFault(ABORT_REASON.UNEXPECTED_PDU, `${pduName(type)} is not expected now`);
    }
  }

  #checkedTotal(header: Buffer): number {
    const type = header[0]!;
    const length = header.readUInt32BE(2);
    const cap = this.#caps[type]!;
    if (length > cap) throw invalid(`${pduName(type)} announces ${length} bytes, more than ${cap}`);
    return PDU_HEADER_LENGTH + length;
  }
}

/** The usual case: the whole PDU is in one chunk. */
function cut(bytes: Buffer, total: number): Collected {
  return {
    type: bytes[0] as PduType,
    pdu: Buffer.from(bytes.subarray(0, total)),
    rest: bytes.subarray(total),
  };
}
