/** Any A-ASSOCIATE-RQ or -AC, for property tests: invented values within what the standard lets them be. */
import fc from 'fast-check';
import type { AssociateRqToWrite } from '../../../protocols/dicom/associate-write.ts';

export const aeTitle = fc
  .string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 16,
  })
  .filter((ae) => !ae.includes('\\'));

export const uid = fc
  .array(fc.nat({ max: 99999 }), { minLength: 2, maxLength: 10 })
  .map((components) => components.join('.'));

export const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));

export const userInformation = {
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

export const request: fc.Arbitrary<AssociateRqToWrite> = contextIds.chain((ids) =>
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
