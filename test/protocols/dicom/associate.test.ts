import { describe, expect, test } from 'vitest';
import {
  type Associate,
  DICOM_APPLICATION_CONTEXT,
  indexAssociate,
} from '../../../protocols/dicom/associate.ts';
import { PDU } from '../../../protocols/dicom/pdu.ts';
import { associateOf, faultIfAny, faultOf, fixture, itemOf, patched, patched16 } from './fixture.ts';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const COMPREHENSIVE_SR = '1.2.840.10008.5.1.4.1.1.88.33';
const IMPLICIT = '1.2.840.10008.1.2';
const EXPLICIT = '1.2.840.10008.1.2.1';
const BIG_ENDIAN = '1.2.840.10008.1.2.2';

function contextsOf(associate: Associate) {
  return associate.presentationContexts.map(({ id, result, abstractSyntax, transferSyntaxes }) => ({
    id,
    result,
    abstractSyntax,
    transferSyntaxes,
  }));
}

describe('A-ASSOCIATE-RQ', () => {
  test('of echoscu', () => {
    const request = indexAssociate(fixture('echo-associate-rq'));
    expect(request).toMatchObject({
      type: PDU.A_ASSOCIATE_RQ,
      protocolVersion: 1,
      calledAe: 'ARCHIVE',
      callingAe: 'ECHO1',
      applicationContext: DICOM_APPLICATION_CONTEXT,
    });
    expect(contextsOf(request)).toEqual([
      { id: 1, result: 0, abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: [IMPLICIT] },
    ]);
    expect(request.userInformation).toMatchObject({
      maxLength: 16384,
      implementationClassUid: '1.2.276.0.7230010.3.0.3.6.7',
      implementationVersionName: 'OFFIS_DCMTK_367',
      roles: [],
      unknown: [],
    });
  });

  test('of storescu with every SOP class: 128 contexts, odd ids', () => {
    const request = indexAssociate(fixture('store-all-associate-rq'));
    expect(request.presentationContexts.map(({ id }) => id)).toEqual(
      Array.from({ length: 128 }, (_, index) => index * 2 + 1),
    );
    expect(request.presentationContexts.every(({ abstractSyntax }) => abstractSyntax !== '')).toBe(true);
    expect(new Set(request.presentationContexts.flatMap(({ transferSyntaxes }) => transferSyntaxes))).toEqual(
      new Set([EXPLICIT, BIG_ENDIAN, IMPLICIT]),
    );
  });

  test('user identity of storescu -usr -pwd', () => {
    const { userIdentity } = indexAssociate(fixture('user-identity-associate-rq')).userInformation;
    expect(userIdentity).toEqual({
      type: 2,
      positiveResponse: true,
      primary: Buffer.from('invented'),
      secondary: Buffer.from('invented too'),
    });
  });

  test('with everything the standard allows, and things it says to ignore', () => {
    const bytes = fixture('by-hand-associate-rq');
    const request = indexAssociate(bytes);
    expect(request.calledAe).toBe('ARCHIVE');
    expect(request.callingAe).toBe('CT 1');
    expect(request.protocolVersion).toBe(3);
    expect(contextsOf(request)).toEqual([
      { id: 1, result: 0, abstractSyntax: CT, transferSyntaxes: [EXPLICIT, IMPLICIT] },
      { id: 255, result: 0, abstractSyntax: COMPREHENSIVE_SR, transferSyntaxes: [IMPLICIT] },
    ]);
    const { userInformation } = request;
    expect(userInformation).toMatchObject({
      maxLength: 131072,
      implementationClassUid: '2.25.1004',
      implementationVersionName: 'BY_HAND_1',
      asyncWindow: { invoked: 5, performed: 0 },
      roles: [
        { sopClass: CT, scu: true, scp: false },
        { sopClass: COMPREHENSIVE_SR, scu: true, scp: true },
      ],
      extended: [{ sopClass: CT, information: Buffer.from([2, 0, 1, 0, 1]) }],
      commonExtended: [
        {
          version: 0,
          sopClass: COMPREHENSIVE_SR,
          serviceClass: '1.2.840.10008.4.2',
          relatedSopClasses: ['1.2.840.10008.5.1.4.1.1.88.22', '1.2.840.10008.5.1.4.1.1.88.11'],
        },
      ],
      userIdentity: { type: 2, positiveResponse: true },
    });
    expect(request.items.map(({ type }) => type)).toEqual([0x10, 0x20, 0x6f, 0x20, 0x50]);
    expect(userInformation.unknown.map(({ type }) => type)).toEqual([0x7e]);
    expect(bytes.readUInt32BE(userInformation.maxLengthOffset)).toBe(131072);
  });

  test('its bytes are kept, and offsets lead to the items', () => {
    const bytes = fixture('by-hand-associate-rq');
    const request = indexAssociate(bytes);
    expect(request.bytes).toBe(bytes);
    for (const { offset, length, id } of request.presentationContexts) {
      expect(bytes[offset]).toBe(0x20);
      expect(bytes.readUInt16BE(offset + 2)).toBe(length - 4);
      expect(bytes[offset + 4]).toBe(id);
    }
    const last = request.items.at(-1)!;
    expect(last.offset + last.length).toBe(bytes.length);
  });
});

describe('A-ASSOCIATE-AC', () => {
  test('of storescp', () => {
    const accept = indexAssociate(fixture('store-ct-associate-ac'));
    expect(accept.type).toBe(PDU.A_ASSOCIATE_AC);
    expect(contextsOf(accept)).toEqual([
      { id: 1, result: 0, abstractSyntax: '', transferSyntaxes: [EXPLICIT] },
      { id: 3, result: 0, abstractSyntax: '', transferSyntaxes: [BIG_ENDIAN] },
    ]);
    expect(accept.userInformation.maxLength).toBe(16384);
  });

  test('with a refused context, unlimited length, a user identity response', () => {
    const accept = indexAssociate(fixture('by-hand-associate-ac'));
    expect(contextsOf(accept)).toEqual([
      { id: 1, result: 0, abstractSyntax: '', transferSyntaxes: [EXPLICIT] },
      { id: 255, result: 3, abstractSyntax: '', transferSyntaxes: [] },
    ]);
    expect(accept.userInformation).toMatchObject({
      maxLength: 0,
      asyncWindow: { invoked: 1, performed: 1 },
      roles: [{ sopClass: CT, scu: true, scp: false }],
      userIdentityResponse: Buffer.from('granted'),
    });
  });

  test('what follows a refusal is not significant', () => {
    const refused = itemOf(0x21, [1, 0, 4, 0], [0x40, 0, 0xff, 0xff]);
    expect(contextsOf(indexAssociate(associateOf(PDU.A_ASSOCIATE_AC, refused)))).toEqual([
      { id: 1, result: 4, abstractSyntax: '', transferSyntaxes: [] },
    ]);
  });
});

const CONTEXT = itemOf(0x20, [1, 0, 0, 0], itemOf(0x30, CT), itemOf(0x40, IMPLICIT));

describe('reported, not refused: the front-end answers these with a rejection', () => {
  test('protocol version without bit 0', () => {
    expect(indexAssociate(patched16(fixture('echo-associate-rq'), { 6: 2 })).protocolVersion).toBe(2);
  });

  test('another application context, and none', () => {
    expect(indexAssociate(associateOf(1, itemOf(0x10, '1.2.3'), CONTEXT)).applicationContext).toBe('1.2.3');
    expect(indexAssociate(associateOf(1, CONTEXT)).applicationContext).toBeUndefined();
  });

  test('no user information, no contexts', () => {
    const request = indexAssociate(associateOf(1));
    expect(request.presentationContexts).toEqual([]);
    expect(request.userInformation).toMatchObject({ maxLength: undefined, items: [] });
  });
});

describe('malformed: an A-ABORT with the right reason', () => {
  const userInformation = (...items: Buffer[]) => associateOf(1, CONTEXT, itemOf(0x50, ...items));
  const cases: [string, number, Buffer][] = [
    ['neither request nor accept', 2, fixture('c-echo-rq')],
    ['shorter than its fixed fields', 6, Buffer.from('010000000002 0001'.replace(' ', ''), 'hex')],
    ['a length that is not its own', 6, patched(fixture('echo-associate-rq'), { 5: 0 })],
    ['an item longer than the PDU', 6, patched16(fixture('echo-associate-rq'), { 76: 0x8000 })],
    ['an item header that is cut off', 6, associateOf(1, CONTEXT, Buffer.from([0x50, 0, 0]))],
    ['an even context id', 6, associateOf(1, itemOf(0x20, [2, 0, 0, 0], itemOf(0x30, CT)))],
    ['context id 0', 6, associateOf(1, itemOf(0x20, [0, 0, 0, 0], itemOf(0x30, CT)))],
    ['a context id twice', 6, associateOf(1, CONTEXT, CONTEXT)],
    ['a context that is too short', 6, associateOf(1, itemOf(0x20, [1, 0, 0]))],
    ['a sub-item longer than its context', 6, associateOf(1, itemOf(0x20, [1, 0, 0, 0, 0x30, 0, 0, 9]))],
    ['a context without an abstract syntax', 6, associateOf(1, itemOf(0x20, [1, 0, 0, 0]))],
    [
      'a context with two abstract syntaxes',
      6,
      associateOf(1, itemOf(0x20, [1, 0, 0, 0], itemOf(0x30, CT), itemOf(0x30, CT))),
    ],
    ['a context of an accept in a request', 5, associateOf(1, itemOf(0x21, [1, 0, 0, 0]))],
    ['a context of a request in an accept', 5, associateOf(2, CONTEXT)],
    ['two application contexts', 5, associateOf(1, itemOf(0x10, '1.2'), itemOf(0x10, '1.2'))],
    ['two user informations', 5, associateOf(1, itemOf(0x50), itemOf(0x50))],
    ['a sub-item longer than the user information', 6, userInformation(Buffer.from([0x51, 0, 0, 4, 0]))],
    ['a maximum length of three bytes', 6, userInformation(itemOf(0x51, [0, 0, 1]))],
    ['two maximum lengths', 5, userInformation(itemOf(0x51, [0, 0, 0, 1]), itemOf(0x51, [0, 0, 0, 2]))],
    ['an asynchronous window of two bytes', 6, userInformation(itemOf(0x53, [0, 1]))],
    ['a role without roles', 6, userInformation(itemOf(0x54, [0, 3], '1.2', [1]))],
    ['a role whose UID is too long', 6, userInformation(itemOf(0x54, [0, 9], '1.2', [1, 1]))],
    ['extended negotiation without a UID', 6, userInformation(itemOf(0x56, [0]))],
    ['common extended negotiation cut off', 6, userInformation(itemOf(0x57, [0, 3], '1.2', [0, 1], '1'))],
    [
      'related classes longer than their item',
      6,
      userInformation(itemOf(0x57, [0, 1], '1', [0, 1], '1', [0, 9, 0, 1], '1')),
    ],
    [
      'related classes that do not fit',
      6,
      userInformation(itemOf(0x57, [0, 1], '1', [0, 1], '1', [0, 3, 0, 9], '1')),
    ],
    ['a user identity cut off', 6, userInformation(itemOf(0x58, [1, 0, 0, 5], 'ab', [0, 0]))],
    [
      'two user identities',
      5,
      userInformation(itemOf(0x58, [1, 0, 0, 0, 0, 0]), itemOf(0x58, [1, 0, 0, 0, 0, 0])),
    ],
  ];

  test.each(cases)('%s', (_, reason, bytes) => {
    const fault = faultOf(() => indexAssociate(bytes));
    expect([fault.abortSource, fault.abortReason]).toEqual([2, reason]);
  });

  test('over 256 KiB', () => {
    const items = Array.from({ length: 5 }, () => itemOf(0x60, Buffer.alloc(0xffff)));
    expect(faultOf(() => indexAssociate(associateOf(1, ...items))).abortReason).toBe(6);
  });

  test('a message never carries text of the peer', () => {
    for (const [, , bytes] of cases) {
      expect(faultOf(() => indexAssociate(bytes)).message).toMatch(/^[ -~]+$/);
      expect(faultOf(() => indexAssociate(bytes)).message).not.toContain('1.2');
    }
  });
});

const WHOLE = [
  'echo-associate-rq',
  'echo-associate-ac',
  'store-ct-associate-rq',
  'store-ct-associate-ac',
  'find-associate-rq',
  'user-identity-associate-rq',
  'by-hand-associate-rq',
  'by-hand-associate-ac',
] as const;

describe('nothing but a PduFault, whatever the bytes', () => {
  test.each(WHOLE)('every prefix of %s', (name) => {
    const bytes = fixture(name);
    for (let length = 0; length < bytes.length; length++) {
      faultOf(() => indexAssociate(bytes.subarray(0, length)));
    }
  });

  test.each(WHOLE)('every single-byte corruption of %s', (name) => {
    const bytes = fixture(name);
    for (let offset = 0; offset < bytes.length; offset++) {
      for (const flip of [0x01, 0x02, 0x10, 0x80, 0xff]) {
        faultIfAny(() => readAll(indexAssociate(patched(bytes, { [offset]: bytes[offset]! ^ flip }))));
      }
    }
  });
});

/** Asks for everything that is decoded only when asked for. */
function readAll(associate: Associate): unknown {
  return contextsOf(associate);
}
