import { describe, expect, test } from 'vitest';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { senderKey } from '../../../protocols/hl7/patient.ts';
import { tiesOf } from '../../../protocols/hl7/ties.ts';
import { fixture, fixtureNames } from './fixture.ts';

const ties = (text: string) => tiesOf(openMessage(Buffer.from(text, 'latin1')));
const header = (sequence = '', pointer = '') =>
  `MSH|^~\\&|LAB|H|RIS|G|2026||ORU^R01|ID|P|2.5.1|${sequence}|${pointer}|AL|NE\r`;

describe('what ties a message to others', () => {
  test('nothing, as a rule', () => {
    for (const name of fixtureNames()) expect(tiesOf(openMessage(fixture(name)))).toBeUndefined();
    expect(ties(`${header()}PID|1||77\r`)).toBeUndefined();
    expect(ties('MSH|^~\\&|LAB\r')).toBeUndefined();
  });

  test('a sequence number: the stream between the two applications', () => {
    const one = ties(`${header('123')}PID|1||77\r`)!;
    expect(one).toEqual({ stream: '\rstream LAB^H^RIS^G', before: undefined, after: undefined });
    expect(ties(`${header('124')}PID|1||78\r`)!.stream).toBe(one.stream);
    expect(ties(header('0'))!.stream).toBe(one.stream);
    expect(ties('MSH|^~\\&|LAB|H|OTHER|G|2026||ORU^R01|ID|P|2.5.1|9\r')!.stream).not.toBe(one.stream);
    expect(ties(header('""'))).toBeUndefined();
  });

  test.each(['\r', '\r\n', '\n', '\r\r', ''])(
    'fragments share their pointers, lines ending with %j',
    (end) => {
      const lines = (...all: string[]) => all.join(end.slice(0, 2) || '\r').replaceAll('\r\r', '\r') + end;
      const head = (pointer = '') => header('', pointer).slice(0, -1);
      const first = ties(lines(head(), 'PID|1||77', 'OBX|1', 'ADD|', 'DSC|W4xy|F'))!;
      const second = ties(lines(head('W4xy'), 'ADD|more', 'DSC|V292|F'))!;
      const third = ties(lines(head('V292'), 'ADD|the end'))!;
      expect(first).toMatchObject({ before: undefined, after: second.before });
      expect(second.after).toBe(third.before);
      expect(second.after).not.toBe(second.before);
      expect(third.after).toBeUndefined();
    },
  );

  test('of another sender the same pointer is another one', () => {
    const other = ties('MSH|^~\\&|LAB2|H|RIS|G|2026||ORU^R01|ID|P|2.5.1||W4xy\r')!;
    expect(other.before).not.toBe(ties(header('', 'W4xy'))!.before);
  });

  test('the continuation of a query is no fragment, nor is one without a pointer', () => {
    expect(ties(`${header()}QPD|1\rDSC|W4xy|I\r`)).toBeUndefined();
    expect(ties(`${header()}QPD|1\rDSC||F\r`)).toBeUndefined();
    expect(ties(`${header('', '""')}PID|1||77\rDSC|""\r`)).toBeUndefined();
    expect(ties(`${header()}DSC|W4xy\rPID|1||77\r`)).toBeUndefined();
  });

  test('no key is like that of a patient or a sender', () => {
    const message = openMessage(Buffer.from(`${header('1', 'a')}DSC|b\r`));
    for (const key of Object.values(tiesOf(message)!)) {
      expect(key).toMatch(/^\r(stream|continued) /);
      expect(key).not.toBe(senderKey(message));
    }
  });

  test('batches, and what cannot be read, are tied to nothing', () => {
    expect(ties('BHS|^~\\&|LAB|H|RIS|G|2026|||||||5\r')).toBeUndefined();
    expect(ties('PID|1||77\rDSC|W4xy\r')).toBeUndefined();
    expect(ties('')).toBeUndefined();
  });

  test('every prefix of a fragment can be looked at', () => {
    const bytes = Buffer.from(`${header('7', 'W4xy')}PID|1||77\rDSC|V292|F\r`);
    for (let length = 0; length <= bytes.length; length++) tiesOf(openMessage(bytes.subarray(0, length)));
    expect(tiesOf(openMessage(bytes))).toMatchObject({ after: '\rcontinued LAB^H V292' });
  });
});
