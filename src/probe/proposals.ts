/**
 * What servers are asked for: pairs of a SOP class and one transfer syntax. An acceptor chooses one transfer syntax a
 * context (PS3.8 9.3.3.2), so that two in one context would hide what it thinks of the second.
 */
import { modalityOfSopClass } from '../../protocols/dicom/modality.ts';
import { SOP_CLASSES } from '../../protocols/dicom/sop-classes.ts';
import { TRANSFER_SYNTAXES } from '../../protocols/dicom/transfer-syntaxes.ts';

/** One presentation context. */
export interface Proposal {
  /** UIDs. */
  readonly sopClass: string;
  readonly transferSyntax: string;
}

export const VERIFICATION = '1.2.840.10008.1.1';
export const IMPLICIT_VR_LITTLE_ENDIAN = '1.2.840.10008.1.2';
const EXPLICIT_VR_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';
const UNCOMPRESSED = [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN];

/** What senders of images use, under the names that operators know: those of PS3.6 fill a line. */
const USUAL_SYNTAXES: Readonly<Record<string, string>> = {
  [IMPLICIT_VR_LITTLE_ENDIAN]: 'Implicit VR Little Endian',
  [EXPLICIT_VR_LITTLE_ENDIAN]: 'Explicit VR Little Endian',
  '1.2.840.10008.1.2.2': 'Explicit VR Big Endian',
  '1.2.840.10008.1.2.1.99': 'Deflated Explicit VR Little Endian',
  '1.2.840.10008.1.2.4.50': 'JPEG Baseline',
  '1.2.840.10008.1.2.4.51': 'JPEG Extended',
  '1.2.840.10008.1.2.4.57': 'JPEG Lossless',
  '1.2.840.10008.1.2.4.70': 'JPEG Lossless SV1',
  '1.2.840.10008.1.2.4.80': 'JPEG-LS Lossless',
  '1.2.840.10008.1.2.4.81': 'JPEG-LS Near-Lossless',
  '1.2.840.10008.1.2.4.90': 'JPEG 2000 Lossless',
  '1.2.840.10008.1.2.4.91': 'JPEG 2000',
  '1.2.840.10008.1.2.5': 'RLE Lossless',
  '1.2.840.10008.1.2.4.201': 'HTJ2K Lossless',
  '1.2.840.10008.1.2.4.203': 'HTJ2K',
};

/** Films, and what is rare still. */
const FURTHER_SYNTAXES: Readonly<Record<string, string>> = {
  '1.2.840.10008.1.2.4.100': 'MPEG2 Main Level',
  '1.2.840.10008.1.2.4.101': 'MPEG2 High Level',
  '1.2.840.10008.1.2.4.102': 'MPEG-4 H.264 Level 4.1',
  '1.2.840.10008.1.2.4.103': 'MPEG-4 H.264 BD-compatible',
  '1.2.840.10008.1.2.4.104': 'MPEG-4 H.264 Level 4.2 2D',
  '1.2.840.10008.1.2.4.107': 'HEVC H.265 Main',
  '1.2.840.10008.1.2.4.108': 'HEVC H.265 Main 10',
  '1.2.840.10008.1.2.4.110': 'JPEG XL Lossless',
  '1.2.840.10008.1.2.4.111': 'JPEG XL JPEG Recompression',
  '1.2.840.10008.1.2.4.112': 'JPEG XL',
  '1.2.840.10008.1.2.4.202': 'HTJ2K Lossless RPCL',
};

const SHORT_NAMES = { ...USUAL_SYNTAXES, ...FURTHER_SYNTAXES };

const STORAGE = '1.2.840.10008.5.1.4.1.1.';

/** CT, MR, CR, DX, MG, US (single, multi-frame), XA, RF, NM, PET, SC, presentation states, SR, KO. */
const USUAL_STORAGE = '2 4 1 1.1 1.2 6.1 3.1 12.1 12.2 20 128 7 11.1 88.22 88.59'
  .split(' ')
  .map((suffix) => STORAGE + suffix);

/** Query/Retrieve, worklist, MPPS, storage commitment: their data sets have no pixels, so nothing compresses them. */
const SERVICES = [
  '1.2.840.10008.5.1.4.1.2.1.1',
  '1.2.840.10008.5.1.4.1.2.1.2',
  '1.2.840.10008.5.1.4.1.2.1.3',
  '1.2.840.10008.5.1.4.1.2.2.1',
  '1.2.840.10008.5.1.4.1.2.2.2',
  '1.2.840.10008.5.1.4.1.2.2.3',
  '1.2.840.10008.5.1.4.31',
  '1.2.840.10008.3.1.2.3.3',
  '1.2.840.10008.1.20.1',
];

export interface Wanted {
  /** Every storage SOP class of PS3.6 that is not retired, and the rare transfer syntaxes too. */
  readonly all?: boolean | undefined;
  /** Beside the usual: storage SOP classes by their UIDs, and all those of these modalities. */
  readonly sopClasses?: readonly string[] | undefined;
  readonly modalities?: readonly string[] | undefined;
}

/** In the order in which they are asked for and shown: Verification, storage, services. */
export function proposalsFor({ all = false, sopClasses = [], modalities = [] }: Wanted = {}): Proposal[] {
  const current = [...SOP_CLASSES].filter(([, { kind, retired }]) => kind === 'storage' && !retired);
  const isNamed = (uid: string) =>
    sopClasses.includes(uid) || modalities.includes(modalityOfSopClass(uid) ?? '');
  const named = current.map(([uid]) => uid).filter((uid) => all || isNamed(uid));
  const syntaxes = Object.keys(all ? SHORT_NAMES : USUAL_SYNTAXES);
  return [
    ...pairs([VERIFICATION], UNCOMPRESSED),
    ...pairs(new Set([...USUAL_STORAGE, ...named]), syntaxes),
    ...pairs(SERVICES, UNCOMPRESSED),
  ];
}

/** As operators call it: `CT Image Storage`; a UID that PS3.6 does not have stays one. */
export function sopClassName(uid: string): string {
  return SOP_CLASSES.get(uid)?.name.replace(/ SOP Class( UID)?$/, '') ?? uid;
}

/** As operators call it: `JPEG Lossless SV1`. */
export function transferSyntaxName(uid: string): string {
  return SHORT_NAMES[uid] ?? TRANSFER_SYNTAXES.get(uid)?.name ?? uid;
}

function pairs(sopClasses: Iterable<string>, transferSyntaxes: readonly string[]): Proposal[] {
  return [...sopClasses].flatMap((sopClass) =>
    transferSyntaxes.map((transferSyntax) => ({ sopClass, transferSyntax })),
  );
}
