/**
 * Items and sub-items, of which an A-ASSOCIATE-RQ or -AC is made (PS3.8 9.3.2 and 9.3.3, PS3.7 D.3.3):
 *
 *     offset  length
 *          0       1  item type
 *          1       1  reserved (57H keeps a version here)
 *          2       2  item length: bytes that follow, big endian
 */
import { invalid } from './pdu-fault.ts';

export const ITEM = {
  APPLICATION_CONTEXT: 0x10,
  PRESENTATION_CONTEXT_RQ: 0x20,
  PRESENTATION_CONTEXT_AC: 0x21,
  ABSTRACT_SYNTAX: 0x30,
  TRANSFER_SYNTAX: 0x40,
  USER_INFORMATION: 0x50,
  MAXIMUM_LENGTH: 0x51,
  IMPLEMENTATION_CLASS_UID: 0x52,
  ASYNCHRONOUS_OPERATIONS_WINDOW: 0x53,
  ROLE_SELECTION: 0x54,
  IMPLEMENTATION_VERSION_NAME: 0x55,
  EXTENDED_NEGOTIATION: 0x56,
  COMMON_EXTENDED_NEGOTIATION: 0x57,
  USER_IDENTITY_RQ: 0x58,
  USER_IDENTITY_AC: 0x59,
} as const;

export const ITEM_HEADER_LENGTH = 4;

/** Where an item lies in its PDU: the whole item, its header included, in bytes from the start of the PDU. */
export interface Item {
  readonly type: number;
  readonly offset: number;
  readonly length: number;
}

/** Finds the items that fill `bytes[start, end)`. Throws PduFault when they do not fill it exactly. */
export function indexItems(bytes: Buffer, start: number, end: number): Item[] {
  const items: Item[] = [];
  let offset = start;
  while (offset < end) {
    if (end - offset < ITEM_HEADER_LENGTH) throw invalid('an item header is cut off');
    const length = ITEM_HEADER_LENGTH + bytes.readUInt16BE(offset + 2);
    if (length > end - offset)
      throw invalid(`an item of type ${hex(bytes[offset]!)} is longer than what holds it`);
    items.push({ type: bytes[offset]!, offset, length });
    offset += length;
  }
  return items;
}

/** The text of a UID or name that fills an item: without the spaces and NULs that some pad it with. */
export function itemText(bytes: Buffer, item: Item): string {
  return trimmedText(bytes, item.offset + ITEM_HEADER_LENGTH, item.offset + item.length);
}

/** `bytes[start, end)` as text (each byte a character, never an error), without leading and trailing spaces and NULs. */
export function trimmedText(bytes: Buffer, start: number, end: number): string {
  let first = start;
  let last = end;
  while (first < last && isPadding(bytes[first]!)) first++;
  while (last > first && isPadding(bytes[last - 1]!)) last--;
  return bytes.toString('latin1', first, last);
}

/** Reads the fields of one item in order, and throws PduFault where they do not fit into it. */
export class ItemReader {
  readonly #bytes: Buffer;
  readonly #type: number;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, item: Item) {
    this.#bytes = bytes;
    this.#type = item.type;
    this.#at = item.offset + ITEM_HEADER_LENGTH;
    this.#end = item.offset + item.length;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  uint8(): number {
    return this.#bytes[this.#advance(1)]!;
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#advance(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  /** A view of the next `length` bytes. */
  take(length: number): Buffer {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A field with its own 16-bit length before it, as a view. */
  field(): Buffer {
    return this.take(this.uint16());
  }

  /** A UID with its own 16-bit length before it. */
  uid(): string {
    const length = this.uint16();
    const start = this.#advance(length);
    return trimmedText(this.#bytes, start, start + length);
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length > this.#end - start)
      throw invalid(`an item of type ${hex(this.#type)} is too short for its fields`);
    this.#at = start + length;
    return start;
  }
}

function isPadding(byte: number): boolean {
  return byte === 0x20 || byte === 0x00;
}

function hex(type: number): string {
  return `${type.toString(16).toUpperCase().padStart(2, '0')}H`;
}
