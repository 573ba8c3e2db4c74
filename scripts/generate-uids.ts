/**
 * Writes protocols/dicom/sop-classes.ts and transfer-syntaxes.ts from fixtures/dicom/uids.csv, which holds the facts of
 * PS3.6 (2026) Table A-1: `uid,name,kind,retired`. Run it after changing the list: node scripts/generate-uids.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';

const ROOT = new URL('../', import.meta.url);
const SOURCE = new URL('fixtures/dicom/uids.csv', ROOT);
const SOP_CLASSES = new URL('protocols/dicom/sop-classes.ts', ROOT);
const TRANSFER_SYNTAXES = new URL('protocols/dicom/transfer-syntaxes.ts', ROOT);

interface Uid {
  readonly uid: string;
  readonly name: string;
  readonly kind: string;
  readonly retired: boolean;
}

/** What each generated file has to contain, by its URL. */
export function generate(): ReadonlyMap<URL, string> {
  const uids = readUids(readFileSync(SOURCE, 'utf8'));
  const transferSyntaxes = uids.filter(({ kind }) => kind === 'transfer-syntax');
  const sopClasses = uids.filter(({ kind }) => kind !== 'transfer-syntax');
  return new Map([
    [SOP_CLASSES, sopClassFile(sopClasses)],
    [TRANSFER_SYNTAXES, transferSyntaxFile(transferSyntaxes)],
  ]);
}

function readUids(csv: string): Uid[] {
  const [header, ...lines] = csv.trimEnd().split('\n');
  if (header !== 'uid,name,kind,retired')
    throw new Error('uids.csv does not begin with uid,name,kind,retired');
  return lines.map((line) => {
    const match = /^([\d.]+),(?:"([^"]*)"|([^",]*)),([a-z-]+),(retired)?$/.exec(line);
    if (!match) throw new Error(`uids.csv: not a line of uid,name,kind,retired: ${line}`);
    return {
      uid: match[1]!,
      name: (match[2] ?? match[3])!,
      kind: match[4]!,
      retired: match[5] !== undefined,
    };
  });
}

function sopClassFile(uids: readonly Uid[]): string {
  return `// Written by scripts/generate-uids.ts from fixtures/dicom/uids.csv: change that, not this.

/** SOP classes of PS3.6 Table A-1: those of Storage (what C-STORE carries), all others, and meta SOP classes. */
export interface SopClass {
  readonly name: string;
  readonly kind: 'storage' | 'sop-class' | 'meta-sop-class';
  readonly retired: boolean;
}

/** UID → SOP class. */
// biome-ignore format: a line an entry
export const SOP_CLASSES: ReadonlyMap<string, SopClass> = new Map([
${uids.map(({ uid, name, kind, retired }) => `  ['${uid}', { name: ${quoted(name)}, kind: '${kind}', retired: ${retired} }],`).join('\n')}
]);
`;
}

function transferSyntaxFile(uids: readonly Uid[]): string {
  return `// Written by scripts/generate-uids.ts from fixtures/dicom/uids.csv: change that, not this.

/** Transfer syntaxes of PS3.6 Table A-1. */
export interface TransferSyntax {
  readonly name: string;
  readonly retired: boolean;
}

/** UID → transfer syntax. */
// biome-ignore format: a line an entry
export const TRANSFER_SYNTAXES: ReadonlyMap<string, TransferSyntax> = new Map([
${uids.map(({ uid, name, retired }) => `  ['${uid}', { name: ${quoted(name)}, retired: ${retired} }],`).join('\n')}
]);
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

if (import.meta.main) {
  for (const [file, text] of generate()) writeFileSync(file, text);
}
