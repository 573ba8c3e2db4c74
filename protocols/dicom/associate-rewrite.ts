/**
 * Rewrites A-ASSOCIATE-RQ and -AC that are relayed (layout: associate.ts), by putting bytes in the place of others: all
 * the rest goes through as it came, reserved bytes, padding and unknown items included. Only the lengths around a splice
 * change with it: of the item (2 bytes at its offset + 2) and of the PDU (4 bytes at 2).
 *
 * Each function takes a whole PDU, does not change it, and throws PduFault when it is malformed.
 */
import {
  type Associate,
  CALLED_AE_OFFSET,
  CONTEXT_RESULT,
  ITEMS_OFFSET,
  indexAssociate,
  type PresentationContext,
} from './associate.ts';
import { putAe } from './associate-write.ts';
import { ITEM, ITEM_HEADER_LENGTH, type Item, indexItems, itemText } from './items.ts';
import { PDU_HEADER_LENGTH } from './pdu.ts';
import { invalid } from './pdu-fault.ts';

/** Header, ID, result and two reserved bytes: what a presentation context item has before its sub-items. */
const CONTEXT_FIELDS_LENGTH = ITEM_HEADER_LENGTH + 4;

/** A copy of an A-ASSOCIATE-RQ with another called AE title, all else untouched. Throws RangeError for one that is none. */
export function withCalledAe(pdu: Buffer, ae: string): Buffer {
  const copy = Buffer.from(pdu);
  putAe(copy, CALLED_AE_OFFSET, ae);
  return copy;
}

/**
 * A copy of an A-ASSOCIATE-AC with the AE titles and reserved bytes of the request that the client sent, as PS3.8
 * Table 9-17 demands: the answer to a request that was rewritten with `withCalledAe`.
 */
export function restoreAes(acPdu: Buffer, rqPdu: Buffer): Buffer {
  const copy = Buffer.from(acPdu);
  rqPdu.copy(copy, CALLED_AE_OFFSET, CALLED_AE_OFFSET, ITEMS_OFFSET);
  return copy;
}

/**
 * An A-ASSOCIATE-RQ or -AC without its asynchronous operations window (53H), which leaves one operation at a time each
 * way (PS3.7 D.3.3.3.1). The same Buffer when there is none.
 */
export function withoutAsyncWindow(pdu: Buffer): Buffer {
  const { items, userInformation } = indexAssociate(pdu);
  const window = userInformation.items.find(({ type }) => type === ITEM.ASYNCHRONOUS_OPERATIONS_WINDOW);
  if (!window) return pdu;
  const { offset, length } = items.find(({ type }) => type === ITEM.USER_INFORMATION)!;
  const kept = itemOf(pdu.subarray(offset, offset + ITEM_HEADER_LENGTH), [
    pdu.subarray(offset + ITEM_HEADER_LENGTH, window.offset),
    pdu.subarray(window.offset + window.length, offset + length),
  ]);
  return spliced(pdu, offset, offset + length, [kept]);
}

/**
 * An A-ASSOCIATE-RQ or -AC whose sender takes P-DATA-TF with a variable field of at most `most` bytes (1 or more; PS3.8
 * D.1), or of less if it announced less. 0, and no announcement, are unlimited. The same Buffer if nothing changes.
 */
export function withMaxLength(pdu: Buffer, most: number): Buffer {
  const { items, userInformation } = indexAssociate(pdu);
  const { maxLength, maxLengthOffset } = userInformation;
  if (maxLengthOffset !== undefined) {
    if (maxLength !== 0 && maxLength! <= most) return pdu;
    const copy = Buffer.from(pdu);
    copy.writeUInt32BE(most, maxLengthOffset);
    return copy;
  }
  const value = Buffer.alloc(4);
  value.writeUInt32BE(most);
  const announced = itemOf(headerOf(ITEM.MAXIMUM_LENGTH), [value]);
  const holder = items.find(({ type }) => type === ITEM.USER_INFORMATION);
  if (!holder)
    return spliced(pdu, pdu.length, pdu.length, [itemOf(headerOf(ITEM.USER_INFORMATION), [announced])]);
  const subItems = holder.offset + ITEM_HEADER_LENGTH;
  const end = holder.offset + holder.length;
  const held = itemOf(pdu.subarray(holder.offset, subItems), [announced, pdu.subarray(subItems, end)]);
  return spliced(pdu, holder.offset, end, [held]);
}

/**
 * The transfer syntax UIDs of the presentation contexts that an A-ASSOCIATE-AC accepts, by context ID. A context that is
 * accepted without one is left out: nobody could know how to write in it.
 */
export function acceptedContexts(accept: Associate): ReadonlyMap<number, string> {
  const accepted = new Map<number, string>();
  for (const { id, result, transferSyntaxes } of accept.presentationContexts) {
    const transferSyntax = result === CONTEXT_RESULT.ACCEPTANCE ? transferSyntaxes[0] : undefined;
    if (transferSyntax) accepted.set(id, transferSyntax);
  }
  return accepted;
}

/**
 * The client's A-ASSOCIATE-RQ for a further server, which is to accept what the client was told already: only the
 * contexts in `accepted` (of that answer, see `acceptedContexts`), with their own IDs and that one transfer syntax each,
 * and no asynchronous operations window. AE titles, reserved bytes, and all other items are the client's.
 */
export function proposalOf(request: Associate, accepted: ReadonlyMap<number, string>): Buffer {
  const pdu = request.bytes;
  const contexts = new Map(request.presentationContexts.map((context) => [context.offset, context]));
  const proposed = request.items.flatMap((item) => {
    const context = contexts.get(item.offset);
    if (!context) return [bytesOf(pdu, item)];
    const transferSyntax = accepted.get(context.id);
    return transferSyntax === undefined ? [] : [proposing(pdu, context, transferSyntax)];
  });
  return withoutAsyncWindow(spliced(pdu, ITEMS_OFFSET, pdu.length, proposed));
}

/** The context's item with one transfer syntax: the client's own sub-item for it, if it proposed that one. */
function proposing(pdu: Buffer, { offset, length }: PresentationContext, transferSyntax: string): Buffer {
  const subItems = indexItems(pdu, offset + CONTEXT_FIELDS_LENGTH, offset + length);
  const own = subItems.find(
    (item) => item.type === ITEM.TRANSFER_SYNTAX && itemText(pdu, item) === transferSyntax,
  );
  const kept = subItems.filter((item) => item.type !== ITEM.TRANSFER_SYNTAX || item === own);
  const written = own
    ? []
    : [itemOf(headerOf(ITEM.TRANSFER_SYNTAX), [Buffer.from(transferSyntax, 'latin1')])];
  const fields = pdu.subarray(offset, offset + CONTEXT_FIELDS_LENGTH);
  return itemOf(fields, [...kept.map((item) => bytesOf(pdu, item)), ...written]);
}

/** A copy of the PDU with other bytes in the place of `[start, end)`, and its length put right. */
function spliced(pdu: Buffer, start: number, end: number, bytes: readonly Buffer[]): Buffer {
  const copy = Buffer.concat([pdu.subarray(0, start), ...bytes, pdu.subarray(end)]);
  copy.writeUInt32BE(copy.length - PDU_HEADER_LENGTH, 2);
  return copy;
}

/** An item: its first bytes, of which the length is put right, and what follows them. */
function itemOf(fields: Buffer, values: readonly Buffer[]): Buffer {
  const item = Buffer.concat([fields, ...values]);
  const length = item.length - ITEM_HEADER_LENGTH;
  if (length > 0xffff) throw invalid('an item has no room for what must be put into it');
  item.writeUInt16BE(length, 2);
  return item;
}

function headerOf(type: number): Buffer {
  return Buffer.from([type, 0, 0, 0]);
}

function bytesOf(pdu: Buffer, { offset, length }: Item): Buffer {
  return pdu.subarray(offset, offset + length);
}
