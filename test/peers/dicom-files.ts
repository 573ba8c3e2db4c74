/** Invented instances in a folder, for senders that read files; and what is in the files that receivers wrote. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSample,
  SAMPLE_SOP_CLASSES,
  type SampleInstance,
  type SampleModality,
} from '../../src/demo/sample-files.ts';

export const MODALITIES = Object.keys(SAMPLE_SOP_CLASSES) as readonly SampleModality[];

export interface InstanceFile extends SampleInstance {
  readonly path: string;
}

/** A folder of the test's own, removed by `[Symbol.dispose]` or `remove`. */
export interface TestFolder extends Disposable {
  readonly path: string;
  remove(): void;
}

export function createFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), 'gantry-test-'));
  const remove = () => rmSync(path, { recursive: true, force: true });
  return { path, remove, [Symbol.dispose]: remove };
}

/** Instances without files: `count` of one modality, in one study. */
export function createInstances(
  modality: SampleModality,
  count: number,
  study = 'test',
  size = 64,
): SampleInstance[] {
  return Array.from({ length: count }, (_, index) =>
    createSample({ modality, study: `${study} ${modality}`, number: index + 1, size }),
  );
}

/** `count` files in `folder`, of all four modalities in turn, each modality a study of its own. */
export function writeInstances(folder: string, count: number, size = 64, study = 'test'): InstanceFile[] {
  mkdirSync(folder, { recursive: true });
  return Array.from({ length: count }, (_, index) => {
    const modality = MODALITIES[index % MODALITIES.length]!;
    const sample = createSample({ modality, study: `${study} ${modality}`, number: index + 1, size });
    const path = join(folder, `${modality}-${String(index + 1).padStart(4, '0')}.dcm`);
    writeFileSync(path, sample.file);
    return { ...sample, path };
  });
}

/** SOP Instance UID → SHA-256 of the data set, of every file in a folder. */
export function storedDataSets(folder: string): Map<string, string> {
  const stored = new Map<string, string>();
  for (const name of readdirSync(folder)) {
    const { sopInstance, dataSet } = splitFile(readFileSync(join(folder, name)));
    stored.set(sopInstance, sha256(dataSet));
  }
  return stored;
}

/** `SOP-INSTANCE-UID SHA-256` of the data set of every file in a folder, sorted: what came twice is there twice. */
export function listDataSets(folder: string): string[] {
  const all = readdirSync(folder).map((name) => splitFile(readFileSync(join(folder, name))));
  return listed(all);
}

/** The same of instances as they were made. */
export function listed(instances: readonly Pick<SampleInstance, 'sopInstance' | 'dataSet'>[]): string[] {
  return instances.map(({ sopInstance, dataSet }) => `${sopInstance} ${sha256(dataSet)}`).sort();
}

/** SOP Instance UID → SHA-256 of the data set, as they were made. */
export function expectedDataSets(instances: readonly SampleInstance[]): Map<string, string> {
  return new Map(instances.map(({ sopInstance, dataSet }) => [sopInstance, sha256(dataSet)]));
}

/** The data set of a Part 10 file (PS3.10 7.1): what is behind the File Meta Information. */
export function splitFile(file: Buffer): { sopInstance: string; transferSyntax: string; dataSet: Buffer } {
  const start = 144;
  const end = start + file.readUInt32LE(140);
  let sopInstance = '';
  let transferSyntax = '';
  for (let at = start; at < end; ) {
    const long = file.toString('latin1', at + 4, at + 6) === 'OB';
    const length = long ? file.readUInt32LE(at + 8) : file.readUInt16LE(at + 6);
    const value = at + (long ? 12 : 8);
    const text = () => file.toString('latin1', value, value + length).replace(/\0$/, '');
    if (file.readUInt16LE(at + 2) === 0x0003) sopInstance = text();
    if (file.readUInt16LE(at + 2) === 0x0010) transferSyntax = text();
    at = value + length;
  }
  return { sopInstance, transferSyntax, dataSet: file.subarray(end) };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
