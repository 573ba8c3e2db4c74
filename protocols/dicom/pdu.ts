/**
 * The header that every PDU starts with (PS3.8 9.3.1, Tables 9-11 to 9-26):
 *
 *     offset  length
 *          0       1  PDU type
 *          1       1  reserved: sent as 00H, not tested
 *          2       4  PDU length: how many bytes follow, big endian
 */

export const PDU = {
  A_ASSOCIATE_RQ: 0x01,
  A_ASSOCIATE_AC: 0x02,
  A_ASSOCIATE_RJ: 0x03,
  P_DATA_TF: 0x04,
  A_RELEASE_RQ: 0x05,
  A_RELEASE_RP: 0x06,
  A_ABORT: 0x07,
} as const;

export type PduType = (typeof PDU)[keyof typeof PDU];

export const PDU_HEADER_LENGTH = 6;

/** The longest variable field of an A-ASSOCIATE-RQ or -AC that is read, in bytes. 128 contexts need 10 to 40 KiB. */
export const ASSOCIATE_LENGTH_CAP = 256 * 1024;

const NAMES = ['', ...Object.keys(PDU).map((name) => name.replaceAll('_', '-'))];

/** Is this one of the seven types of PS3.8 9.3.1? */
export function isPduType(type: number): type is PduType {
  return type >= PDU.A_ASSOCIATE_RQ && type <= PDU.A_ABORT;
}

/** The standard's name of a PDU type (`P-DATA-TF`), or `PDU type NNH` for one that it does not have. */
export function pduName(type: number): string {
  return isPduType(type) ? NAMES[type]! : `PDU type ${type.toString(16).toUpperCase().padStart(2, '0')}H`;
}
