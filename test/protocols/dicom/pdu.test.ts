import { describe, expect, test } from 'vitest';
import { isPduType, PDU, pduName } from '../../../protocols/dicom/pdu.ts';

describe('PDU types', () => {
  test('the seven of PS3.8 9.3.1 have their names', () => {
    expect(Object.values(PDU).map(pduName)).toEqual([
      'A-ASSOCIATE-RQ',
      'A-ASSOCIATE-AC',
      'A-ASSOCIATE-RJ',
      'P-DATA-TF',
      'A-RELEASE-RQ',
      'A-RELEASE-RP',
      'A-ABORT',
    ]);
  });

  test('every other byte is none', () => {
    const types = Array.from({ length: 256 }, (_, byte) => byte).filter(isPduType);
    expect(types).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(pduName(0x16)).toBe('PDU type 16H');
  });
});
