/** Writes A-ASSOCIATE-RQ and -AC (layout: associate.ts) of Gantry's own. Those that it relays: associate-rewrite.ts. */
import { ByteWriter } from '../bytes/writer.ts';
import {
  AE_LENGTH,
  type Associate,
  CALLED_AE_OFFSET,
  DICOM_APPLICATION_CONTEXT,
  ITEMS_OFFSET,
} from './associate.ts';
import { ITEM } from './items.ts';
import { PDU, type PduType } from './pdu.ts';
import type {
  CommonExtendedNegotiation,
  ExtendedNegotiation,
  Role,
  UserIdentity,
} from './user-information.ts';

/** Everything of the user information item; only the maximum length and the implementation are always sent. */
export interface UserInformationToWrite {
  /** Longest variable field of a P-DATA-TF that the sender takes, in bytes; 0 is unlimited. Default 16384. */
  readonly maxLength?: number;
  readonly implementationClassUid?: string;
  readonly implementationVersionName?: string;
  readonly asyncWindow?: { readonly invoked: number; readonly performed: number };
  readonly roles?: readonly Role[];
  readonly extended?: readonly ExtendedNegotiation[];
  readonly commonExtended?: readonly CommonExtendedNegotiation[];
  readonly userIdentity?: UserIdentity;
  readonly userIdentityResponse?: Uint8Array;
}

export interface AssociateRqToWrite extends UserInformationToWrite {
  /** 1 to 16 characters of ISO 646. */
  readonly calledAe: string;
  readonly callingAe: string;
  readonly applicationContext?: string;
  readonly presentationContexts: readonly {
    readonly id: number;
    readonly abstractSyntax: string;
    readonly transferSyntaxes: readonly string[];
  }[];
}

export interface AssociateAcToWrite extends UserInformationToWrite {
  /** The request that is answered: its AE titles and reserved bytes are sent back (PS3.8 Table 9-17). */
  readonly request: Associate;
  readonly applicationContext?: string;
  readonly presentationContexts: readonly {
    readonly id: number;
    readonly result: number;
    /** Not significant when the result is a refusal; then empty will do. */
    readonly transferSyntax: string;
  }[];
}

/** Gantry's own: made from a random UUID (PS3.5 B.2), so that it needs no registered root. */
export const IMPLEMENTATION_CLASS_UID = '2.25.55400636526216321483804777727447251745';
export const IMPLEMENTATION_VERSION_NAME = 'GANTRY';
export const DEFAULT_MAX_LENGTH = 16384;

/** A whole A-ASSOCIATE-RQ PDU. Throws RangeError for an AE title that is none. */
export function writeAssociateRq(request: AssociateRqToWrite): Buffer {
  const fixed = Buffer.alloc(AE_LENGTH * 2 + 32);
  putAe(fixed, 0, request.calledAe);
  putAe(fixed, AE_LENGTH, request.callingAe);
  return writeAssociate(PDU.A_ASSOCIATE_RQ, fixed, request, (writer) => {
    for (const context of request.presentationContexts) {
      writeItem(writer, ITEM.PRESENTATION_CONTEXT_RQ, (item) => {
        item.uint8(context.id).uint8(0).uint8(0).uint8(0);
        writeUid(item, ITEM.ABSTRACT_SYNTAX, context.abstractSyntax);
        for (const transferSyntax of context.transferSyntaxes)
          writeUid(item, ITEM.TRANSFER_SYNTAX, transferSyntax);
      });
    }
  });
}

/** A whole A-ASSOCIATE-AC PDU. */
export function writeAssociateAc(accept: AssociateAcToWrite): Buffer {
  const fixed = accept.request.bytes.subarray(CALLED_AE_OFFSET, ITEMS_OFFSET);
  return writeAssociate(PDU.A_ASSOCIATE_AC, fixed, accept, (writer) => {
    for (const context of accept.presentationContexts) {
      writeItem(writer, ITEM.PRESENTATION_CONTEXT_AC, (item) => {
        item.uint8(context.id).uint8(0).uint8(context.result).uint8(0);
        writeUid(item, ITEM.TRANSFER_SYNTAX, context.transferSyntax);
      });
    }
  });
}

/** Can this be an AE title (PS3.5 6.2)? 1 to 16 printable characters of ISO 646, no backslash, not only spaces. */
export function isAeTitle(ae: string): boolean {
  return /^(?!\x20*$)[\x20-\x5b\x5d-\x7e]{1,16}$/.test(ae);
}

/** Writes an AE title over the 16 bytes at `offset`, padded with spaces. Throws RangeError for one that is none. */
export function putAe(bytes: Buffer, offset: number, ae: string): void {
  if (!isAeTitle(ae)) throw new RangeError('an AE title has 1 to 16 printable characters and no backslash');
  bytes.fill(0x20, offset, offset + AE_LENGTH);
  bytes.write(ae, offset, 'latin1');
}

function writeAssociate(
  type: PduType,
  aesAndReserved: Buffer,
  values: UserInformationToWrite & { readonly applicationContext?: string },
  writeContexts: (writer: ByteWriter) => void,
): Buffer {
  const body = new ByteWriter().uint16(1).uint16(0).bytes(aesAndReserved);
  writeUid(body, ITEM.APPLICATION_CONTEXT, values.applicationContext ?? DICOM_APPLICATION_CONTEXT);
  writeContexts(body);
  writeItem(body, ITEM.USER_INFORMATION, (item) => writeUserInformation(item, values));
  const bytes = body.finish();
  return new ByteWriter().uint8(type).uint8(0).uint32(bytes.length).bytes(bytes).finish();
}

/** In ascending order of type, as PS3.7 lists them. */
function writeUserInformation(writer: ByteWriter, values: UserInformationToWrite): void {
  writeItem(writer, ITEM.MAXIMUM_LENGTH, (item) => item.uint32(values.maxLength ?? DEFAULT_MAX_LENGTH));
  writeUid(writer, ITEM.IMPLEMENTATION_CLASS_UID, values.implementationClassUid ?? IMPLEMENTATION_CLASS_UID);
  const { asyncWindow, userIdentity, userIdentityResponse } = values;
  if (asyncWindow) {
    writeItem(writer, ITEM.ASYNCHRONOUS_OPERATIONS_WINDOW, (item) =>
      item.uint16(asyncWindow.invoked).uint16(asyncWindow.performed),
    );
  }
  for (const role of values.roles ?? []) {
    writeItem(writer, ITEM.ROLE_SELECTION, (item) =>
      sizedText(item, role.sopClass).uint8(Number(role.scu)).uint8(Number(role.scp)),
    );
  }
  const versionName = values.implementationVersionName ?? IMPLEMENTATION_VERSION_NAME;
  writeUid(writer, ITEM.IMPLEMENTATION_VERSION_NAME, versionName);
  for (const { sopClass, information } of values.extended ?? []) {
    writeItem(writer, ITEM.EXTENDED_NEGOTIATION, (item) => sizedText(item, sopClass).bytes(information));
  }
  for (const common of values.commonExtended ?? []) {
    writer.uint8(ITEM.COMMON_EXTENDED_NEGOTIATION).uint8(common.version);
    writer.sized((item) => {
      sizedText(sizedText(item, common.sopClass), common.serviceClass);
      item.sized((related) => {
        for (const sopClass of common.relatedSopClasses) sizedText(related, sopClass);
      });
    });
  }
  if (userIdentity) {
    writeItem(writer, ITEM.USER_IDENTITY_RQ, (item) => {
      item.uint8(userIdentity.type).uint8(Number(userIdentity.positiveResponse));
      item.sized((field) => field.bytes(userIdentity.primary));
      item.sized((field) => field.bytes(userIdentity.secondary));
    });
  }
  if (userIdentityResponse) {
    writeItem(writer, ITEM.USER_IDENTITY_AC, (item) =>
      item.sized((field) => field.bytes(userIdentityResponse)),
    );
  }
}

function writeItem(writer: ByteWriter, type: number, write: (item: ByteWriter) => void): void {
  writer.uint8(type).uint8(0).sized(write);
}

function writeUid(writer: ByteWriter, type: number, uid: string): void {
  writeItem(writer, type, (item) => item.text(uid));
}

function sizedText(writer: ByteWriter, text: string): ByteWriter {
  return writer.sized((field) => field.text(text));
}
