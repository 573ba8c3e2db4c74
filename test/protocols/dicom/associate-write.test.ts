import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Associate, indexAssociate } from '../../../protocols/dicom/associate.ts';
import {
  type AssociateRqToWrite,
  isAeTitle,
  writeAssociateAc,
  writeAssociateRq,
} from '../../../protocols/dicom/associate-write.ts';
import { bytes, request, uid, userInformation } from './arbitrary-associate.ts';
import { fixture } from './fixture.ts';

function written(associate: Associate): AssociateRqToWrite {
  const {
    maxLengthOffset: _,
    items: __,
    unknown: ___,
    userIdentityResponse: ____,
    ...rest
  } = associate.userInformation;
  return {
    calledAe: associate.calledAe,
    callingAe: associate.callingAe,
    applicationContext: associate.applicationContext,
    presentationContexts: associate.presentationContexts.map(({ id, abstractSyntax, transferSyntaxes }) => ({
      id,
      abstractSyntax,
      transferSyntaxes,
    })),
    ...rest,
  } as AssociateRqToWrite;
}

describe('written and read again', () => {
  test('any A-ASSOCIATE-RQ', () => {
    fc.assert(
      fc.property(request, (values) => {
        expect(written(indexAssociate(writeAssociateRq(values)))).toEqual(values);
      }),
      { numRuns: 200 },
    );
  });

  test('any A-ASSOCIATE-AC, with the AE titles and reserved bytes of the request', () => {
    const rq = indexAssociate(fixture('by-hand-associate-rq'));
    fc.assert(
      fc.property(
        fc.array(fc.record({ result: fc.constantFrom(0, 3, 4), transferSyntax: uid }), { maxLength: 128 }),
        fc.record({ ...userInformation, userIdentityResponse: bytes }),
        (contexts, values) => {
          const presentationContexts = contexts.map((context, index) => ({ id: index * 2 + 1, ...context }));
          const pdu = writeAssociateAc({ request: rq, presentationContexts, ...values });
          const accept = indexAssociate(pdu);
          expect(pdu.subarray(10, 74)).toEqual(rq.bytes.subarray(10, 74));
          expect(accept.userInformation).toMatchObject(values);
          expect(
            accept.presentationContexts.map(({ id, result, transferSyntaxes }) => [
              id,
              result,
              ...transferSyntaxes,
            ]),
          ).toEqual(
            presentationContexts.map(({ id, result, transferSyntax }) =>
              result === 0 ? [id, result, transferSyntax] : [id, result],
            ),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  test('what is not given is not sent, but for maximum length and implementation', () => {
    const pdu = writeAssociateRq({ calledAe: 'A', callingAe: 'B', presentationContexts: [] });
    const { userInformation: read } = indexAssociate(pdu);
    expect(read.items.map(({ type }) => type)).toEqual([0x51, 0x52, 0x55]);
    expect(read.maxLength).toBe(16384);
  });
});

test.each(['', ' ', '                ', 'SEVENTEEN_LETTERS', 'BACK\\SLASH', 'UMLAUT_Ä', 'TAB\t'])(
  '%j is no AE title',
  (ae) => {
    expect(isAeTitle(ae)).toBe(false);
    expect(() => writeAssociateRq({ calledAe: ae, callingAe: 'B', presentationContexts: [] })).toThrow(
      RangeError,
    );
  },
);
