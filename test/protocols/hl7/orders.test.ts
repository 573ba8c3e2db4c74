import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { fieldPath } from '../../../protocols/hl7/field-path.ts';
import { ordersIn } from '../../../protocols/hl7/orders.ts';
import { hl7Message } from '../../peers/hl7-messages.ts';
import { fixture, fixtureNames } from './fixture.ts';

/** The orders of a message of these segments, behind MSH, EVN and PID. */
function orders(type: string, ...segments: string[]) {
  return ordersIn(openMessage(hl7Message({ controlId: 'O1', type, event: 'O01', segments })));
}

const obr = (accession: string, priority = '') =>
  `OBR|1|P-1|F-1|CT^INVENTED|${'|'.repeat(13)}${accession}|${'|'.repeat(8)}^^^^^${priority}`;
const orc = (control: string, priority = '', status = '') =>
  `ORC|${control}|P-1|F-1||${status}||^^^^^${priority}`;
const urgent = (accession: string, ...studies: string[]) => ({
  urgency: 'urgent',
  accessions: [accession],
  studies,
});
const routine = (accession: string) => ({ urgency: 'routine', accessions: [accession], studies: [] });

describe('the orders of a message', () => {
  test('ORM by ORC-7, OMI by TQ1, with accession number and study', () => {
    expect(ordersIn(openMessage(fixture('orm-o01')))).toEqual([urgent('ACC-0001')]);
    expect(ordersIn(openMessage(fixture('omi-o23')))).toEqual([urgent('ACC-0002', '1.2.3.4.5')]);
  });

  test('the priority in the sixth component of OBR-27 and of ORC-7, or in TQ1-9', () => {
    expect(orders('ORM', orc('NW'), obr('A1', 'S'))).toEqual([urgent('A1')]);
    expect(orders('ORM', orc('NW', 'A'), obr('A1'))).toEqual([urgent('A1')]);
    expect(orders('OMG', orc('NW'), 'TQ1|1||||||||S^STAT^HL70485', obr('A1'))).toEqual([urgent('A1')]);
    expect(orders('ORM', 'ORC|NW|P-1|F-1||||S', obr('A1'))).toEqual([]);
  });

  test('S and A are urgent, and so are the words; all else is routine', () => {
    for (const priority of ['S', 'A', 'stat', 'ASAP'])
      expect(orders('ORM', orc('NW', priority), obr('A1'))).toEqual([urgent('A1')]);
    for (const priority of ['R', 'T', 'P', 'TS5'])
      expect(orders('ORM', orc('NW', priority), obr('A1'))).toEqual([routine('A1')]);
  });

  test('each order by its own priority', () => {
    expect(
      orders('ORM', orc('NW', 'S'), obr('A1'), orc('NW', 'R'), obr('A2'), orc('NW'), obr('A3', 'A')),
    ).toEqual([urgent('A1'), routine('A2'), urgent('A3')]);
  });

  test('several OBR under one ORC share what stands before the first', () => {
    const expected = [urgent('A1'), urgent('A2')];
    expect(orders('OML', orc('NW', 'S'), obr('A1'), obr('A2'))).toEqual(expected);
    expect(orders('OML', orc('NW'), 'TQ1|1||||||||S', obr('A1'), obr('A2'))).toEqual(expected);
  });

  test('an OBR without an ORC is an order too', () => {
    expect(orders('ORM', obr('A1', 'S'), obr('A2', 'R'))).toEqual([urgent('A1'), routine('A2')]);
  });

  test('several procedure steps of one order', () => {
    const steps = ['IPC|A1|RP|1.2.3|S1|CT', 'IPC|A2|RP|1.2.4|S2|CT'];
    expect(orders('OMI', orc('NW', 'S'), obr(''), ...steps)).toEqual([
      { urgency: 'urgent', accessions: ['A1', 'A2'], studies: ['1.2.3', '1.2.4'] },
    ]);
  });

  test('one ZDS is for all orders of the message', () => {
    const zds = 'ZDS|1.2.3.4^INVENTED^Application^DICOM';
    expect(orders('ORM', orc('NW', 'S'), obr('A1'), orc('NW', 'S'), obr('A2'), zds)).toEqual([
      urgent('A1', '1.2.3.4'),
      urgent('A2', '1.2.3.4'),
    ]);
    expect(orders('ORM', orc('NW', 'S'), obr('A1'), zds, orc('NW', 'R'), obr('A2'), 'ZDS|1.2.5')).toEqual([
      urgent('A1', '1.2.3.4'),
      { ...routine('A2'), studies: ['1.2.5'] },
    ]);
  });

  test('cancelled, discontinued, replaced, not accepted', () => {
    const withdrawn = [{ urgency: 'withdrawn', accessions: ['A1'], studies: [] }];
    for (const control of ['CA', 'OC', 'CR', 'DC', 'OD', 'DR', 'RP', 'UA'])
      expect(orders('ORM', orc(control, 'S'), obr('A1'))).toEqual(withdrawn);
    expect(orders('ORM', orc('SC', 'S', 'CA'), obr('A1'))).toEqual(withdrawn);
    expect(orders('ORM', orc('SC', 'S', 'IP'), obr('A1'))).toEqual([urgent('A1')]);
  });

  test('previous results that come along are not orders', () => {
    expect(orders('OML', orc('NW', 'S'), obr('A1'), orc('PR', 'S'), obr('OLD'))).toEqual([urgent('A1')]);
  });

  test('says nothing of orders without a priority, or without anything to know their images by', () => {
    expect(orders('ORM', orc('SC'), obr('A1'))).toEqual([]);
    expect(orders('ORM', orc('NW', 'S'))).toEqual([]);
    expect(orders('ORM', orc('NW', 'S'), 'OBR|1|P-1||CT')).toEqual([]);
    expect(orders('ORM', orc('NW', 'S'), 'OBR|1|P-1|""|CT')).toEqual([]);
  });

  test('only order messages have orders: not results, not admissions', () => {
    for (const type of ['ORU', 'ADT', 'ORR']) expect(orders(type, orc('NW', 'S'), obr('A1'))).toEqual([]);
  });

  test('the accession number from where the configuration says, also before the orders', () => {
    const segments = ['PV1|1|I', orc('NW', 'S'), 'OBR|1|P-1|F-1', orc('NW', 'R'), 'OBR|2|P-2|F-2'];
    const message = openMessage(hl7Message({ controlId: 'O1', type: 'ORM', segments }));
    const of = (...paths: string[]) =>
      ordersIn(message, paths.map(fieldPath)).map(({ accessions }) => accessions);
    expect(of('OBR-2')).toEqual([['P-1'], ['P-2']]);
    expect(of('ZZZ-1', 'PV1-2')).toEqual([['I'], ['I']]);
  });

  test('in a batch each message has its own', () => {
    const one = (type: string, accession: string) =>
      `MSH|^~\\&|APP|FAC|RIS|HOSP|2026||${type}^O01|ID|P|2.3\r${orc('NW', 'S')}\r${obr(accession)}\r`;
    const batch = `BHS|^~\\&|APP|FAC|RIS|HOSP|2026\r${one('ORM', 'A1')}${one('ORU', 'A2')}${one('ORM', 'A3')}BTS|3\r`;
    expect(ordersIn(openMessage(Buffer.from(batch)))).toEqual([urgent('A1'), urgent('A3')]);
  });

  test('very many orders: only the first are looked at', () => {
    const many = Array.from({ length: 2000 }, (_, index) => [orc('NW', 'S'), obr(`A${index}`)]).flat();
    expect(orders('ORM', ...many)).toHaveLength(256);
  });

  test('a segment longer than any order has, and very many repetitions: passed over', () => {
    const long = `${obr('A1', 'S')}|${'x'.repeat(10_000)}`;
    expect(orders('ORM', orc('NW', 'S'), long, orc('NW', 'S'), obr('A2'))).toEqual([urgent('A2')]);
    const many = Array.from({ length: 20 }, (_, index) => `A${index}`).join('~');
    expect(orders('ORM', orc('NW', 'S'), obr(many))[0]!.accessions).toHaveLength(8);
  });

  test('nothing in a message that cannot be read', () => {
    expect(ordersIn(openMessage(Buffer.from('ORC|NW')))).toEqual([]);
  });

  test('never throws, whatever is cut off or changed (property)', () => {
    const names = fixtureNames();
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(255),
        (name, where, byte) => {
          const bytes = Buffer.from(fixture(name));
          const at = Math.floor(where * (bytes.length - 1));
          expect(Array.isArray(ordersIn(openMessage(bytes.subarray(0, at))))).toBe(true);
          bytes[at] = byte;
          for (const { accessions, studies } of ordersIn(openMessage(bytes)))
            expect(accessions.length + studies.length).toBeGreaterThan(0);
        },
      ),
    );
  });
});
