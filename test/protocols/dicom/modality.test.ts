import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { modalityOf, modalityOfSopClass } from '../../../protocols/dicom/modality.ts';
import { SOP_CLASSES } from '../../../protocols/dicom/sop-classes.ts';

const STORAGE = '1.2.840.10008.5.1.4.1.1.';
const CT = `${STORAGE}2`;
const ENHANCED_CT = `${STORAGE}2.1`;
const MR = `${STORAGE}4`;
const SECONDARY_CAPTURE = `${STORAGE}7`;
const RAW = `${STORAGE}66`;
const DOSE_SR = `${STORAGE}88.67`;
const PRESENTATION_STATE = `${STORAGE}11.1`;
const VERIFICATION = '1.2.840.10008.1.1';
const WORKLIST = '1.2.840.10008.5.1.4.31';
const PRIVATE = '1.3.12.2.1107.5.9.1';

describe('modality of an association', () => {
  test.each([
    ['the one that all storage classes have', [CT, ENHANCED_CT, `${STORAGE}2.2`], 'CT'],
    ['MULTI when they differ', [CT, MR], 'MULTI'],
    ['none without storage classes', [VERIFICATION, WORKLIST], undefined],
    ['none for an empty request', [], undefined],
    ['not touched by other services', [VERIFICATION, CT, WORKLIST], 'CT'],
    ['not touched by classes of any modality', [CT, SECONDARY_CAPTURE, RAW, PRIVATE], 'CT'],
    ['none when only such are proposed', [SECONDARY_CAPTURE, RAW], undefined],
    [
      'that of the images, beside dose report and presentation state',
      [DOSE_SR, CT, PRESENTATION_STATE],
      'CT',
    ],
    ['SR when only reports are proposed', [DOSE_SR, `${STORAGE}88.33`], 'SR'],
    ['MULTI for several derived ones alone', [DOSE_SR, PRESENTATION_STATE], 'MULTI'],
    ['MULTI whatever else there is', [CT, DOSE_SR, MR, SECONDARY_CAPTURE], 'MULTI'],
    ['MULTI for a PET/CT', [CT, `${STORAGE}128`], 'MULTI'],
  ])('%s', (_, sopClasses, modality) => {
    expect(modalityOf(sopClasses)).toBe(modality);
  });

  test('does not depend on the order', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...SOP_CLASSES.keys()]), (sopClasses) => {
        expect(modalityOf(sopClasses)).toBe(modalityOf(sopClasses.toReversed()));
      }),
    );
  });
});

describe('modality of a storage class', () => {
  test.each([
    ['1', 'CR'],
    ['1.1', 'DX'],
    ['1.2.1', 'MG'],
    ['13.1.3', 'MG'],
    ['1.3', 'IO'],
    ['2', 'CT'],
    ['4.3', 'MR'],
    ['3.1', 'US'],
    ['6.1', 'US'],
    ['12.1.1', 'XA'],
    ['12.2', 'RF'],
    ['20', 'NM'],
    ['128', 'PT'],
    ['481.3', 'RTSTRUCT'],
    ['9.1.1', 'ECG'],
    ['77.1.1', 'ES'],
    ['77.1.6', 'SM'],
    ['77.1.5.1', 'OP'],
    ['77.1.5.4', 'OPT'],
    ['88.59', 'KO'],
    ['88.11', 'SR'],
    ['104.1', 'DOC'],
    ['66.4', 'SEG'],
  ])('%s is %s', (suffix, modality) => {
    expect(modalityOfSopClass(STORAGE + suffix)).toBe(modality);
  });

  test('what PS3.6 does not know as storage has none', () => {
    expect(modalityOfSopClass(VERIFICATION)).toBeUndefined();
    expect(modalityOfSopClass('2')).toBeUndefined();
  });

  test('every class of the table is a storage class of PS3.6, and the storage classes without a modality are these', () => {
    const none = [...SOP_CLASSES]
      .filter(([uid, { kind, retired }]) => kind === 'storage' && !retired && !modalityOfSopClass(uid))
      .map(([uid]) => uid.replace(STORAGE, ''));
    expect(none).toEqual([
      ...['7', '7.1', '7.2', '7.3', '7.4', '13.1.2', '30', '66', '66.6', '68.1', '68.2', '78.6', '79.1'],
      ...['90.1', '104.3', '104.4', '104.5', '131', '200.1', '200.2', '200.3', '200.7', '200.8', '201.1'],
      ...['481.16', '481.17', '481.18', '481.19', '481.20', '481.21', '481.22', '481.25'],
      ...['501.1', '501.2.1', '501.2.2', '501.3', '501.4', '501.5', '501.6'],
      ...['601.1', '601.2', '601.3', '601.4', '601.5'],
      ...['34.7', '34.10', '38.1', '39.1', '43.1', '44.1', '45.1'].map(
        (rest) => `1.2.840.10008.5.1.4.${rest}`,
      ),
    ]);
    const withModality = [...SOP_CLASSES.keys()].filter(modalityOfSopClass);
    expect(withModality.every((uid) => SOP_CLASSES.get(uid)!.kind === 'storage')).toBe(true);
  });
});
