import { expect, test } from 'vitest';
import { type Proposal, proposalsFor, sopClassName, transferSyntaxName } from '../../src/probe/proposals.ts';
import { CT_IMAGE_STORAGE, EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION } from '../peers/pdus.ts';

const ENHANCED_CT = '1.2.840.10008.5.1.4.1.1.2.1';
const ECG = '1.2.840.10008.5.1.4.1.1.9.1.1';
const WORKLIST = '1.2.840.10008.5.1.4.31';

function syntaxesOf(sopClass: string, proposals: readonly Proposal[]): string[] {
  return proposals.filter((one) => one.sopClass === sopClass).map(({ transferSyntax }) => transferSyntax);
}

test('the usual: Verification, a dozen of storage in all transfer syntaxes, services uncompressed', () => {
  const usual = proposalsFor();
  const classes = new Set(usual.map(({ sopClass }) => sopClass));
  expect(usual[0]!.sopClass).toBe(VERIFICATION);
  expect(classes.size).toBe(1 + 15 + 9);
  expect(syntaxesOf(CT_IMAGE_STORAGE, usual)).toContain('1.2.840.10008.1.2.4.70');
  expect(syntaxesOf(CT_IMAGE_STORAGE, usual).length).toBe(15);
  expect(syntaxesOf(WORKLIST, usual)).toEqual([IMPLICIT_LITTLE, EXPLICIT_LITTLE]);
  expect(classes.has(ENHANCED_CT)).toBe(false);
});

test('what rules name comes in addition: SOP classes, and all of a modality', () => {
  const classes = new Set(
    proposalsFor({ sopClasses: [ECG], modalities: ['CT'] }).map(({ sopClass }) => sopClass),
  );
  expect([classes.has(ECG), classes.has(ENHANCED_CT), classes.size]).toEqual([
    true,
    true,
    1 + 15 + 1 + 5 + 9,
  ]);
});

test('all: no pair twice, every class and syntax has a name, nothing is retired', () => {
  const all = proposalsFor({ all: true });
  expect(new Set(all.map((one) => `${one.sopClass} ${one.transferSyntax}`)).size).toBe(all.length);
  expect(all.filter((one) => /^[\d.]+$/.test(sopClassName(one.sopClass)))).toEqual([]);
  expect(all.filter((one) => /^[\d.]+$/.test(transferSyntaxName(one.transferSyntax)))).toEqual([]);
  expect(syntaxesOf(CT_IMAGE_STORAGE, all).length).toBe(26);
  expect(syntaxesOf('1.2.840.10008.5.1.4.1.1.5', all)).toEqual([]);
});

test('names as operators know them', () => {
  expect([
    sopClassName(VERIFICATION),
    sopClassName(CT_IMAGE_STORAGE),
    sopClassName('1.2.3'),
    transferSyntaxName('1.2.840.10008.1.2.4.70'),
    transferSyntaxName('1.2.840.10008.1.2.4.58'),
    transferSyntaxName('1.2.3'),
  ]).toEqual([
    'Verification',
    'CT Image Storage',
    '1.2.3',
    'JPEG Lossless SV1',
    'JPEG Lossless, Non-Hierarchical (Process 15)',
    '1.2.3',
  ]);
});
