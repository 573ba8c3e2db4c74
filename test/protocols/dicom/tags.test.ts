import { expect, test } from 'vitest';
import { encodingOf } from '../../../protocols/dicom/encoding.ts';
import { parseTag, TAG, vrOfTag } from '../../../protocols/dicom/tags.ts';
import { TRANSFER_SYNTAXES } from '../../../protocols/dicom/transfer-syntaxes.ts';

test('tags as they are written, in either case', () => {
  expect(parseTag('(0020,000D)')).toBe(TAG.STUDY_INSTANCE_UID);
  expect(parseTag('(0020,000d)')).toBe(TAG.STUDY_INSTANCE_UID);
  expect(parseTag('(FFFE,E000)')).toBe(0xfffee000);
  for (const text of ['0020,000D', '(0020,00D)', '(0020,000D) ', '(0020,000G)', 'study', '']) {
    expect(parseTag(text)).toBeUndefined();
  }
});

test('every tag with a name has a VR', () => {
  expect(Object.values(TAG).filter((tag) => vrOfTag(tag) === undefined)).toEqual([]);
});

test('transfer syntaxes that are not explicit little endian', () => {
  const uids = [...TRANSFER_SYNTAXES.keys(), '1.2.840.113619.5.2', '1.2.3.4.5'];
  const listed = (wanted: (encoding: ReturnType<typeof encodingOf>) => boolean) =>
    uids.filter((uid) => wanted(encodingOf(uid)));
  expect(listed(({ explicit }) => !explicit)).toEqual([
    '1.2.840.10008.1.2',
    '1.2.840.10008.1.20',
    '1.2.840.113619.5.2',
  ]);
  expect(listed(({ bigEndian }) => bigEndian)).toEqual(['1.2.840.10008.1.2.2']);
  expect(listed(({ deflated }) => deflated)).toEqual([
    '1.2.840.10008.1.2.1.99',
    '1.2.840.10008.1.2.4.95',
    '1.2.840.10008.1.2.4.205',
  ]);
});
