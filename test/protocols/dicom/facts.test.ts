import { describe, expect, test } from 'vitest';
import { indexAssociate } from '../../../protocols/dicom/associate.ts';
import { writeAssociateRq } from '../../../protocols/dicom/associate-write.ts';
import { associationFacts } from '../../../protocols/dicom/facts.ts';
import { fixture } from './fixture.ts';

const EXTRA = { client: '10.1.2.3', port: '104', vip: 'ARCHIVE', tlsSubject: undefined };

function factsOf(name: string, options = {}) {
  return associationFacts(indexAssociate(fixture(name)), EXTRA, options);
}

function userFacts(type: number, primary: string) {
  const request = writeAssociateRq({
    calledAe: 'A',
    callingAe: 'B',
    presentationContexts: [],
    userIdentity: {
      type,
      positiveResponse: false,
      primary: Buffer.from(primary),
      secondary: Buffer.from('invented passcode'),
    },
  });
  return associationFacts(indexAssociate(request));
}

describe('facts of an association', () => {
  test('of storescu with one modality', () => {
    const facts = factsOf('store-ct-associate-rq');
    expect(facts.get('called')).toBe('ARCHIVE');
    expect(facts.get('calling')).toBe('CT1');
    expect(facts.get('modality')).toBe('CT');
    expect(facts.get('sopClass')).toEqual(['1.2.840.10008.5.1.4.1.1.2']);
    expect(facts.get('implementation')).toBe('OFFIS_DCMTK_367');
    expect(facts.get('user')).toBeUndefined();
  });

  test('of storescu with every SOP class: MULTI', () => {
    const facts = factsOf('store-all-associate-rq');
    expect(facts.get('modality')).toBe('MULTI');
    expect(facts.get('sopClass')!.length).toBeGreaterThan(60);
  });

  test('of echoscu: no modality', () => {
    expect(factsOf('echo-associate-rq').get('modality')).toBeUndefined();
  });

  test('AE titles are trimmed of spaces and NULs', () => {
    const facts = factsOf('by-hand-associate-rq');
    expect([facts.get('called'), facts.get('calling')]).toEqual(['ARCHIVE', 'CT 1']);
  });

  test('AE titles are case-sensitive unless ignoreCase', () => {
    const request = writeAssociateRq({ calledAe: 'Archive', callingAe: 'ct_1', presentationContexts: [] });
    const associate = indexAssociate(request);
    expect(associationFacts(associate).get('called')).toBe('Archive');
    const facts = associationFacts(associate, {}, { ignoreCase: true });
    expect([facts.get('called'), facts.get('calling')]).toEqual(['ARCHIVE', 'CT_1']);
  });

  test('those from elsewhere, and none that nobody knows', () => {
    const facts = factsOf('echo-associate-rq');
    expect(facts.get('client')).toBe('10.1.2.3');
    expect(facts.get('vip')).toBe('ARCHIVE');
    for (const name of ['tlsSubject', 'study', 'toString', '__proto__', 'constructor', '']) {
      expect(facts.get(name)).toBeUndefined();
    }
  });

  test('never empty text: an AE title of spaces, no contexts', () => {
    const bytes = Buffer.from(fixture('echo-associate-rq')).fill(0x20, 10, 42);
    const facts = associationFacts(indexAssociate(bytes));
    expect([facts.get('called'), facts.get('calling')]).toEqual([undefined, undefined]);
    expect(userFacts(1, '').get('user')).toBeUndefined();
    expect(userFacts(1, '').get('sopClass')).toBeUndefined();
  });

  test('the user of types 1 and 2 only, in UTF-8, and never a passcode', () => {
    expect(factsOf('user-identity-associate-rq').get('user')).toBe('invented');
    expect(userFacts(1, 'Jürgen').get('user')).toBe('Jürgen');
    for (const type of [0, 3, 4, 5, 255]) expect(userFacts(type, 'a ticket').get('user')).toBeUndefined();
  });

  test('a SOP class that is proposed twice is there once', () => {
    const context = { abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: ['1.2.840.10008.1.2'] };
    const request = writeAssociateRq({
      calledAe: 'A',
      callingAe: 'B',
      presentationContexts: [
        { id: 1, ...context },
        { id: 3, ...context },
      ],
    });
    expect(associationFacts(indexAssociate(request)).get('sopClass')).toEqual(['1.2.840.10008.1.1']);
  });
});
