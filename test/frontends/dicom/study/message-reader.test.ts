/** What a reader of messages makes of valid streams, and what it refuses. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Outbox } from '../../../../src/frontends/dicom/study/outbox.ts';
import { writeCommand } from '../../../peers/commands.ts';
import { abort, PDU_TYPE, pData, pdu, releaseRequest, releaseResponse } from '../../../peers/pdus.ts';
import {
  arbitraryCuts,
  arbitraryStream,
  commandOf,
  cut,
  FakeChannel,
  Heard,
  messageOf,
  wireOf,
} from './messages.ts';

const STORE = commandOf(1, true);
const ECHO = commandOf(2, false);
const command = (bytes: Buffer, contextId = 1) => pData(contextId, 'command', true, bytes);
const data = (length: number, contextId = 1, isLast = true) =>
  pData(contextId, 'data', isLast, Buffer.alloc(length));

/** A P-DATA-TF whose bytes say what they like. */
function lying(pduLength: number, pdvLength: number, fragment: Buffer): Buffer {
  const bytes = pData(1, 'command', true, fragment);
  bytes.writeUInt32BE(pduLength, 2);
  bytes.writeUInt32BE(pdvLength, 6);
  return bytes;
}

describe('valid streams', () => {
  test('in any cut every message is told once, in order, and every prefix is understood', () => {
    fc.assert(
      fc.property(arbitraryStream, arbitraryCuts, ({ fragments, stream }, cuts) => {
        const heard = new Heard().push(cut(stream, cuts));
        expect(heard.fault).toBeUndefined();
        expect(heard.commands.map(({ messageId }) => messageId)).toEqual(
          fragments.map((_, index) => index + 1),
        );
        expect(heard.ended).toEqual(heard.messages);
        expect(heard.messages.map(({ contextId }) => contextId)).toEqual(
          fragments.map(([first]) => first!.contextId),
        );
        expect([heard.reader.insidePdu, heard.reader.insideMessage]).toEqual([false, false]);
      }),
    );
  });

  test('what a prefix leaves open is known: inside a message, inside a PDU', () => {
    const stream = Buffer.concat([
      wireOf(messageOf(1, Buffer.alloc(40), [20])),
      wireOf(messageOf(2, undefined)),
    ]);
    const lastOfFirst = wireOf(messageOf(1, Buffer.alloc(40), [20])).length;
    for (let length = 0; length <= stream.length; length++) {
      const { reader, messages, ended, fault } = new Heard().push([stream.subarray(0, length)]);
      expect(fault).toBeUndefined();
      // A fragment has begun with its headers, and a message is whole with its last byte.
      const isInside =
        (length >= 12 && length < lastOfFirst) || (length >= lastOfFirst + 12 && length < stream.length);
      expect(reader.insideMessage, `after ${length} bytes`).toBe(isInside);
      expect(messages.length - ended.length).toBeLessThanOrEqual(1);
    }
  });

  test('a data set of no bytes, and fragments of none', () => {
    const heard = new Heard().push([command(STORE), data(0, 1, false), data(0)]);
    expect(heard.fault).toBeUndefined();
    expect(heard.ended).toHaveLength(1);
  });

  test('PDUs between messages: release, and an abort with source and reason', () => {
    const heard = new Heard().push([command(ECHO), releaseRequest(), releaseResponse(), abort(2, 6)]);
    expect(heard.others).toEqual(['5 0/0', '6 0/0', '7 2/6']);
  });

  test('an abort may come inside a message', () => {
    const heard = new Heard().push([command(STORE), data(20, 1, false), abort(0, 0)]);
    expect([heard.fault, heard.others]).toEqual([undefined, ['7 0/0']]);
  });
});

describe('refused', () => {
  const INVALID = 6;
  const UNEXPECTED = 2;

  test.each([
    ['a data set without its command', [data(20)], INVALID],
    ['a second data set', [command(STORE), data(20), data(20)], INVALID],
    [
      'interleaved messages: a command inside a data set',
      [command(STORE), data(20, 1, false), command(ECHO)],
      INVALID,
    ],
    ['interleaved messages: a data set of another context', [command(STORE), data(20, 3)], INVALID],
    ['interleaved messages: a second command before the data set', [command(STORE), command(ECHO)], INVALID],
    [
      'interleaved messages: a data set inside a command',
      [pData(1, 'command', false, STORE.subarray(0, 20)), data(20)],
      INVALID,
    ],
    [
      'interleaved messages: a command of another context inside a command',
      [pData(1, 'command', false, STORE.subarray(0, 20)), command(ECHO, 3)],
      INVALID,
    ],
    ['a PDV for a context not accepted', [command(STORE, 5)], INVALID],
    ['a data set in a context not accepted', [command(STORE), data(20, 5)], INVALID],
    ['a fragment of odd length', [command(STORE), data(21)], INVALID],
    ['a command fragment of odd length', [pData(1, 'command', false, STORE.subarray(0, 21))], INVALID],
    ['a request without message id', [command(writeCommand({ field: 0x30, hasDataSet: false }))], INVALID],
    [
      'a response without status',
      [command(writeCommand({ field: 0x8030, respondsTo: 1, hasDataSet: false }))],
      INVALID,
    ],
    [
      'a response to no request',
      [command(writeCommand({ field: 0x8030, status: 0, hasDataSet: false }))],
      INVALID,
    ],
    ['a C-CANCEL of no request', [command(writeCommand({ field: 0x0fff, hasDataSet: false }))], INVALID],
    [
      'a C-CANCEL with a data set',
      [command(writeCommand({ field: 0x0fff, respondsTo: 1, hasDataSet: true }))],
      INVALID,
    ],
    ['an A-ASSOCIATE-RQ out of turn', [pdu(PDU_TYPE.RQ, Buffer.alloc(68))], UNEXPECTED],
    ['an A-ASSOCIATE-AC out of turn', [pdu(PDU_TYPE.AC, Buffer.alloc(68))], UNEXPECTED],
    ['an A-ASSOCIATE-RJ out of turn', [pdu(PDU_TYPE.RJ, Buffer.alloc(4))], UNEXPECTED],
    ['a release inside a message', [command(STORE), data(20, 1, false), releaseRequest()], UNEXPECTED],
    ['a byte that begins no PDU', [Buffer.from([9])], INVALID],
    ['a PDV that is longer than its PDU', [lying(ECHO.length + 6, ECHO.length + 200, ECHO)], INVALID],
    ['a PDV that is shorter than its own header', [lying(ECHO.length + 6, 1, ECHO)], INVALID],
    ['a PDU that ends inside the header of a PDV', [lying(3, ECHO.length + 2, ECHO)], INVALID],
    ['a PDV of 4 GiB', [lying(ECHO.length + 6, 0xffffffff, ECHO)], INVALID],
  ] as const)('%s', (_, pieces, reason) => {
    for (const stream of [[Buffer.concat(pieces)], cut(Buffer.concat(pieces), [1])]) {
      const heard = new Heard().push(stream);
      expect(heard.fault?.split(' ')[0], heard.fault).toBe(String(reason));
      const told = heard.ended.length;
      heard.push([command(ECHO)]);
      expect(heard.ended).toHaveLength(told);
    }
  });

  test('a command set that lies about its length', () => {
    const longer = Buffer.from(STORE);
    longer.writeUInt32LE(STORE.length, 8);
    const beyond = Buffer.from(STORE);
    beyond.writeUInt32LE(5000, 16);
    const cutOff = STORE.subarray(0, STORE.length - 4);
    for (const lie of [longer, beyond, cutOff]) {
      expect(new Heard().push([command(lie)]).fault).toMatch(/^6 /);
    }
  });

  test('a command set without end', () => {
    const heard = new Heard();
    for (let count = 0; count < 100 && heard.fault === undefined; count++)
      heard.push([pData(1, 'command', false, Buffer.alloc(1000))]);
    expect(heard.fault).toBe('6 a command set is too long');
  });
});

test('no corrupted byte makes it throw or never come back, and nothing is told after a fault', () => {
  fc.assert(
    fc.property(
      arbitraryStream,
      arbitraryCuts,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      ({ stream }, cuts, where, change) => {
        const corrupted = Buffer.from(stream);
        corrupted[where % stream.length]! ^= change;
        const heard = new Heard();
        const channel = new FakeChannel();
        const outbox = new Outbox(channel, 64, { moved() {} });
        heard.began = (message) => {
          expect(heard.fault).toBeUndefined();
          outbox.push(message);
        };
        heard.pushed = () => outbox.pump();
        heard.push(cut(corrupted, cuts));
      },
    ),
    { numRuns: 500 },
  );
});
