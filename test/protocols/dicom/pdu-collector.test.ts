import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PDU } from '../../../protocols/dicom/pdu.ts';
import {
  ASSOCIATION_CAPS,
  createPduCollector,
  type PduCollector,
} from '../../../protocols/dicom/pdu-collector.ts';
import { faultOf, fixture, pieces } from './fixture.ts';

const RQ = fixture('store-ct-associate-rq');
const NAMES = [
  'echo-associate-rq',
  'store-all-associate-rq',
  'store-ct-associate-ac',
  'reject-refused',
  'abort',
];
const WITH_DATA = { ...ASSOCIATION_CAPS, [PDU.P_DATA_TF]: 65536 };

/** All PDUs that come out of `chunks`, as a connection would use the collector. */
function collect(collector: PduCollector, chunks: readonly Buffer[]): { type: number; pdu: Buffer }[] {
  const pdus: { type: number; pdu: Buffer }[] = [];
  for (const chunk of chunks) {
    for (let rest = chunk; rest.length > 0; ) {
      const collected = collector.push(rest);
      if (!collected) break;
      pdus.push({ type: collected.type, pdu: collected.pdu });
      rest = collected.rest;
    }
  }
  return pdus;
}

describe('one whole PDU', () => {
  test.each(NAMES)('%s in one piece', (name) => {
    const bytes = fixture(name);
    const collected = createPduCollector().push(bytes)!;
    expect(collected).toMatchObject({ type: bytes[0], pdu: bytes });
    expect(collected.rest.length).toBe(0);
  });

  test.each(NAMES)('%s one byte at a time', (name) => {
    const bytes = fixture(name);
    const collector = createPduCollector();
    for (let at = 0; at < bytes.length - 1; at++) {
      expect(collector.atBoundary).toBe(at === 0);
      expect(collector.push(bytes.subarray(at, at + 1))).toBeUndefined();
    }
    expect(collector.push(bytes.subarray(-1))).toMatchObject({ pdu: bytes });
    expect(collector.atBoundary).toBe(true);
  });

  test('is a copy: the chunk may be used again', () => {
    const chunk = Buffer.from(RQ);
    const { pdu } = createPduCollector().push(chunk)!;
    chunk.fill(0);
    expect(pdu).toEqual(RQ);
  });

  test('what follows is handed back as a view', () => {
    const chunk = Buffer.concat([RQ, Buffer.from('more')]);
    const { pdu, rest } = createPduCollector().push(chunk)!;
    expect(pdu).toEqual(RQ);
    expect(rest.toString()).toBe('more');
    expect(rest.buffer).toBe(chunk.buffer);
  });

  test('an empty chunk is nothing', () => {
    expect(createPduCollector().push(Buffer.alloc(0))).toBeUndefined();
  });

  test('any PDUs, cut anywhere', () => {
    const names = fc.array(fc.constantFrom(...NAMES, 'c-echo-rq', 'c-store-data'), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(names, fc.array(fc.nat({ max: 20_000 }), { maxLength: 20 }), (chosen, cuts) => {
        const pdus = chosen.map(fixture);
        const collected = collect(createPduCollector({ caps: WITH_DATA }), pieces(Buffer.concat(pdus), cuts));
        expect(collected).toEqual(pdus.map((pdu) => ({ type: pdu[0], pdu })));
      }),
      { numRuns: 100 },
    );
  });

  test('every prefix: nothing yet', () => {
    for (let length = 0; length < RQ.length; length++) {
      expect(createPduCollector().push(RQ.subarray(0, length))).toBeUndefined();
    }
  });
});

describe('TLS on a plain port', () => {
  test('a ClientHello is told at its first byte, apart from other garbage', () => {
    const fault = faultOf(() => createPduCollector().push(Buffer.from([0x16])));
    expect(fault.kind).toBe('tls');
  });

  test.each([0x00, 0x08, 0x0b, 0x47, 0x15, 0x17, 0x80, 0xff])('first byte %i is no DICOM', (byte) => {
    const fault = faultOf(() => createPduCollector().push(Buffer.from([byte])));
    expect([fault.kind, fault.abortReason]).toEqual(['not-dicom', 1]);
  });
});

describe('P-DATA first', () => {
  test('is unexpected (2/2), at its first byte', () => {
    const fault = faultOf(() => createPduCollector().push(Buffer.from([PDU.P_DATA_TF])));
    expect([fault.abortSource, fault.abortReason, fault.kind]).toEqual([2, 2, 'malformed']);
  });
});

describe('caps before buffers', () => {
  const header = (type: number, length: number) => {
    const bytes = Buffer.from([type, 0, 0, 0, 0, 0]);
    bytes.writeUInt32BE(length, 2);
    return bytes;
  };

  test.each([
    ['oversized A-ASSOCIATE-RQ', PDU.A_ASSOCIATE_RQ, 256 * 1024 + 1],
    ['endless A-ASSOCIATE-RQ', PDU.A_ASSOCIATE_RQ, 0xffffffff],
    ['oversized A-ASSOCIATE-AC', PDU.A_ASSOCIATE_AC, 0x80000000],
    ['A-ASSOCIATE-RJ of five bytes', PDU.A_ASSOCIATE_RJ, 5],
    ['A-ABORT of a gigabyte', PDU.A_ABORT, 0x40000000],
  ])('%s: refused at the sixth byte', (_, type, length) => {
    const collector = createPduCollector();
    expect(collector.push(header(type, length).subarray(0, 5))).toBeUndefined();
    expect(faultOf(() => collector.push(header(type, length).subarray(5))).abortReason).toBe(6);
  });

  test('exactly 256 KiB is collected', () => {
    const pdu = Buffer.concat([header(PDU.A_ASSOCIATE_RQ, 256 * 1024), Buffer.alloc(256 * 1024, 7)]);
    const chunks = pieces(pdu, [3, 1000, 1001, 70_000, 70_001, 262_149]);
    expect(collect(createPduCollector(), chunks)).toEqual([{ type: 1, pdu }]);
  });

  test('an empty variable field is a PDU: what reads it will refuse it', () => {
    expect(createPduCollector().push(header(PDU.A_ASSOCIATE_RQ, 0))!.pdu.length).toBe(6);
  });

  test('own caps replace them', () => {
    const collector = createPduCollector({ caps: { [PDU.P_DATA_TF]: 10 } });
    expect(faultOf(() => collector.push(header(PDU.P_DATA_TF, 11))).abortReason).toBe(6);
    expect(faultOf(() => createPduCollector({ caps: {} }).push(RQ)).abortReason).toBe(2);
  });
});
