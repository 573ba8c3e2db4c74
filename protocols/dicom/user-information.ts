/**
 * The user information item (50H) of an A-ASSOCIATE-RQ or -AC and its sub-items:
 *
 *     51H  maximum length                  PS3.8 Table D.1-1, D.1-2   length (4)
 *     52H  implementation class UID        PS3.7 Table D.3-1, D.3-2   UID
 *     53H  asynchronous operations window  PS3.7 Table D.3-7, D.3-8   invoked (2), performed (2)
 *     54H  SCP/SCU role selection          PS3.7 Table D.3-9, D.3-10  UID length (2), SOP class UID, SCU (1), SCP (1)
 *     55H  implementation version name     PS3.7 Table D.3-3, D.3-4   1 to 16 characters
 *     56H  SOP class extended negotiation  PS3.7 Table D.3-11         UID length (2), SOP class UID, information
 *     57H  common extended negotiation     PS3.7 Table D.3-12         lengths (2) and UIDs: SOP class, service class, related
 *     58H  user identity, request          PS3.7 Table D.3-14         type (1), response wanted (1), lengths (2) and fields
 *     59H  user identity, accept           PS3.7 Table D.3-15         length (2), server response
 *
 * Unknown sub-items are ignored, and go through untouched because the PDU is relayed as bytes (PS3.8 D.2).
 */
import { ITEM, ITEM_HEADER_LENGTH, type Item, ItemReader, indexItems, itemText } from './items.ts';
import { ABORT_REASON, PduFault } from './pdu-fault.ts';

export interface Role {
  readonly sopClass: string;
  readonly scu: boolean;
  readonly scp: boolean;
}

export interface ExtendedNegotiation {
  readonly sopClass: string;
  readonly information: Buffer;
}

export interface CommonExtendedNegotiation {
  readonly version: number;
  readonly sopClass: string;
  readonly serviceClass: string;
  readonly relatedSopClasses: readonly string[];
}

export interface UserIdentity {
  /** 1 user name, 2 user name and passcode, 3 Kerberos ticket, 4 SAML assertion, 5 JSON web token. */
  readonly type: number;
  readonly positiveResponse: boolean;
  /** Bytes as they came: neither trimmed nor decoded. Only those of types 1 and 2 are a name. */
  readonly primary: Buffer;
  /** A passcode when the type is 2: never logged. */
  readonly secondary: Buffer;
}

/** What is absent is undefined or an empty list. Buffers are views of the PDU. */
export interface UserInformation {
  /** Longest variable field of a P-DATA-TF that the sender takes, in bytes; 0 is unlimited. */
  readonly maxLength: number | undefined;
  /** Where its four bytes are, from the start of the PDU. */
  readonly maxLengthOffset: number | undefined;
  readonly implementationClassUid: string | undefined;
  readonly implementationVersionName: string | undefined;
  /** 0 is unlimited. Absent is one each way. */
  readonly asyncWindow: { readonly invoked: number; readonly performed: number } | undefined;
  readonly roles: readonly Role[];
  readonly extended: readonly ExtendedNegotiation[];
  readonly commonExtended: readonly CommonExtendedNegotiation[];
  readonly userIdentity: UserIdentity | undefined;
  /** 59H: what the acceptor answered to a user identity. */
  readonly userIdentityResponse: Buffer | undefined;
  /** Every sub-item in the order of the PDU, the unknown ones included. */
  readonly items: readonly Item[];
  /** Sub-items that the standard (or this file) does not know. */
  readonly unknown: readonly Item[];
}

type Draft = { -readonly [Key in keyof UserInformation]: UserInformation[Key] } & {
  roles: Role[];
  extended: ExtendedNegotiation[];
  commonExtended: CommonExtendedNegotiation[];
  unknown: Item[];
};

/** Reads the user information `item` of the PDU `bytes`; without an item, nothing is known. Throws PduFault. */
export function readUserInformation(bytes: Buffer, item: Item | undefined): UserInformation {
  const items = item ? indexItems(bytes, item.offset + ITEM_HEADER_LENGTH, item.offset + item.length) : [];
  const draft: Draft = {
    maxLength: undefined,
    maxLengthOffset: undefined,
    implementationClassUid: undefined,
    implementationVersionName: undefined,
    asyncWindow: undefined,
    roles: [],
    extended: [],
    commonExtended: [],
    userIdentity: undefined,
    userIdentityResponse: undefined,
    items,
    unknown: [],
  };
  const seen = new Set<number>();
  for (const subItem of items) {
    if (ONCE.has(subItem.type) && seen.has(subItem.type)) {
      throw new PduFault(ABORT_REASON.UNEXPECTED_PARAMETER, 'a user information sub-item comes twice');
    }
    seen.add(subItem.type);
    readSubItem(bytes, subItem, draft);
  }
  return draft;
}

/** Two of these would let a balancer and a server each believe another one. */
const ONCE: ReadonlySet<number> = new Set([
  ITEM.MAXIMUM_LENGTH,
  ITEM.IMPLEMENTATION_CLASS_UID,
  ITEM.ASYNCHRONOUS_OPERATIONS_WINDOW,
  ITEM.IMPLEMENTATION_VERSION_NAME,
  ITEM.USER_IDENTITY_RQ,
  ITEM.USER_IDENTITY_AC,
]);

function readSubItem(bytes: Buffer, item: Item, draft: Draft): void {
  const reader = new ItemReader(bytes, item);
  switch (item.type) {
    case ITEM.MAXIMUM_LENGTH:
      draft.maxLength = reader.uint32();
      draft.maxLengthOffset = item.offset + ITEM_HEADER_LENGTH;
      return;
    case ITEM.IMPLEMENTATION_CLASS_UID:
      draft.implementationClassUid = itemText(bytes, item);
      return;
    case ITEM.ASYNCHRONOUS_OPERATIONS_WINDOW:
      draft.asyncWindow = { invoked: reader.uint16(), performed: reader.uint16() };
      return;
    case ITEM.ROLE_SELECTION:
      draft.roles.push({ sopClass: reader.uid(), scu: reader.uint8() === 1, scp: reader.uint8() === 1 });
      return;
    case ITEM.IMPLEMENTATION_VERSION_NAME:
      draft.implementationVersionName = itemText(bytes, item);
      return;
    case ITEM.EXTENDED_NEGOTIATION:
      draft.extended.push({ sopClass: reader.uid(), information: reader.take(reader.remaining) });
      return;
    case ITEM.COMMON_EXTENDED_NEGOTIATION:
      draft.commonExtended.push(readCommonExtended(bytes[item.offset + 1]!, reader));
      return;
    case ITEM.USER_IDENTITY_RQ:
      draft.userIdentity = {
        type: reader.uint8(),
        positiveResponse: reader.uint8() === 1,
        primary: reader.field(),
        secondary: reader.field(),
      };
      return;
    case ITEM.USER_IDENTITY_AC:
      draft.userIdentityResponse = reader.field();
      return;
    default:
      draft.unknown.push(item);
  }
}

/** PS3.7 Table D.3-12; a later version may append fields, which are ignored. */
function readCommonExtended(version: number, reader: ItemReader): CommonExtendedNegotiation {
  const sopClass = reader.uid();
  const serviceClass = reader.uid();
  const relatedSopClasses: string[] = [];
  let remaining = reader.uint16();
  if (remaining > reader.remaining) reader.take(remaining);
  while (remaining > 0) {
    const before = reader.remaining;
    relatedSopClasses.push(reader.uid());
    remaining -= before - reader.remaining;
  }
  return { version, sopClass, serviceClass, relatedSopClasses };
}
