import { describe, expect, test } from 'vitest';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { mergesIn } from '../../../protocols/hl7/merges.ts';
import { fixture, fixtureNames } from './fixture.ts';

const PAIR = 'PID|1||77^^^HOSP^MR\rMRG|78^^^HOSP^MR\r';

function merges(event: string, segments: string) {
  const text = `MSH|^~\\&|APP|FAC|RIS|HOSP|2026||ADT^${event}|ID-1|P|2.5.1\rEVN|${event}\r${segments}`;
  return mergesIn(openMessage(Buffer.from(text, 'latin1')));
}

describe('what a message merges', () => {
  test.each(['A18', 'A30', 'A34', 'A36', 'A39', 'A40', 'A46', 'A47'])('%s: the prior id is gone', (event) => {
    expect(merges(event, PAIR)).toEqual([{ from: '78^HOSP', to: '77^HOSP' }]);
  });

  test.each(['A35', 'A41', 'A42', 'A48', 'A49', 'A50', 'A51'])(
    '%s: of accounts and visits, not patients',
    (event) => {
      expect(merges(event, PAIR)).toEqual([]);
    },
  );

  test.each(['A43', 'A44', 'A45', 'A17', 'A24', 'A37', 'A08'])('%s: both patients remain', (event) => {
    expect(merges(event, PAIR)).toEqual([]);
  });

  test('each group of PID and MRG is for itself, each repetition of MRG-1 a merge', () => {
    expect(
      merges('A40', `${PAIR}PID|2||1^^^H^MR~9^^^SSA^SS\rPD1\rMRG|2^^^H^MR~3^^^H^MR~1^^^H^MR\rMRG|4^^^H^MR\r`),
    ).toEqual([
      { from: '78^HOSP', to: '77^HOSP' },
      { from: '2^H', to: '1^H' },
      { from: '3^H', to: '1^H' },
      { from: '4^H', to: '1^H' },
    ]);
  });

  test('a prior id without an authority stands for that of the surviving one as well', () => {
    expect(merges('A40', 'PID|1||77^^^HOSP^MR\rMRG|78\r')).toEqual([
      { from: '78', to: '77^HOSP' },
      { from: '78^HOSP', to: '77^HOSP' },
    ]);
    expect(merges('A40', 'PID|1||77\rMRG|78\r')).toEqual([{ from: '78', to: '77' }]);
    expect(merges('A40', 'PID|1||77^^^HOSP\rMRG|77\r')).toEqual([{ from: '77', to: '77^HOSP' }]);
  });

  test('the surviving id is the one that the rule names', () => {
    const text = 'MSH|^~\\&|||||||ADT^A40\rPID|1||77^^^HOSP^MR~5^^^LAB^XX\rMRG|6^^^LAB^XX\r';
    const message = openMessage(Buffer.from(text));
    expect(mergesIn(message, { repetition: 2 })).toEqual([{ from: '6^LAB', to: '5^LAB' }]);
  });

  test('without one of the two ids there is nothing to learn', () => {
    expect(merges('A40', 'PID|1||\rMRG|78\r')).toEqual([]);
    expect(merges('A40', 'PID|1||77\rMRG|\r')).toEqual([]);
    expect(merges('A40', 'PID|1||77\rMRG|""\r')).toEqual([]);
    expect(merges('A40', 'MRG|78\rPID|1||77\r')).toEqual([]);
  });

  test('before v2.2 the event is in EVN-1', () => {
    const text = `MSH|^~\\&|APP|FAC|||2026||ADT|1|P|2.1\rEVN|A34\r${PAIR}`;
    expect(mergesIn(openMessage(Buffer.from(text)))).toHaveLength(1);
  });

  test('every prefix of every message gives merges or none', () => {
    for (const name of fixtureNames()) {
      const bytes = fixture(name);
      for (let length = 0; length <= bytes.length; length++) {
        for (const { from, to } of mergesIn(openMessage(bytes.subarray(0, length)))) {
          expect(from).not.toBe(to);
        }
      }
    }
    expect(mergesIn(openMessage(fixture('adt-a40-merge'))).length).toBeGreaterThan(0);
  });
});
