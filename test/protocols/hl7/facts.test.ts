import { describe, expect, test } from 'vitest';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { messageFacts } from '../../../protocols/hl7/facts.ts';
import { fieldPath } from '../../../protocols/hl7/field-path.ts';
import { fixture, fixtureNames } from './fixture.ts';

const factsOf = (name: string) => messageFacts(openMessage(fixture(name)));
const factsIn = (text: string) => messageFacts(openMessage(Buffer.from(text, 'latin1')));
const HEADER = 'MSH|^~\\&|APP|FAC|RIS|HOSP|2026||ADT^A01|ID-1|P|2.5.1\r';

test('the facts of the header', () => {
  const facts = factsOf('adt-a01');
  const names = [
    'type',
    'event',
    'structure',
    'sendingApp',
    'sendingFacility',
    'receivingApp',
    'receivingFacility',
  ];
  expect(names.map((name) => facts.get(name))).toEqual([
    'ADT',
    'A01',
    'ADT_A01',
    'INVENTEDAPP',
    'INVENTEDFAC',
    'RIS',
    'HOSPITAL',
  ]);
  expect(['controlId', 'processingId', 'version'].map((name) => facts.get(name))).toEqual([
    'A01-0001',
    'P',
    '2.5.1',
  ]);
});

test('odd delimiters make no difference', () => {
  const facts = factsOf('odd-delimiters');
  expect(['type', 'event', 'structure', 'sendingApp'].map((name) => facts.get(name))).toEqual([
    'ADT',
    'A01',
    'ADT_A01',
    'INVENTEDAPP',
  ]);
  expect(facts.get('patient')).toEqual(['INV0009^HOSP%1.2.3%ISO', 'INV0009']);
});

test('an application that gives only its universal id goes by that', () => {
  expect(factsIn('MSH|^~\\&|^1.2.3^ISO|A^1.2.4^ISO\r').get('sendingApp')).toBe('1.2.3');
  expect(factsIn('MSH|^~\\&|^1.2.3^ISO|A^1.2.4^ISO\r').get('sendingFacility')).toBe('A');
});

test('the event comes from EVN-1 where MSH-9 names only the type', () => {
  expect(factsIn('MSH|^~\\&|||||||ADT\rEVN|A04\r').get('event')).toBe('A04');
  expect(factsIn('MSH|^~\\&|||||||ADT^A01\rEVN|A04\r').get('event')).toBe('A01');
});

describe('patient', () => {
  test('the key, and the bare id', () => {
    expect(factsOf('adt-a01').get('patient')).toEqual(['INV0001^HOSP', 'INV0001']);
    expect(factsIn(`${HEADER}PID|1||77\r`).get('patient')).toBe('77');
    expect(factsIn(HEADER).get('patient')).toBeUndefined();
  });

  test('who stands for another patient is found by that one’s key first', () => {
    const resolve = (key: string) => (key === '77^HOSP' ? '78^OTHER' : key);
    const of = (text: string) =>
      messageFacts(openMessage(Buffer.from(HEADER + text)), {}, {}, resolve).get('patient');
    expect(of('PID|1||77^^^HOSP\r')).toEqual(['78^OTHER', '78', '77^HOSP', '77']);
    expect(of('PID|1||78^^^OTHER\r')).toEqual(['78^OTHER', '78']);
    expect(of('PID|1||79\r')).toBe('79');
    expect(of('')).toBeUndefined();
  });

  test('of the configured repetition', () => {
    const message = openMessage(fixture('adt-a01'));
    const facts = messageFacts(message, {}, { patient: { types: ['SS'] } });
    expect(facts.get('patient')).toEqual(['900-INV^INSURER', '900-INV']);
  });
});

describe('accession', () => {
  test.each([
    ['omi-o23', 'ACC-0002'],
    ['orm-o01', 'ACC-0001'],
    ['adt-a01', undefined],
  ])('%s', (name, expected) => {
    expect(factsOf(name).get('accession')).toBe(expected);
  });

  test('the filler order number when there is no other', () => {
    expect(factsIn(`${HEADER}OBR|1|PL-1^APP|FI-1^RIS\r`).get('accession')).toBe('FI-1');
    expect(factsIn(`${HEADER}OBR|1|PL-1|FI-1\rIPC|""\r`).get('accession')).toBe('FI-1');
  });

  test('several orders, several accession numbers', () => {
    expect(factsIn(`${HEADER}OBR|1||FI-1\rOBR|2||FI-2\r`).get('accession')).toEqual(['FI-1', 'FI-2']);
  });

  test('where the configuration says', () => {
    const options = { accession: [fieldPath('OBR-2.1')] };
    expect(messageFacts(openMessage(fixture('orm-o01')), {}, options).get('accession')).toBe('ORDER-1');
  });
});

test('the priority of an order: TQ1-9, ORC-7.6, OBR-27.6', () => {
  expect(factsOf('omi-o23').get('orderPriority')).toBe('A');
  expect(factsOf('orm-o01').get('orderPriority')).toBe('S');
  expect(factsIn(`${HEADER}OBR|1${'|'.repeat(26)}^^^^^R\r`).get('orderPriority')).toBe('R');
  expect(factsOf('adt-a01').get('orderPriority')).toBeUndefined();
});

describe('any field', () => {
  test('by its path, with every value it has', () => {
    const facts = factsOf('adt-a01');
    expect(facts.get('PID-3.4')).toEqual(['HOSP', 'INSURER']);
    expect(facts.get('PID-3[2].4')).toBe('INSURER');
    expect(facts.get('PV1-3.1')).toBe('WARD');
    expect(facts.get('MSH-12')).toBe('2.5.1');
    expect(facts.get('ZZZ-1')).toBeUndefined();
  });

  test('Latin-1 and UTF-8 give the same text', () => {
    expect(factsOf('latin-1').get('PID-3.4')).toBe('KÖLN');
    expect(factsOf('utf-8').get('PID-3.4')).toBe('KÖLN');
    expect(factsOf('utf-8-byte-order-mark').get('PID-3.4')).toBe('KÖLN');
  });

  test('empty has no value, "" (to be deleted) is one', () => {
    const facts = factsOf('to-be-deleted');
    expect([facts.get('PID-5'), facts.get('PID-6')]).toEqual(['""', undefined]);
  });

  test('a name that is nothing has no value', () => {
    const facts = factsOf('adt-a01');
    for (const name of ['nothing', 'PID.3', 'PID-0', 'constructor', '__proto__', '']) {
      expect(facts.get(name)).toBeUndefined();
    }
  });
});

test('what the connection says', () => {
  const facts = messageFacts(openMessage(fixture('adt-a01')), {
    client: '192.0.2.1',
    port: '2310',
    vip: 'RIS',
  });
  expect([facts.get('client'), facts.get('port'), facts.get('vip'), facts.get('type')]).toEqual([
    '192.0.2.1',
    '2310',
    'RIS',
    'ADT',
  ]);
});

test('a batch: who sends is in its header, what it holds in its first message', () => {
  const facts = factsOf('batch');
  const names = ['sendingApp', 'controlId', 'type', 'event', 'version', 'patient'];
  expect(names.map((name) => facts.get(name))).toEqual([
    'INVENTEDAPP',
    'FILE-0001',
    'ADT',
    'A08',
    '2.5.1',
    ['INV0020^HOSP', 'INV0020'],
  ]);
});

test('no MSH: no facts but the connection’s, and nothing throws', () => {
  const names = [
    'type',
    'event',
    'sendingApp',
    'patient',
    'accession',
    'orderPriority',
    'PID-3.1',
    'controlId',
  ];
  const facts = messageFacts(openMessage(fixture('no-msh')), { vip: 'RIS' });
  for (const name of names) expect(facts.get(name)).toBeUndefined();
  expect(facts.get('vip')).toBe('RIS');
  for (const name of fixtureNames()) {
    const bytes = fixture(name);
    for (let length = 0; length < bytes.length; length += 3) {
      const cut = messageFacts(openMessage(bytes.subarray(0, length)));
      for (const fact of names) expect(cut.get(fact)).not.toBe('');
    }
  }
});

describe('the sending applications of a frame', () => {
  const senders = (text: string) => factsIn(text).get('sendingApps');
  const msh = (application: string) =>
    `MSH|^~\\&|${application}|FAC|RIS|HOSP|2026||ADT^A01|ID-1|P|2.5.1\rPID|1\r`;

  test('one for each message and each header of a batch, however many', () => {
    expect(senders(msh('HIS'))).toEqual(['HIS']);
    const many = Array.from({ length: 200 }, (_, index) => `A${index}`);
    const batch = `FHS|^~\\&|FILES|F\rBHS|^~\\&|BATCHES|F\r${many.map(msh).join('')}BTS|200\rFTS|1\r`;
    expect(senders(batch)).toEqual(['FILES', 'BATCHES', ...many]);
  });

  test('also of several messages in one frame that is no batch', () => {
    expect(senders(msh('HIS') + msh('OTHER'))).toEqual(['HIS', 'OTHER']);
  });

  test('the universal id stands for a namespace that is not there, and nobody is `""`', () => {
    expect(senders(msh('^1.2.3^ISO') + msh('HIS^1.2.3^ISO') + msh('HIS~LAB'))).toEqual([
      '1.2.3',
      'HIS',
      'HIS',
    ]);
    expect(senders(msh('') + msh('^^ISO') + msh('""'))).toEqual(['""', '""', '""']);
    // Other delimiters than the first header's: nobody knows where its fields are.
    expect(senders(`${msh('HIS')}MSH#*~!&#OTHER#FAC\r`)).toEqual(['HIS', '""']);
  });
});
