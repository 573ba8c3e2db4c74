import { describe, expect, test } from 'vitest';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { orderingOf, patientKey, senderKey, senderOf } from '../../../protocols/hl7/patient.ts';
import { fixture, fixtureNames } from './fixture.ts';

const HEADER = 'MSH|^~\\&|APP|FAC|RIS|HOSP|2026||ADT^A01|ID-1|P|2.5.1\r';
const withPid = (pid3: string) => openMessage(Buffer.from(`${HEADER}PID|1||${pid3}||INVENTED\r`, 'latin1'));
const ordering = (segments: string) => orderingOf(openMessage(Buffer.from(HEADER + segments, 'latin1')));

describe('the key of a patient', () => {
  test.each([
    ['77^^^HOSP^MR', '77^HOSP'],
    ['77^^^HOSP&1.2.3&ISO^MR', '77^HOSP&1.2.3&ISO'],
    ['77', '77'],
    ['77^^^', '77'],
    ['77^^^""', '77'],
    [' 77 ^^^ HOSP ^MR', '77^HOSP'],
    ['9^^^SSA^SS~77^^^HOSP^MR', '77^HOSP'],
    ['9^^^SSA^SS~77^^^HOSP^PI~78^^^HOSP^MR', '77^HOSP'],
    ['9^^^SSA^SS~8^^^BANK^XX', '9^SSA'],
    ['~~8^^^BANK^XX', '8^BANK'],
    ['^^^HOSP^MR~8^^^BANK^XX', '8^BANK'],
    ['""^^^HOSP^MR', undefined],
    ['""', undefined],
    ['^^^HOSP^MR', undefined],
    ['', undefined],
  ])('%j is %j', (pid3, expected) => {
    expect(patientKey(withPid(pid3))).toBe(expected);
  });

  test('the configured types, or the configured repetition', () => {
    const message = withPid('9^^^SSA^SS~77^^^HOSP^MR~5^^^X');
    expect(patientKey(message, { types: ['SS'] })).toBe('9^SSA');
    expect(patientKey(message, { types: ['XX'] })).toBe('9^SSA');
    expect(patientKey(message, { repetition: 3 })).toBe('5^X');
    expect(patientKey(message, { repetition: 4 })).toBeUndefined();
  });

  test('odd delimiters', () => {
    expect(patientKey(openMessage(fixture('odd-delimiters')))).toBe('INV0009^HOSP%1.2.3%ISO');
  });

  test('bytes are kept, whatever the character set', () => {
    const latin = Buffer.from(patientKey(openMessage(fixture('latin-1'))) ?? '', 'latin1');
    expect(latin).toEqual(Buffer.from('INV0012^KÖLN', 'latin1'));
    const utf8 = Buffer.from(patientKey(openMessage(fixture('utf-8'))) ?? '', 'latin1');
    expect(utf8).toEqual(Buffer.from('INV0013^KÖLN', 'utf8'));
  });
});

describe('how a message is kept in order', () => {
  test('one patient: their key, no barrier', () => {
    expect(orderingOf(openMessage(fixture('adt-a01')))).toEqual({
      keys: ['INV0001^HOSP'],
      barrier: false,
      wholeVip: false,
    });
  });

  test('who stands for another patient has that one’s key first, and the own', () => {
    const chain = (key: string) => (key === '77^HOSP' ? ['78^HOSP', key] : [key]);
    const keys = (segments: string) =>
      orderingOf(openMessage(Buffer.from(HEADER + segments, 'latin1')), {}, chain).keys;
    expect(keys('PID|1||77^^^HOSP^MR\r')).toEqual(['78^HOSP', '77^HOSP']);
    expect(keys('PID|1||78^^^HOSP^MR\r')).toEqual(['78^HOSP']);
    expect(keys('PID|1||79^^^HOSP^MR\rMRG|77\r')).toEqual(['79^HOSP', '77', '78^HOSP', '77^HOSP']);
    expect(keys('PV1|\r')).toEqual(orderingOf(openMessage(Buffer.from(HEADER))).keys);
  });

  test('without a patient: the sender', () => {
    const message = openMessage(Buffer.from(`${HEADER}MFI|STF\r`));
    expect(senderOf(message)).toBe('APP^FAC');
    expect(orderingOf(message)).toEqual({ keys: [senderKey(message)], barrier: false, wholeVip: false });
    expect(ordering('PID|1||\r').keys).toEqual([senderKey(message)]);
    expect(ordering('PID|1\r').keys).toEqual([senderKey(message)]);
  });

  test('no patient can have the key of a sender', () => {
    const message = openMessage(Buffer.from('MSH|^~\\&|77|HOSP\rPID|1||77^^^HOSP\r'));
    expect(patientKey(message)).not.toBe(senderKey(message));
  });

  test('A40 is a barrier over the patient that stays and all ids of the one that goes', () => {
    expect(orderingOf(openMessage(fixture('adt-a40-merge')))).toEqual({
      keys: ['INV0001^HOSP', 'INV0002^HOSP', 'INV0003^HOSP', 'INV0004', 'INV0004^HOSP'],
      barrier: true,
      wholeVip: false,
    });
  });

  test('any message with an MRG segment is a barrier, whatever its event', () => {
    expect(ordering('PID|1||77^^^HOSP^MR\rMRG|78^^^HOSP^MR\r')).toEqual({
      keys: ['77^HOSP', '78^HOSP'],
      barrier: true,
      wholeVip: false,
    });
  });

  test('several PIDs: a barrier over all of them, each id of each', () => {
    expect(orderingOf(openMessage(fixture('oru-r01-several-patients')))).toEqual({
      keys: ['INV0007^HOSP', 'INV0008^HOSP'],
      barrier: true,
      wholeVip: false,
    });
    expect(ordering('PID|1||1^^^H^MR~2^^^S^SS\rPID|2||3^^^H^MR\r').keys).toEqual(['1^H', '2^S', '3^H']);
  });

  test('a prior id without the authority goes by both forms', () => {
    expect(ordering('PID|1||77^^^HOSP^MR\rMRG|78\r').keys).toEqual(['77^HOSP', '78', '78^HOSP']);
    expect(ordering('PID|1||77\rMRG|78\r').keys).toEqual(['77', '78']);
  });

  test('a barrier that cannot be read is one over the whole VIP', () => {
    const wholeVip = { keys: [], barrier: true, wholeVip: true };
    expect(ordering('PID|1||77\rMRG|\r')).toEqual(wholeVip);
    expect(ordering('PID|1||77\rMRG\r')).toEqual(wholeVip);
    expect(ordering('PID|1||77\rPID|2||""\r')).toEqual(wholeVip);
    expect(ordering('PID|1||\rMRG|78\r')).toEqual(wholeVip);
  });

  test('a merge of more patients than can be kept apart is one over the whole VIP', () => {
    const pids = Array.from({ length: 300 }, (_, i) => `PID|${i + 1}||${i + 1}^^^HOSP^MR\r`).join('');
    expect(ordering(pids).wholeVip).toBe(true);
    expect(ordering(`MRG|${Array.from({ length: 5000 }, (_, i) => i).join('~')}\r`).wholeVip).toBe(true);
  });

  test('batches, and several messages in one frame: the whole VIP', () => {
    expect(orderingOf(openMessage(fixture('batch'))).wholeVip).toBe(true);
    expect(ordering(`PID|1||77\r${HEADER}PID|1||78\r`).wholeVip).toBe(true);
  });

  test('no MSH: the whole VIP', () => {
    expect(orderingOf(openMessage(fixture('no-msh'))).wholeVip).toBe(true);
  });

  test.each(['lf', 'crlf', 'no-last-cr', 'utf-8-byte-order-mark'])('%s has its patient’s key', (name) => {
    expect(orderingOf(openMessage(fixture(name))).keys[0]).toMatch(/^INV00/);
  });

  test('every prefix of every message gives keys, or the whole VIP', () => {
    for (const name of fixtureNames()) {
      const bytes = fixture(name);
      for (let length = 0; length <= bytes.length; length++) {
        const { keys, wholeVip } = orderingOf(openMessage(bytes.subarray(0, length)));
        expect(keys.length > 0).toBe(!wholeVip);
        for (const key of keys) expect(key).not.toBe('');
      }
    }
  });
});
