import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { indexAssociate } from '../../../protocols/dicom/associate.ts';
import {
  acceptedContexts,
  proposalOf,
  restoreAes,
  withCalledAe,
  withMaxLength,
  withoutAsyncWindow,
} from '../../../protocols/dicom/associate-rewrite.ts';
import { writeAssociateAc, writeAssociateRq } from '../../../protocols/dicom/associate-write.ts';
import { request as anyRequest, uid } from './arbitrary-associate.ts';
import { associateOf, faultIfAny, faultOf, fixture, itemOf, patched, patched16 } from './fixture.ts';

const RQ = fixture('by-hand-associate-rq');
const AC = fixture('by-hand-associate-ac');
const CT = '1.2.840.10008.5.1.4.1.1.2';
const IMPLICIT = '1.2.840.10008.1.2';
const EXPLICIT = '1.2.840.10008.1.2.1';

/** Where a sequence of bytes starts in a PDU that has it once. */
function at(pdu: Buffer, hex: string): number {
  const offset = pdu.indexOf(hex.replaceAll(' ', ''), 0, 'hex');
  expect(pdu.indexOf(hex.replaceAll(' ', ''), offset + 1, 'hex')).toBe(-1);
  return offset;
}

/** Without the bytes `[start, start + length)`, and the 16-bit lengths at `lengths` less by as much. */
function cut(pdu: Buffer, start: number, length: number, lengths: readonly number[]): Buffer {
  const shorter = patched16(
    pdu,
    Object.fromEntries(lengths.map((offset) => [offset, pdu.readUInt16BE(offset) - length])),
  );
  return Buffer.concat([shorter.subarray(0, start), shorter.subarray(start + length)]);
}

/** Of a PDU shorter than 64 KiB: the low half of its length field. */
const PDU_LENGTH = 4;

describe('withCalledAe', () => {
  test('replaces 16 bytes and leaves all others: reserved, padding, unknown items', () => {
    const rewritten = withCalledAe(RQ, 'ARCHIVE2');
    expect(rewritten.toString('latin1', 10, 26)).toBe('ARCHIVE2        ');
    expect(rewritten.subarray(0, 10)).toEqual(RQ.subarray(0, 10));
    expect(rewritten.subarray(26)).toEqual(RQ.subarray(26));
    expect(RQ).toEqual(fixture('by-hand-associate-rq'));
  });

  test('refuses what is no AE title', () => {
    expect(() => withCalledAe(RQ, 'SEVENTEEN_LETTERS')).toThrow(RangeError);
  });
});

describe('restoreAes', () => {
  test('an accept to a rewritten request is the accept to the request (PS3.8 Table 9-17)', () => {
    const answer = withCalledAe(AC, 'ARCHIVE2');
    expect(answer).not.toEqual(AC);
    expect(restoreAes(answer, RQ)).toEqual(AC);
  });

  test('also when the server did not send the fields back as they were', () => {
    const answer = Buffer.from(AC).fill(0, 10, 74);
    expect(restoreAes(answer, RQ)).toEqual(AC);
    expect(answer.subarray(10, 74)).toEqual(Buffer.alloc(64));
  });
});

describe('withoutAsyncWindow', () => {
  test.each([
    ['A-ASSOCIATE-RQ', RQ, '53 00 00 04 00 05 00 00', '50 00 01 28'],
    ['A-ASSOCIATE-AC', AC, '53 00 00 04 00 01 00 01', '50 00 00 7c'],
  ])('%s: eight bytes less, two lengths less, nothing else', (_, pdu, window, userInformation) => {
    const expected = cut(pdu, at(pdu, window), 8, [PDU_LENGTH, at(pdu, userInformation) + 2]);
    const before = Buffer.from(pdu);
    expect(withoutAsyncWindow(pdu)).toEqual(expected);
    expect(pdu).toEqual(before);
  });

  test('without one the same Buffer', () => {
    const pdu = fixture('store-ct-associate-rq');
    expect(withoutAsyncWindow(pdu)).toBe(pdu);
    expect(withoutAsyncWindow(associateOf(1))).toHaveLength(74);
  });

  test('when items follow the user information', () => {
    const others = [itemOf(0x53, [1, 2, 3, 4]), itemOf(0x6f, 'unknown')];
    const user = (...subItems: Buffer[]) => associateOf(1, itemOf(0x50, ...subItems), ...others);
    const window = itemOf(0x53, [0, 1, 0, 1]);
    const name = itemOf(0x55, 'NAME');
    expect(withoutAsyncWindow(user(window))).toEqual(user());
    expect(withoutAsyncWindow(user(name, window))).toEqual(user(name));
    expect(withoutAsyncWindow(user(window, name))).toEqual(user(name));
  });
});

describe('withMaxLength', () => {
  const announcing = (maxLength: number) =>
    writeAssociateRq({ calledAe: 'A', callingAe: 'B', presentationContexts: [], maxLength });

  test.each([
    ['more', 131072, 16384, 16384],
    ['0, which is unlimited', 0, 16384, 16384],
    ['as much as there can be', 0xffffffff, 262144, 262144],
    ['all there can be, and all is allowed', 0, 0xffffffff, 0xffffffff],
  ])('announced %s: the smaller one', (_, own, most, announced) => {
    const pdu = announcing(own);
    expect(withMaxLength(pdu, most)).toEqual(announcing(announced));
    expect(pdu).toEqual(announcing(own));
  });

  test.each([16384, 16383, 1])('announced %i: stays, as the same Buffer', (own) => {
    const pdu = announcing(own);
    expect(withMaxLength(pdu, 16384)).toBe(pdu);
  });

  test('only its four bytes change', () => {
    const offset = at(RQ, '51 00 00 04') + 4;
    expect(withMaxLength(RQ, 0x4000)).toEqual(patched(RQ, { [offset + 1]: 0, [offset + 2]: 0x40 }));
  });

  test('not announced is unlimited: the item is added', () => {
    const name = itemOf(0x55, 'NAME');
    const unknown = itemOf(0x6f, 'unknown');
    const announced = itemOf(0x51, [0, 1, 0x20, 0]);
    expect(withMaxLength(associateOf(2, itemOf(0x50, name), unknown), 0x12000)).toEqual(
      associateOf(2, itemOf(0x50, announced, name), unknown),
    );
    expect(withMaxLength(associateOf(1, unknown), 0x12000)).toEqual(
      associateOf(1, unknown, itemOf(0x50, announced)),
    );
  });

  test('a user information item without room for it is refused, not overflowed', () => {
    const full = associateOf(1, itemOf(0x50, itemOf(0x7e, Buffer.alloc(0xffff - 4 - 7))));
    expect(faultOf(() => withMaxLength(full, 16384)).message).toContain('no room');
    const justNot = associateOf(1, itemOf(0x50, itemOf(0x7e, Buffer.alloc(0xffff - 4 - 8))));
    expect(indexAssociate(withMaxLength(justNot, 16384)).userInformation.maxLength).toBe(16384);
  });
});

describe('acceptedContexts', () => {
  test('those with result 0, and their transfer syntax', () => {
    expect([...acceptedContexts(indexAssociate(AC))]).toEqual([[1, EXPLICIT]]);
    const all = acceptedContexts(indexAssociate(fixture('store-all-associate-ac')));
    expect(all.size).toBeGreaterThan(50);
    expect(new Set(all.values()).size).toBeLessThan(4);
  });

  test('one accepted without a transfer syntax is left out', () => {
    const accepted = associateOf(
      2,
      itemOf(0x21, [1, 0, 0, 0]),
      itemOf(0x21, [3, 0, 0, 0], itemOf(0x40, '')),
      itemOf(0x21, [5, 0, 0, 0], itemOf(0x40, `${IMPLICIT}\0`)),
    );
    expect([...acceptedContexts(indexAssociate(accepted))]).toEqual([[5, IMPLICIT]]);
  });
});

describe('proposalOf', () => {
  test('the contexts that were accepted, one transfer syntax each, and all other bytes of the client', () => {
    // Context 255 (62 bytes) was refused; of context 1 the implicit transfer syntax (21 bytes) goes.
    const refused = cut(RQ, at(RQ, '20 00 00 3a'), 62, [PDU_LENGTH]);
    const implicit = at(refused, '40 00 00 11');
    const narrowed = cut(refused, implicit, 21, [PDU_LENGTH, at(refused, '20 00 00 53') + 2]);
    const window = at(narrowed, '53 00 00 04 00 05 00 00');
    const expected = cut(narrowed, window, 8, [PDU_LENGTH, at(narrowed, '50 00 01 28') + 2]);
    expect(proposalOf(indexAssociate(RQ), acceptedContexts(indexAssociate(AC)))).toEqual(expected);
    expect(RQ).toEqual(fixture('by-hand-associate-rq'));
  });

  test('a transfer syntax that was accepted though not proposed is proposed; one proposed twice, once', () => {
    const context = (...transferSyntaxes: string[]) =>
      associateOf(
        1,
        itemOf(0x20, [7, 0, 0, 0], itemOf(0x30, CT), ...transferSyntaxes.map((name) => itemOf(0x40, name))),
      );
    const accepted = new Map([[7, EXPLICIT]]);
    expect(proposalOf(indexAssociate(context(IMPLICIT)), accepted)).toEqual(context(EXPLICIT));
    expect(proposalOf(indexAssociate(context(EXPLICIT, IMPLICIT, EXPLICIT)), accepted)).toEqual(
      context(EXPLICIT),
    );
  });

  test('none accepted: none proposed', () => {
    const proposal = indexAssociate(proposalOf(indexAssociate(RQ), new Map()));
    expect(proposal.presentationContexts).toEqual([]);
    expect(proposal.userInformation.userIdentity!.primary.toString()).toBe('invented');
  });

  test('user information before the contexts', () => {
    const user = (...subItems: Buffer[]) =>
      associateOf(
        1,
        itemOf(0x50, ...subItems),
        itemOf(0x20, [1, 0, 0, 0], itemOf(0x30, CT), itemOf(0x40, IMPLICIT)),
      );
    const proposal = proposalOf(indexAssociate(user(itemOf(0x53, [0, 2, 0, 2]))), new Map([[1, IMPLICIT]]));
    expect(proposal).toEqual(user());
  });
});

describe('any A-ASSOCIATE-RQ', () => {
  test('withoutAsyncWindow and withMaxLength: as if it had been written so', () => {
    fc.assert(
      fc.property(anyRequest, fc.integer({ min: 1, max: 0xffffffff }), (values, most) => {
        const { asyncWindow: _, ...others } = values;
        const maxLength = values.maxLength === 0 ? most : Math.min(values.maxLength!, most);
        const pdu = writeAssociateRq(values);
        expect(withoutAsyncWindow(pdu)).toEqual(writeAssociateRq(others));
        expect(withMaxLength(pdu, most)).toEqual(writeAssociateRq({ ...values, maxLength }));
      }),
      { numRuns: 200 },
    );
  });

  test('proposalOf with what any A-ASSOCIATE-AC accepts: as if it had been written so', () => {
    const answers = fc.infiniteStream(
      fc.record({ result: fc.constantFrom(0, 0, 3), pick: fc.nat(), other: uid }),
    );
    fc.assert(
      fc.property(anyRequest, answers, (values, stream) => {
        const rq = indexAssociate(writeAssociateRq(values));
        const accept = values.presentationContexts.map(({ id, abstractSyntax, transferSyntaxes }) => {
          const { result, pick, other } = stream.next().value!;
          const transferSyntax = pick % 8 === 0 ? other : transferSyntaxes[pick % transferSyntaxes.length]!;
          return { id, abstractSyntax, result, transferSyntax };
        });
        const ac = writeAssociateAc({ request: rq, presentationContexts: accept });
        const { asyncWindow: _, ...others } = values;
        const presentationContexts = accept
          .filter(({ result }) => result === 0)
          .map(({ id, abstractSyntax, transferSyntax }) => ({
            id,
            abstractSyntax,
            transferSyntaxes: [transferSyntax],
          }));
        expect(proposalOf(rq, acceptedContexts(indexAssociate(ac)))).toEqual(
          writeAssociateRq({ ...others, presentationContexts }),
        );
      }),
      { numRuns: 200 },
    );
  });
});

describe('bytes that are no A-ASSOCIATE', () => {
  const rewrites = [withoutAsyncWindow, (pdu: Buffer) => withMaxLength(pdu, 4096)];

  test.each([
    ['A-ASSOCIATE-RQ', RQ],
    ['A-ASSOCIATE-AC', AC],
  ])('every prefix of an %s is refused', (_, pdu) => {
    for (let length = 0; length < pdu.length; length++) {
      for (const rewrite of rewrites) faultOf(() => rewrite(pdu.subarray(0, length)));
    }
  });

  test('each byte of an A-ASSOCIATE-RQ corrupted: refused, or rewritten to one that can be read', () => {
    const accepted = acceptedContexts(indexAssociate(AC));
    for (let offset = 0; offset < RQ.length; offset++) {
      for (const value of [0x00, 0xff, RQ[offset]! ^ 0x01, RQ[offset]! ^ 0x80]) {
        const mutant = patched(RQ, { [offset]: value });
        const read = faultIfAny(() => indexAssociate(mutant)) === undefined;
        for (const rewrite of [...rewrites, (pdu: Buffer) => proposalOf(indexAssociate(pdu), accepted)]) {
          let rewritten: Buffer | undefined;
          const fault = faultIfAny(() => {
            rewritten = rewrite(mutant);
          });
          expect(fault === undefined).toBe(read);
          if (rewritten) indexAssociate(rewritten);
        }
      }
    }
  });
});
