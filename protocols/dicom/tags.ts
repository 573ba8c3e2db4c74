/** Tags of data elements (PS3.6 Table 6-1) as numbers, group * 65536 + element, and the few whose VR has to be known. */

export const TAG = {
  SPECIFIC_CHARACTER_SET: 0x0008_0005,
  ACCESSION_NUMBER: 0x0008_0050,
  RETRIEVE_AE_TITLE: 0x0008_0054,
  MODALITY: 0x0008_0060,
  REFERENCED_SOP_CLASS_UID: 0x0008_1150,
  REFERENCED_SOP_INSTANCE_UID: 0x0008_1155,
  TRANSACTION_UID: 0x0008_1195,
  FAILURE_REASON: 0x0008_1197,
  FAILED_SOP_SEQUENCE: 0x0008_1198,
  REFERENCED_SOP_SEQUENCE: 0x0008_1199,
  PATIENT_ID: 0x0010_0020,
  STUDY_INSTANCE_UID: 0x0020_000d,
} as const;

/** Items and their ends (PS3.5 7.5). */
export const ITEM_TAG = 0xfffe_e000;
export const ITEM_DELIMITATION_TAG = 0xfffe_e00d;
export const SEQUENCE_DELIMITATION_TAG = 0xfffe_e0dd;

/**
 * VRs for data sets that leave them out: those of storage commitment (PS3.4 J.3), which are written anew, and the
 * numbers that describe an image (PS3.3 C.7.6.3), which a rule may ask for. Others are read as text.
 */
const VRS: ReadonlyMap<number, string> = new Map([
  [TAG.SPECIFIC_CHARACTER_SET, 'CS'],
  [TAG.ACCESSION_NUMBER, 'SH'],
  [TAG.RETRIEVE_AE_TITLE, 'AE'],
  [TAG.MODALITY, 'CS'],
  [TAG.REFERENCED_SOP_CLASS_UID, 'UI'],
  [TAG.REFERENCED_SOP_INSTANCE_UID, 'UI'],
  [TAG.TRANSACTION_UID, 'UI'],
  [TAG.FAILURE_REASON, 'US'],
  [TAG.FAILED_SOP_SEQUENCE, 'SQ'],
  [TAG.REFERENCED_SOP_SEQUENCE, 'SQ'],
  [TAG.PATIENT_ID, 'LO'],
  [TAG.STUDY_INSTANCE_UID, 'UI'],
  // Referenced Performed Procedure Step Sequence, Storage Media File-Set ID and UID.
  [0x0008_1111, 'SQ'],
  [0x0088_0130, 'SH'],
  [0x0088_0140, 'UI'],
  // Samples, planar configuration, rows, columns, bits allocated, bits stored, high bit, pixel representation.
  ...[0x0002, 0x0006, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103].map(
    (element) => [0x0028_0000 + element, 'US'] as const,
  ),
]);

/** The VR of a tag that is known here; undefined for all others. */
export function vrOfTag(tag: number): string | undefined {
  return VRS.get(tag);
}

/** `(0020,000D)`, in either case, as a number; undefined when it is not so written. */
export function parseTag(text: string): number | undefined {
  const match = /^\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)$/.exec(text);
  return match ? Number.parseInt(match[1]! + match[2]!, 16) : undefined;
}
