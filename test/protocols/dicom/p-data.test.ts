import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCommand } from '../../../protocols/dicom/command-set.ts';
import { writeCommand, writeDataSet } from '../../../protocols/dicom/p-data.ts';
import { createPduFollower } from '../../../protocols/dicom/pdu-follower.ts';
import { fixture } from './fixture.ts';

describe('P-DATA-TF', () => {
  test('a command is written as DCMTK writes it', () => {
    const command = decodeCommand(fixture('c-echo-rq').subarray(12));
    expect(writeCommand(1, command)).toEqual(fixture('c-echo-rq'));
  });

  test('a data set is written as DCMTK writes it', () => {
    expect(writeDataSet(1, fixture('c-store-data').subarray(12), 16384)).toEqual(fixture('c-store-data'));
  });

  test('no PDU is longer than the receiver takes, fragments are even, only the last is marked so', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 500 }).map((bytes) => bytes.subarray(0, bytes.length & ~1)),
        fc.oneof(fc.constant(0), fc.integer({ min: 8, max: 300 })),
        (dataSet, maxLength) => {
          const pdus = writeDataSet(5, dataSet, maxLength);
          const fragments: Buffer[] = [];
          for (let at = 0; at < pdus.length; ) {
            const length = pdus.readUInt32BE(at + 2);
            if (maxLength > 0) expect(length).toBeLessThanOrEqual(maxLength);
            expect(pdus.readUInt32BE(at + 6)).toBe(length - 4);
            const end = at + 6 + length;
            expect([pdus[at + 10], pdus[at + 11]]).toEqual([5, end === pdus.length ? 2 : 0]);
            fragments.push(pdus.subarray(at + 12, end));
            expect(length % 2).toBe(0);
            at = end;
          }
          expect(Buffer.concat(fragments)).toEqual(Buffer.from(dataSet));
        },
      ),
    );
  });

  test('what is written is followed: command, data, boundary', () => {
    const events: string[] = [];
    const follower = createPduFollower({
      pduEnd: (type) => events.push(`end ${type}`),
      command: (command, context) => events.push(`command ${command.messageId} @${context}`),
      dataEnd: (context) => events.push(`data @${context}`),
      fault: (message) => events.push(message),
    });
    follower.push(writeCommand(3, { commandField: 1, messageId: 9, hasDataSet: true }, 30));
    follower.push(writeDataSet(3, Buffer.alloc(0)));
    expect(events).toEqual(['end 4', 'command 9 @3', 'end 4', 'data @3', 'end 4']);
    expect(follower.atBoundary).toBe(true);
  });
});
