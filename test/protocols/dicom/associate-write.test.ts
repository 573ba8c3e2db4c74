import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Associate, indexAssociate } from '../../../protocols/dicom/associate.ts';
import {
  type AssociateRqToWrite,
  isAeTitle,
  restoreAes,
  withCalledAe,
  writeAssociateAc,
  writeAssociateRq,
} from '../../../protocols/dicom/associate-write.ts';
import { fixture } from './fixture.ts';

const aeTitle = fc
  .string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 16,
  })
  .filter((ae) => !ae.includes('\\'));
const uid = fc
  .array(fc.nat({ max: 99999 }), { minLength: 2, maxLength: 10 })
  .map((components) => components.join('.'));
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));

const userInformation = {
  maxLength: fc.nat({ max: 0xffffffff }),
  implementationClassUid: uid,
  implementationVersionName: aeTitle,
  asyncWindow: fc.record({ invoked: fc.nat({ max: 65535 }), performed: fc.nat({ max: 65535 }) }),
  roles: fc.array(fc.record({ sopClass: uid, scu: fc.boolean(), scp: fc.boolean() }), { maxLength: 3 }),
  extended: fc.array(fc.record({ sopClass: uid, information: bytes }), { maxLength: 3 }),
  commonExtended: fc.array(
    fc.record({
      version: fc.nat({ max: 255 }),
      sopClass: uid,
      serviceClass: uid,
      relatedSopClasses: fc.array(uid, { maxLength: 3 }),
    }),
    { maxLength: 3 },
  ),
};

const contextIds = fc.uniqueArray(
  fc.nat({ max: 127 }).map((half) => half * 2 + 1),
  { maxLength: 128 },
);

const request: fc.Arbitrary<AssociateRqToWrite> = contextIds.chain((ids) =>
  fc.record({
    calledAe: aeTitle,
    callingAe: aeTitle,
    applicationContext: uid,
    presentationContexts: fc.tuple(
      ...ids.map((id) =>
        fc.record({
          id: fc.constant(id),
          abstractSyntax: uid,
          transferSyntaxes: fc.array(uid, { minLength: 1, maxLength: 4 }),
        }),
      ),
    ),
    ...userInformation,
    userIdentity: fc.record({
      type: fc.nat({ max: 255 }),
      positiveResponse: fc.boolean(),
      primary: bytes,
      secondary: bytes,
    }),
  }),
);

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

describe('withCalledAe', () => {
  const pdu = fixture('by-hand-associate-rq');

  test('replaces 16 bytes and leaves all others: reserved, padding, unknown items', () => {
    const rewritten = withCalledAe(pdu, 'ARCHIVE2');
    expect(rewritten.toString('latin1', 10, 26)).toBe('ARCHIVE2        ');
    expect(rewritten.subarray(0, 10)).toEqual(pdu.subarray(0, 10));
    expect(rewritten.subarray(26)).toEqual(pdu.subarray(26));
    expect(pdu).toEqual(fixture('by-hand-associate-rq'));
  });

  test.each(['', ' ', '                ', 'SEVENTEEN_LETTERS', 'BACK\\SLASH', 'UMLAUT_Ä', 'TAB\t'])(
    'refuses %j',
    (ae) => {
      expect(isAeTitle(ae)).toBe(false);
      expect(() => withCalledAe(pdu, ae)).toThrow(RangeError);
    },
  );
});

describe('restoreAes', () => {
  test('an accept to a rewritten request is the accept to the request (PS3.8 Table 9-17)', () => {
    const rq = fixture('by-hand-associate-rq');
    const direct = fixture('by-hand-associate-ac');
    const answer = withCalledAe(direct, 'ARCHIVE2');
    expect(answer).not.toEqual(direct);
    expect(restoreAes(answer, rq)).toEqual(direct);
  });

  test('also when the server did not send the fields back as they were', () => {
    const rq = fixture('by-hand-associate-rq');
    const answer = Buffer.from(fixture('by-hand-associate-ac')).fill(0, 10, 74);
    expect(restoreAes(answer, rq)).toEqual(fixture('by-hand-associate-ac'));
    expect(answer.subarray(10, 74)).toEqual(Buffer.alloc(64));
  });
});
