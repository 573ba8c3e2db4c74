/**
 * A-ASSOCIATE-RQ (PS3.8 Table 9-11) and A-ASSOCIATE-AC (Table 9-17):
 *
 *     offset  length
 *          0       6  PDU header, type 01H or 02H
 *          6       2  protocol version: bit 0 is version 1
 *          8       2  reserved
 *         10      16  called AE title   } in an AC: the bytes of the
 *         26      16  calling AE title  } request, "not tested when
 *         42      32  reserved          } received"
 *         74          items: 10H application context, 20H or 21H presentation contexts, 50H user information
 *
 * The PDU stays as it is, and what is read of it are offsets and values: a request or an accept is relayed, and where
 * it must be rewritten spliced (associate-rewrite.ts), never decoded and encoded again.
 */
import { ITEM, ITEM_HEADER_LENGTH, type Item, indexItems, itemText, trimmedText } from './items.ts';
import { ASSOCIATE_LENGTH_CAP, PDU, PDU_HEADER_LENGTH } from './pdu.ts';
import { ABORT_REASON, invalid, PduFault } from './pdu-fault.ts';
import { readUserInformation, type UserInformation } from './user-information.ts';

export const PROTOCOL_VERSION_OFFSET = 6;
export const CALLED_AE_OFFSET = 10;
export const CALLING_AE_OFFSET = 26;
export const AE_LENGTH = 16;
export const ITEMS_OFFSET = 74;

/** The only application context name there is (PS3.7 A.2.1). */
export const DICOM_APPLICATION_CONTEXT = '1.2.840.10008.3.1.1.1';

/** Result of a presentation context in an A-ASSOCIATE-AC (PS3.8 Table 9-18). */
export const CONTEXT_RESULT = {
  ACCEPTANCE: 0,
  USER_REJECTION: 1,
  NO_REASON: 2,
  ABSTRACT_SYNTAX_NOT_SUPPORTED: 3,
  TRANSFER_SYNTAXES_NOT_SUPPORTED: 4,
} as const;

export interface PresentationContext {
  /** Odd, 1 to 255. */
  readonly id: number;
  /** One of CONTEXT_RESULT; 0 in a request, where the byte is reserved. */
  readonly result: number;
  /** UID; empty in an accept. */
  readonly abstractSyntax: string;
  /** UIDs: those proposed, or the one accepted. */
  readonly transferSyntaxes: readonly string[];
  /** Where the whole item is, its header included, from the start of the PDU. */
  readonly offset: number;
  readonly length: number;
}

export interface Associate {
  /** `PDU.A_ASSOCIATE_RQ` or `PDU.A_ASSOCIATE_AC`. */
  readonly type: number;
  /** The whole PDU, untouched. */
  readonly bytes: Buffer;
  /** Bit field; a peer that does not set bit 0 is answered with a rejection 1/2/2, not an abort. */
  readonly protocolVersion: number;
  /** Without leading and trailing spaces and NULs. */
  readonly calledAe: string;
  readonly callingAe: string;
  /** UID; one that is not DICOM's, or none, is answered with a rejection 1/1/2. */
  readonly applicationContext: string | undefined;
  readonly presentationContexts: readonly PresentationContext[];
  readonly userInformation: UserInformation;
  /** The items in the order of the PDU, the unknown ones included. */
  readonly items: readonly Item[];
}

/**
 * Reads a whole A-ASSOCIATE-RQ or -AC, header included. Values are kept as views: `pdu` must not change afterwards.
 * Throws PduFault when it is malformed: reserved bytes, padding and unknown items are not.
 */
export function indexAssociate(pdu: Buffer): Associate {
  checkFrame(pdu);
  const type = pdu[0]!;
  const items = indexItems(pdu, ITEMS_OFFSET, pdu.length);
  const presentationContexts: PresentationContext[] = [];
  const seen = new Set<number>();
  let applicationContext: string | undefined;
  let userInformation: Item | undefined;
  for (const item of items) {
    switch (item.type) {
      case ITEM.APPLICATION_CONTEXT:
        if (applicationContext !== undefined) throw unexpected('a second application context item');
        applicationContext = itemText(pdu, item);
        break;
      case ITEM.PRESENTATION_CONTEXT_RQ:
      case ITEM.PRESENTATION_CONTEXT_AC: {
        const context = new IndexedContext(pdu, item, type);
        if (seen.has(context.id)) throw invalid('a presentation context ID comes twice');
        seen.add(context.id);
        presentationContexts.push(context);
        break;
      }
      case ITEM.USER_INFORMATION:
        if (userInformation) throw unexpected('a second user information item');
        userInformation = item;
        break;
    }
  }
  return {
    type,
    bytes: pdu,
    protocolVersion: pdu.readUInt16BE(PROTOCOL_VERSION_OFFSET),
    calledAe: trimmedText(pdu, CALLED_AE_OFFSET, CALLED_AE_OFFSET + AE_LENGTH),
    callingAe: trimmedText(pdu, CALLING_AE_OFFSET, CALLING_AE_OFFSET + AE_LENGTH),
    applicationContext,
    presentationContexts,
    userInformation: readUserInformation(pdu, userInformation),
    items,
  };
}

/**
 * The number of presentation contexts that a whole A-ASSOCIATE-AC accepts, for who relays it and asks no more: its items
 * are walked over, not read. Throws PduFault when they do not fill the PDU.
 */
export function countAccepted(pdu: Buffer): number {
  checkFrame(pdu);
  let accepted = 0;
  for (let offset = ITEMS_OFFSET; offset < pdu.length; ) {
    const end =
      pdu.length - offset < ITEM_HEADER_LENGTH
        ? Infinity
        : offset + ITEM_HEADER_LENGTH + pdu.readUInt16BE(offset + 2);
    if (end > pdu.length) throw invalid('the items do not fit into the PDU');
    if (pdu[offset] === ITEM.PRESENTATION_CONTEXT_AC) {
      if (end - offset < ITEM_HEADER_LENGTH + 4)
        throw invalid('a presentation context item is too short for its fields');
      if (pdu[offset + 6] === CONTEXT_RESULT.ACCEPTANCE) accepted++;
    }
    offset = end;
  }
  return accepted;
}

/**
 * Presentation context item: header (4), ID (1), reserved (1), result or reserved (1), reserved (1), sub-items
 * (PS3.8 Tables 9-13 and 9-18). Its structure is checked at once; its UIDs are read when somebody asks.
 */
class IndexedContext implements PresentationContext {
  readonly id: number;
  readonly result: number;
  readonly offset: number;
  readonly length: number;
  readonly #pdu: Buffer;
  readonly #subItems: readonly Item[];

  constructor(pdu: Buffer, item: Item, pduType: number) {
    const inRequest = item.type === ITEM.PRESENTATION_CONTEXT_RQ;
    if (inRequest !== (pduType === PDU.A_ASSOCIATE_RQ)) {
      throw unexpected('a presentation context item of the other direction');
    }
    const subItems = item.offset + ITEM_HEADER_LENGTH + 4;
    const end = item.offset + item.length;
    if (subItems > end) throw invalid('a presentation context item is too short for its fields');
    this.#pdu = pdu;
    this.id = pdu[item.offset + 4]!;
    this.result = inRequest ? 0 : pdu[item.offset + 6]!;
    this.offset = item.offset;
    this.length = item.length;
    if (this.id % 2 === 0) throw invalid('a presentation context ID is even');
    // What follows a refusal is "not significant" (Table 9-18), so it need not be well-formed either.
    const significant = this.result === CONTEXT_RESULT.ACCEPTANCE;
    this.#subItems = significant ? indexItems(pdu, subItems, end) : [];
    if (inRequest && this.#of(ITEM.ABSTRACT_SYNTAX).length !== 1) {
      throw invalid('a presentation context does not propose exactly one abstract syntax');
    }
  }

  get abstractSyntax(): string {
    return this.#of(ITEM.ABSTRACT_SYNTAX)[0] ?? '';
  }

  get transferSyntaxes(): readonly string[] {
    return this.#of(ITEM.TRANSFER_SYNTAX);
  }

  #of(type: number): string[] {
    return this.#subItems.filter((item) => item.type === type).map((item) => itemText(this.#pdu, item));
  }
}

function checkFrame(pdu: Buffer): void {
  if (pdu[0] !== PDU.A_ASSOCIATE_RQ && pdu[0] !== PDU.A_ASSOCIATE_AC) {
    throw new PduFault(ABORT_REASON.UNEXPECTED_PDU, 'neither A-ASSOCIATE-RQ nor A-ASSOCIATE-AC');
  }
  if (pdu.length < ITEMS_OFFSET) throw invalid('an A-ASSOCIATE PDU is too short for its fixed fields');
  if (pdu.length > PDU_HEADER_LENGTH + ASSOCIATE_LENGTH_CAP) throw invalid('an A-ASSOCIATE PDU is too long');
  if (pdu.readUInt32BE(2) !== pdu.length - PDU_HEADER_LENGTH)
    throw invalid('a PDU length is not that of its PDU');
}

function unexpected(message: string): PduFault {
  return new PduFault(ABORT_REASON.UNEXPECTED_PARAMETER, message);
}
