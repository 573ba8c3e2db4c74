/** Data sets that DCMTK wrote, as dcmdump reads them; and what is written here, as dcmdump reads that. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type DataSet,
  itemsOf,
  readDataSet,
  sequenceElement,
  shortElement,
  textElement,
  withElement,
} from '../../../protocols/dicom/data-set.ts';
import { createDataSetPeek } from '../../../protocols/dicom/data-set-peek.ts';
import { writeDataSet } from '../../../protocols/dicom/data-set-write.ts';
import { parseTag, TAG } from '../../../protocols/dicom/tags.ts';
import { readPart10 } from '../../../src/cli/part10.ts';
import { createSample } from '../../../src/demo/sample-files.ts';
import { createInflate } from '../../../src/frontends/dicom/inflate.ts';
import { describeWith, runProgram } from '../../peers/processes.ts';
import { pieces } from './fixture.ts';
import { TRANSFER_SYNTAXES } from './random-data-sets.ts';

const DUMP = `
(0008,0005) CS ISO_IR 100
(0008,0008) CS ORIGINAL\\PRIMARY\\AXIAL
(0008,0016) UI =CTImageStorage
(0008,0018) UI 2.25.1001
(0008,0050) SH ACC-1
(0008,0060) CS CT
(0008,1115) SQ
(fffe,e000) na
(0008,1199) SQ
(fffe,e000) na
(0008,1150) UI =CTImageStorage
(0008,1155) UI 2.25.97
(0020,000d) UI 2.25.99
(fffe,e00d) na
(fffe,e000) na
(fffe,e00d) na
(fffe,e0dd) na
(0020,000e) UI 2.25.98
(fffe,e00d) na
(fffe,e0dd) na
(0009,0010) LO INVENTED
(0009,1001) SL -7
(0009,1002) OB 53\\51\\00\\00
(0010,0010) PN INVENTED^NOBODY
(0010,0020) LO INVENTED-1
(0018,1200) DA 20260101\\20260102
(0020,000d) UI 2.25.5
(0020,0013) IS 12
(0028,0010) US 8
(0028,0103) US 0
(0028,0106) SS -300
(7fe0,0010) OW 0001\\0203
`;
/** Written as that → options of dcmconv. */
const SYNTAXES = { implicit: '+ti', explicit: '+te', 'big endian': '+tb', deflated: '+td' } as const;
type Name = keyof typeof SYNTAXES;
const ENCODINGS = Object.keys(SYNTAXES) as Name[];
/** Lengths of sequences, group lengths. */
const SHAPES = ['+e', '-e', '-e +g'];
/** Compressors of pixels, encapsulated. */
const COMPRESSORS = ['dcmcjpeg', 'dcmcjpls', 'dcmcrle'];

/** Elements of the data set itself, as dcmdump has them: tag → text without brackets, or undefined. */
async function dumped(...args: string[]): Promise<Map<number, string | undefined>> {
  const { output } = await runProgram('dcmdump', ['-q', '-Un', '+L', ...args]);
  const elements = new Map<number, string | undefined>();
  for (const line of output.split('\n')) {
    const match = /^(\([0-9a-f]{4},[0-9a-f]{4}\)) (..) (.*?) *#/.exec(line);
    const tag = match && parseTag(match[1]!);
    if (!tag || tag >>> 16 === 0x0002 || tag >>> 16 === 0xfffe) continue;
    const isText = !['OB', 'OW', 'UN', 'SQ'].includes(match[2]!) && !match[3]!.startsWith('(no value');
    elements.set(tag, isText ? match[3]!.replace(/^\[(.*)\]$/, '$1').trim() : undefined);
  }
  return elements;
}

/** The whole dump but for comments, lengths, counts, and the ends of sequences and items. */
async function dumpText(path: string): Promise<string[]> {
  const { output } = await runProgram('dcmdump', ['-q', '-Un', '+L', path]);
  const lines = output
    .split('\n')
    .map((line) => line.replace(/ *#.*| with (?:explicit|undefined) length/g, ''));
  return lines.filter((line) => /^ *\((?!0002|fffe,e00d|fffe,e0dd)/.test(line));
}

/** Without the number of elements of an item. */
function uncounted(line: string): string {
  return line.replace(/ #=\d+/, '');
}

/** Implicit encoding tells no VRs: those of private elements are lost, and whether US or SS was meant. */
const LOST = /^\((?:0009,10|0028,0106)/;
/** Where it is read here, those that tags.ts does not have are lost too. */
const NOT_KNOWN = /^ *\((?:0008,00(?:08|16|18)|0009|0010,0010|0018|0020,(?:000e|0013)|0028,0106|7fe0)/;

function peekedAll(bytes: Buffer, transferSyntax: string, tags: readonly number[], cuts: readonly number[]) {
  const peek = createDataSetPeek({ transferSyntax, tags, inflate: createInflate() });
  for (const chunk of pieces(bytes, cuts)) peek.push(chunk);
  peek.end();
  const values = tags.map((tag) => {
    const value = peek.value(tag);
    return [tag, typeof value === 'object' ? value.join('\\') : value];
  });
  return { state: peek.state, values: new Map(values as [number, string | undefined][]) };
}

describeWith(['dcmtk'], 'DCMTK', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-data-set-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const original = join(folder, 'original.dcm');
  const convert = async (name: string, program: string, args: readonly string[], from = original) => {
    const path = join(folder, `${name}.dcm`);
    const { code, output } = await runProgram(program, [...args, from, path]);
    expect({ code, output }).toEqual({ code: 0, output: '' });
    return path;
  };
  beforeAll(async () => {
    const dump = join(folder, 'original.dump');
    writeFileSync(dump, DUMP);
    await convert('original', 'dump2dcm', ['+te'], dump);
    originalDump = await dumpText(original);
    for (const name of ENCODINGS) await convert(name, 'dcmconv', [SYNTAXES[name], '-e']);
  });
  let originalDump: readonly string[];

  const read = (path: string) => {
    const { transferSyntax, dataSet } = readPart10(readFileSync(path));
    return { transferSyntax: transferSyntax!, dataSet };
  };
  const readElements = (name: Name) => {
    const { transferSyntax, dataSet } = read(join(folder, `${name}.dcm`));
    return readDataSet(dataSet, transferSyntax, createInflate())!;
  };

  /** A file with those elements, behind what DCMTK writes before them; as dcmdump reads it. */
  const dumpWritten = async (elements: DataSet, name: Name) => {
    const file = readFileSync(join(folder, `${name}.dcm`));
    const meta = file.subarray(0, -readPart10(file).dataSet.length);
    const path = join(folder, 'written.dcm');
    writeFileSync(
      path,
      Buffer.concat([meta, writeDataSet(elements, TRANSFER_SYNTAXES[name], deflateRawSync)]),
    );
    return dumpText(path);
  };

  describe.each(ENCODINGS)('%s', (name) => {
    const option = SYNTAXES[name];

    test.each(SHAPES)('every element as dcmdump has it: %s', async (shape) => {
      const path = await convert(`${name} ${shape}`, 'dcmconv', [option, ...shape.split(' ')]);
      const { transferSyntax, dataSet } = read(path);
      expect(transferSyntax).toBe(TRANSFER_SYNTAXES[name]);
      const expected = await dumped(path);
      // Without a VR a signed number is not told from text, nor the length of a group.
      const tags = [...expected.keys()].filter(
        (tag) =>
          name !== 'implicit' ||
          !(tag % 65536 === 0 || tag === 0x00091001 || tag === 0x00280106 || tag === 0x00091002),
      );
      const wanted = new Map(tags.map((tag) => [tag, expected.get(tag)]));
      for (const cuts of [[], [...dataSet.keys()]]) {
        expect(peekedAll(dataSet, transferSyntax, tags, cuts)).toEqual({ state: 'done', values: wanted });
      }
    });

    test('read whole, changed and written, as dcmdump reads it', async () => {
      const elements = readElements(name);
      const [series] = itemsOf(elements, 0x00081115);
      const changed = withElement(
        withElement(elements, textElement(TAG.ACCESSION_NUMBER, 'SH', 'ACC-22')),
        sequenceElement(0x00081115, [withElement(series!, shortElement(TAG.FAILURE_REASON, 0x0112))]),
      );
      const lines = (await dumpWritten(changed, name)).filter((line) => !LOST.test(line));
      const expected = originalDump.map((line) => line.replace('[ACC-1]', '[ACC-22]'));
      expected.splice(
        expected.findIndex((line) => line.startsWith('    (0008,1199)')),
        0,
        '    (0008,1197) US 274',
      );
      expect(lines.map(uncounted)).toEqual(expected.filter((line) => !LOST.test(line)).map(uncounted));
    });

    test.each(ENCODINGS)('read, and written in %s', async (to) => {
      const lines = await dumpWritten(readElements(name), to);
      const lost = name === 'implicit' ? NOT_KNOWN : to === 'implicit' ? LOST : /^$/;
      const kept = (line: string) => !lost.test(line);
      expect(lines.filter(kept)).toEqual(originalDump.filter(kept));
    });
  });

  test.each(COMPRESSORS)('encapsulated by %s', async (program) => {
    const sample = createSample({ modality: 'CT', study: 'encapsulated', number: 1 });
    const plainFile = join(folder, 'sample.dcm');
    writeFileSync(plainFile, sample.file);
    const { transferSyntax, dataSet } = read(await convert(program, program, [], plainFile));
    const tags = [TAG.MODALITY, TAG.STUDY_INSTANCE_UID, 0x7fe0_0010, 0x7fff_0000];
    const { state, values } = peekedAll(dataSet, transferSyntax, tags, [...dataSet.keys()]);
    expect([state, ...values.values()]).toEqual(['done', 'CT', sample.studyInstance, undefined, undefined]);
  });
});
