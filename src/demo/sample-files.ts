/**
 * Invented DICOM instances: small images of nobody, as data sets and as Part 10 files in explicit VR little endian.
 *
 *     PS3.10 7.1   128 bytes of preamble, "DICM", File Meta Information (group 0002), data set
 *     PS3.5 7.1.2  group, element (2 bytes each), VR (2 letters), length (2 bytes; OB, OW: 2 reserved, 4 bytes), value
 */
import { createHash } from 'node:crypto';

export const SAMPLE_SOP_CLASSES = {
  CT: '1.2.840.10008.5.1.4.1.1.2',
  MR: '1.2.840.10008.5.1.4.1.1.4',
  US: '1.2.840.10008.5.1.4.1.1.6.1',
  CR: '1.2.840.10008.5.1.4.1.1.1',
} as const;

export type SampleModality = keyof typeof SAMPLE_SOP_CLASSES;

export interface SampleOptions {
  readonly modality: SampleModality;
  /** Same words, same study, series and instance UIDs. */
  readonly study: string;
  /** Number of the instance in its series, from 1. */
  readonly number: number;
  /** Rows and columns of 16 bits each. */
  readonly size?: number;
  readonly patientId?: string;
}

export interface SampleInstance {
  readonly modality: SampleModality;
  readonly sopClass: string;
  readonly sopInstance: string;
  readonly studyInstance: string;
  readonly dataSet: Buffer;
  /** The whole Part 10 file. */
  readonly file: Buffer;
}

const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';

export function createSample(options: SampleOptions): SampleInstance {
  const { modality, study, number, size = 64, patientId = 'INVENTED-1' } = options;
  const sopClass = SAMPLE_SOP_CLASSES[modality];
  const studyInstance = uidOf(study);
  const seriesInstance = uidOf(`${study} ${modality}`);
  const sopInstance = uidOf(`${study} ${modality} ${number}`);
  const dataSet = Buffer.concat([
    text(0x0008, 0x0005, 'CS', 'ISO_IR 100'),
    text(0x0008, 0x0008, 'CS', 'ORIGINAL\\PRIMARY'),
    text(0x0008, 0x0016, 'UI', sopClass),
    text(0x0008, 0x0018, 'UI', sopInstance),
    text(0x0008, 0x0020, 'DA', '20260101'),
    text(0x0008, 0x0030, 'TM', '120000'),
    text(0x0008, 0x0050, 'SH', ''),
    text(0x0008, 0x0060, 'CS', modality),
    text(0x0008, 0x0070, 'LO', 'GANTRY DEMO'),
    text(0x0008, 0x0090, 'PN', ''),
    text(0x0008, 0x1030, 'LO', 'INVENTED FOR A DEMONSTRATION'),
    text(0x0010, 0x0010, 'PN', 'DEMO^INVENTED'),
    text(0x0010, 0x0020, 'LO', patientId),
    text(0x0010, 0x0030, 'DA', ''),
    text(0x0010, 0x0040, 'CS', 'O'),
    text(0x0020, 0x000d, 'UI', studyInstance),
    text(0x0020, 0x000e, 'UI', seriesInstance),
    text(0x0020, 0x0010, 'SH', 'DEMO'),
    text(0x0020, 0x0011, 'IS', '1'),
    text(0x0020, 0x0013, 'IS', String(number)),
    short(0x0028, 0x0002, 1),
    text(0x0028, 0x0004, 'CS', 'MONOCHROME2'),
    short(0x0028, 0x0010, size),
    short(0x0028, 0x0011, size),
    short(0x0028, 0x0100, 16),
    short(0x0028, 0x0101, 12),
    short(0x0028, 0x0102, 11),
    short(0x0028, 0x0103, 0),
    bytes(0x7fe0, 0x0010, 'OW', pixels(size, number)),
  ]);
  const meta = Buffer.concat([
    bytes(0x0002, 0x0001, 'OB', Buffer.of(0, 1)),
    text(0x0002, 0x0002, 'UI', sopClass),
    text(0x0002, 0x0003, 'UI', sopInstance),
    text(0x0002, 0x0010, 'UI', EXPLICIT_LITTLE_ENDIAN),
    text(0x0002, 0x0012, 'UI', uidOf('gantry')),
    text(0x0002, 0x0013, 'SH', 'GANTRY_DEMO'),
  ]);
  const metaLength = Buffer.alloc(4);
  metaLength.writeUInt32LE(meta.length);
  const file = Buffer.concat([
    Buffer.alloc(128),
    Buffer.from('DICM'),
    element(0x0002, 0x0000, 'UL', metaLength),
    meta,
    dataSet,
  ]);
  return { modality, sopClass, sopInstance, studyInstance, dataSet, file };
}

/** A UID of words, under the root for UIDs made of numbers (PS3.5 B.2). */
function uidOf(words: string): string {
  return `2.25.${createHash('sha256').update(words).digest().readBigUInt64BE()}`;
}

/** A disc on a gradient, brighter with each instance. */
function pixels(size: number, number: number): Buffer {
  const image = Buffer.alloc(size * size * 2);
  const middle = size / 2;
  for (let y = 0, at = 0; y < size; y++) {
    for (let x = 0; x < size; x++, at += 2) {
      const inside = (x - middle) ** 2 + (y - middle) ** 2 < (middle * 0.7) ** 2;
      image.writeUInt16LE((inside ? 2000 : 0) + ((x + y + number * 31) % 1000), at);
    }
  }
  return image;
}

function text(group: number, number: number, vr: string, value: string): Buffer {
  const padded = value.length % 2 === 0 ? value : value + (vr === 'UI' ? '\0' : ' ');
  return element(group, number, vr, Buffer.from(padded, 'latin1'));
}

function short(group: number, number: number, value: number): Buffer {
  const encoded = Buffer.alloc(2);
  encoded.writeUInt16LE(value);
  return element(group, number, 'US', encoded);
}

function element(group: number, number: number, vr: string, value: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16LE(group, 0);
  header.writeUInt16LE(number, 2);
  header.write(vr, 4, 'latin1');
  header.writeUInt16LE(value.length, 6);
  return Buffer.concat([header, value]);
}

/** An element whose VR has a 4-byte length. */
function bytes(group: number, number: number, vr: string, value: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16LE(group, 0);
  header.writeUInt16LE(number, 2);
  header.write(vr, 4, 'latin1');
  header.writeUInt32LE(value.length, 8);
  return Buffer.concat([header, value]);
}
