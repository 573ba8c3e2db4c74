/**
 * The SOP class of a DICOM file, as a sender would propose it.
 *
 *     PS3.10 Table 7.1-1   128 bytes of preamble, "DICM", File Meta Information (group 0002, explicit little endian)
 *     PS3.5 7.1.2          group, element (2 bytes each), VR (2 letters), length (2 bytes; some VRs: 2 reserved, 4 bytes)
 *     (0002,0002) UI       Media Storage SOP Class UID
 */

const META_OFFSET = 132;
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);

export function isPart10(file: Buffer): boolean {
  return file.length > META_OFFSET && file.toString('latin1', 128, META_OFFSET) === 'DICM';
}

/** undefined when the file has none, or breaks off before it. */
export function sopClassOf(file: Buffer): string | undefined {
  let offset = META_OFFSET;
  while (offset + 8 <= file.length && file.readUInt16LE(offset) === 0x0002) {
    const element = file.readUInt16LE(offset + 2);
    const isLong = LONG_VRS.has(file.toString('latin1', offset + 4, offset + 6));
    if (isLong && offset + 12 > file.length) return undefined;
    const length = isLong ? file.readUInt32LE(offset + 8) : file.readUInt16LE(offset + 6);
    const value = offset + (isLong ? 12 : 8);
    if (value + length > file.length) return undefined;
    if (element === 0x0002)
      return file.toString('latin1', value, value + length).replace(/[\0 ]+$/, '') || undefined;
    offset = value + length;
  }
  return undefined;
}
