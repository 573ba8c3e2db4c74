import { describe, expect, test } from 'vitest';
import {
  abortText,
  isTransient,
  readAbort,
  readReject,
  rejectText,
  writeAbort,
  writeReject,
  writeReleaseRp,
  writeReleaseRq,
} from '../../../protocols/dicom/small-pdus.ts';
import { faultOf, fixture } from './fixture.ts';

describe('written as DCMTK writes them', () => {
  test('A-ASSOCIATE-RJ', () => {
    expect(writeReject(1, 1, 7)).toEqual(fixture('reject-called-ae'));
    expect(writeReject(1, 1, 1)).toEqual(fixture('reject-refused'));
  });

  test('A-RELEASE-RQ and A-RELEASE-RP', () => {
    expect(writeReleaseRq()).toEqual(fixture('release-rq'));
    expect(writeReleaseRp()).toEqual(fixture('release-rp'));
  });

  test('A-ABORT', () => {
    expect(writeAbort(0, 0)).toEqual(fixture('abort'));
    expect(writeAbort(2, 6).toString('hex')).toBe('07000000000400000206');
  });
});

describe('read', () => {
  test('every rejection and abort there can be', () => {
    for (let value = 0; value < 256; value++) {
      expect(readReject(writeReject(value, 255 - value, value))).toEqual({
        result: value,
        source: 255 - value,
        reason: value,
      });
      expect(readAbort(writeAbort(value, 255 - value))).toEqual({ source: value, reason: 255 - value });
    }
  });

  test('a rejection that no standard knows is decoded: printers send reason 56', () => {
    const reject = readReject(writeReject(1, 3, 56));
    expect(rejectText(reject)).toBe('source 3 reason 56');
  });

  test('reserved bytes are not tested', () => {
    expect(readReject(Buffer.from('03ff00000004ff020301', 'hex'))).toEqual({
      result: 2,
      source: 3,
      reason: 1,
    });
    expect(readAbort(Buffer.from('07ff00000004ffff0202', 'hex'))).toEqual({ source: 2, reason: 2 });
  });

  test('another PDU, a short or a long one is a fault', () => {
    for (const length of [0, 6, 8, 9]) {
      expect(faultOf(() => readReject(writeReject(1, 1, 1).subarray(0, length))).abortReason).toBe(6);
      expect(faultOf(() => readAbort(writeAbort(0, 0).subarray(0, length))).abortReason).toBe(6);
    }
    expect(faultOf(() => readAbort(writeReject(1, 1, 1))).abortReason).toBe(6);
    expect(faultOf(() => readReject(Buffer.alloc(11, 3))).abortReason).toBe(6);
  });
});

describe('words for operators', () => {
  test('the reason depends on the source (PS3.8 Table 9-21)', () => {
    expect(rejectText({ result: 1, source: 1, reason: 2 })).toBe('application-context-name-not-supported');
    expect(rejectText({ result: 1, source: 2, reason: 2 })).toBe('protocol-version-not-supported');
    expect(rejectText({ result: 2, source: 3, reason: 2 })).toBe('local-limit-exceeded');
  });

  test('a user abort has no reason, a provider abort has (Table 9-26)', () => {
    expect(abortText({ source: 0, reason: 6 })).toBe('aborted by the user');
    expect(abortText({ source: 2, reason: 6 })).toBe('invalid-PDU-parameter-value');
    expect(abortText({ source: 2, reason: 3 })).toBe('source 2 reason 3');
  });

  test('only a permanent rejection is permanent', () => {
    expect([0, 1, 2, 3].map((result) => isTransient({ result, source: 1, reason: 1 }))).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });
});
