/**
 * What a DICOM file says about the data set in it, as a sender would.
 *
 *     PS3.10 Table 7.1-1   128 bytes of preamble, "DICM", File Meta Information (group 0002, explicit little endian)
 *     (0002,0002) UI       Media Storage SOP Class UID
 *     (0002,0003) UI       Media Storage SOP Instance UID
 *     (0002,0010) UI       Transfer Syntax UID
 */
import { ElementHeader } from '../../protocols/dicom/element-header.ts';
import { trimmedText } from '../../protocols/dicom/items.ts';

const META_OFFSET = 132;
const META_GROUP = 0x0002;

export interface Part10 {
  /** undefined when the file has none, or breaks off before it; the others too. */
  readonly sopClass: string | undefined;
  readonly sopInstance: string | undefined;
  readonly transferSyntax: string | undefined;
  /** What is behind the File Meta Information. */
  readonly dataSet: Buffer;
}

export function isPart10(file: Buffer): boolean {
  return file.length > META_OFFSET && file.toString('latin1', 128, META_OFFSET) === 'DICM';
}

/** Reads a file that isPart10. */
export function readPart10(file: Buffer): Part10 {
  const header = new ElementHeader();
  const values = new Map<number, string | undefined>();
  let at = META_OFFSET;
  for (;;) {
    const length = header.read(file, at, file.length, true, false);
    if (length <= 0 || header.tag >>> 16 !== META_GROUP || at + length + header.length > file.length) break;
    const value = at + length;
    at = value + header.length;
    values.set(header.tag, trimmedText(file, value, at) || undefined);
  }
  return {
    sopClass: values.get(0x0002_0002),
    sopInstance: values.get(0x0002_0003),
    transferSyntax: values.get(0x0002_0010),
    dataSet: file.subarray(at),
  };
}
