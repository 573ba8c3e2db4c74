import { readFileSync } from 'node:fs';
import dimse from 'dcmjs-dimse';
import { describe, expect, test } from 'vitest';
import { SOP_CLASSES } from '../../../protocols/dicom/sop-classes.ts';
import { TRANSFER_SYNTAXES } from '../../../protocols/dicom/transfer-syntaxes.ts';
import { generate } from '../../../scripts/generate-uids.ts';

describe('generated tables', () => {
  test.each([...generate()].map(([file, text]) => [file.pathname.split('/').at(-1)!, file, text] as const))(
    '%s is what scripts/generate-uids.ts makes of uids.csv',
    (_, file, text) => {
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );

  test('hold what PS3.6 Table A-1 has: all storage classes and transfer syntaxes, current and retired', () => {
    const storage = [...SOP_CLASSES.values()].filter(({ kind }) => kind === 'storage');
    expect(storage.length).toBeGreaterThan(190);
    expect(TRANSFER_SYNTAXES.size).toBe(63);
    expect(SOP_CLASSES.get('1.2.840.10008.5.1.4.1.1.2')).toEqual({
      name: 'CT Image Storage',
      kind: 'storage',
      retired: false,
    });
    expect(SOP_CLASSES.get('1.2.840.10008.1.20.1')?.kind).toBe('sop-class');
    expect(TRANSFER_SYNTAXES.get('1.2.840.10008.1.2.2')?.retired).toBe(true);
  });
});

describe('against the constants of dcmjs-dimse', () => {
  const { SopClass, StorageClass, TransferSyntax } = dimse.constants;

  test('its storage classes are storage classes', () => {
    for (const uid of Object.values(StorageClass))
      expect([uid, SOP_CLASSES.get(uid)?.kind]).toEqual([uid, 'storage']);
  });

  test('its other SOP classes are known, and none is storage', () => {
    for (const uid of Object.values(SopClass)) {
      expect([uid, SOP_CLASSES.get(uid)?.kind]).toEqual([uid, expect.stringMatching(/^(meta-)?sop-class$/)]);
    }
  });

  test('its transfer syntaxes are known', () => {
    for (const uid of Object.values(TransferSyntax))
      expect([uid, TRANSFER_SYNTAXES.has(uid)]).toEqual([uid, true]);
  });
});
