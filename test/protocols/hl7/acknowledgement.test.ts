import { describe, expect, test } from 'vitest';
import {
  type AcknowledgementCode,
  acknowledgementIn,
  acknowledgementMode,
  buildAcknowledgement,
  isCommit,
  isPositive,
  isSent,
  matches,
  PROBLEM_ERRORS,
  readAcknowledgement,
} from '../../../protocols/hl7/acknowledgement.ts';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { fieldPath } from '../../../protocols/hl7/field-path.ts';
import { fixture, fixtureNames } from './fixture.ts';

const open = (text: string) => openMessage(Buffer.from(text, 'latin1'));
const answer = (text: string) => readAcknowledgement(Buffer.from(`MSH|^~\\&|RIS\r${text}`, 'latin1'));
const clock = () => Date.UTC(2026, 0, 2, 3, 4, 5, 678);

describe('reading', () => {
  test('MSA-1 and MSA-2', () => {
    expect(readAcknowledgement(fixture('acknowledgement'))).toEqual({ code: 'AA', controlId: 'A01-0001' });
    expect(answer('MSA|AE|ID-1|text\rERR|\r')).toEqual({ code: 'AE', controlId: 'ID-1' });
    expect(answer('SFT|x\rMSA| ca | ID-1 ')).toEqual({ code: 'CA', controlId: 'ID-1' });
  });

  test('an answer with a code of its own has none', () => {
    expect(answer('MSA|OK|ID-1\r')).toEqual({ code: undefined, controlId: 'ID-1' });
  });

  test('missing MSA-2', () => {
    expect(answer('MSA|AA\r')).toEqual({ code: 'AA', controlId: '' });
    expect(answer('MSA')).toEqual({ code: undefined, controlId: '' });
  });

  test('odd delimiters', () => {
    const bytes = Buffer.from('MSH#*+!%#RIS\rMSA#AA#ID|1\r');
    expect(readAcknowledgement(bytes)).toEqual({ code: 'AA', controlId: 'ID|1' });
  });

  test('what is no answer is none', () => {
    expect(readAcknowledgement(fixture('adt-a01'))).toBeUndefined();
    expect(readAcknowledgement(Buffer.from('MSA|AA|ID-1\r'))).toBeUndefined();
    expect(readAcknowledgement(Buffer.alloc(0))).toBeUndefined();
    expect(readAcknowledgement(Buffer.of(0x06))).toBeUndefined();
  });

  test('every prefix of one never throws', () => {
    const bytes = fixture('acknowledgement');
    for (let length = 0; length <= bytes.length; length++) readAcknowledgement(bytes.subarray(0, length));
  });

  test('an open message may be an answer too', () => {
    expect(acknowledgementIn(openMessage(fixture('acknowledgement')))?.code).toBe('AA');
  });

  test('kinds of codes', () => {
    const codes: AcknowledgementCode[] = ['AA', 'AE', 'AR', 'CA', 'CE', 'CR'];
    expect(codes.filter(isPositive)).toEqual(['AA', 'CA']);
    expect(codes.filter(isCommit)).toEqual(['CA', 'CE', 'CR']);
    expect([isPositive(undefined), isCommit(undefined)]).toEqual([false, false]);
  });
});

describe('matching', () => {
  const LONG = 'ID-0123456789-0123456789';
  test.each([
    ['the same', 'ID-1', 'ID-1', true, true],
    ['blanks around it', 'ID-1', ' ID-1 ', true, true],
    ['wrong MSA-2', 'ID-2', 'ID-1', false, false],
    ['missing MSA-2', '', 'ID-1', false, false],
    ['another case', 'id-1', 'ID-1', false, false],
    ['cut to 20 characters', LONG.slice(0, 20), LONG, false, true],
    ['cut to 19 characters', LONG.slice(0, 19), LONG, false, false],
    ['longer than the message’s', 'ID-12', 'ID-1', false, false],
    ['neither has one', '', '', true, true],
  ])('%s', (_, controlId, wanted, strict, prefix20) => {
    expect(matches({ code: 'AA', controlId }, wanted, 'strict')).toBe(strict);
    expect(matches({ code: 'AA', controlId }, wanted, 'prefix20')).toBe(prefix20);
    expect(matches({ code: 'AA', controlId }, wanted, 'position')).toBe(true);
  });

  test('control ids that are not ASCII are compared byte by byte', () => {
    const message = open('MSH|^~\\&|||||||ADT^A01|ID-\xe4\xff|P|2.5\r');
    const bytes = Buffer.from('MSH|^~\\&|\rMSA|AA|ID-\xe4\xff\r', 'latin1');
    expect(matches(readAcknowledgement(bytes)!, message.header(10), 'strict')).toBe(true);
  });
});

describe('acknowledgement mode', () => {
  const modeOf = (accept: string, application: string) =>
    acknowledgementMode(open(`MSH|^~\\&|||||||ADT^A01|ID-1|P|2.5|||${accept}|${application}\r`));

  test('original: one answer of the application', () => {
    const original = { enhanced: false, accept: 'NE', application: 'AL' };
    expect(modeOf('', '')).toEqual(original);
    expect(acknowledgementMode(openMessage(fixture('adt-a01')))).toEqual(original);
    expect(acknowledgementMode(openMessage(fixture('no-msh')))).toEqual(original);
  });

  test('enhanced: as MSH-15 and MSH-16 say', () => {
    expect(modeOf('AL', 'NE')).toEqual({ enhanced: true, accept: 'AL', application: 'NE' });
    expect(modeOf('NE', 'NE')).toEqual({ enhanced: true, accept: 'NE', application: 'NE' });
    expect(modeOf('ER', 'SU')).toEqual({ enhanced: true, accept: 'ER', application: 'SU' });
    expect(modeOf('AL', '')).toEqual({ enhanced: true, accept: 'AL', application: 'NE' });
    expect(modeOf('', 'AL')).toEqual({ enhanced: true, accept: 'NE', application: 'AL' });
    expect(modeOf('XX', 'NE')).toEqual({ enhanced: true, accept: 'AL', application: 'NE' });
  });

  test('when an answer is sent', () => {
    const sent = (['AL', 'NE', 'ER', 'SU'] as const).map((when) => [isSent(when, true), isSent(when, false)]);
    expect(sent).toEqual([
      [true, true],
      [false, false],
      [false, true],
      [true, false],
    ]);
  });
});

describe('building', () => {
  test('sender and receiver exchanged, MSA-2 is MSH-10', () => {
    const built = buildAcknowledgement(openMessage(fixture('adt-a01')), { code: 'AA' }, clock);
    expect(built.toString('latin1')).toBe(
      'MSH|^~\\&|RIS|HOSPITAL|INVENTEDAPP|INVENTEDFAC|20260102030405+0000||ACK^A01^ACK|A01-0001|P|2.5.1\r' +
        'MSA|AA|A01-0001\r',
    );
  });

  test('the same delimiters', () => {
    const built = buildAcknowledgement(
      openMessage(fixture('odd-delimiters')),
      { code: 'AR', text: 'no # here * or !', error: { condition: 200, field: fieldPath('MSH-9') } },
      clock,
    );
    expect(built.toString('latin1')).toBe(
      'MSH#*+!%#RIS#HOSPITAL#INVENTEDAPP#INVENTEDFAC#20260102030405+0000##ACK*A01*ACK#ODD-0001#P#2.5.1\r' +
        'MSA#AR#ODD-0001#no !F! here !S! or !E!\r' +
        'ERR##MSH*1*9#200*Unsupported message type*HL70357#E\r',
    );
  });

  test('ERR names the field', () => {
    const message = openMessage(fixture('adt-a01'));
    const errorAt = (path: string) =>
      buildAcknowledgement(message, { code: 'AE', error: { condition: 101, field: fieldPath(path) } }, clock)
        .toString('latin1')
        .split('\r')[2];
    const what = '101^Required field missing^HL70357|E';
    expect(errorAt('PID-3')).toBe(`ERR||PID^1^3|${what}`);
    expect(errorAt('PID-3[2]')).toBe(`ERR||PID^1^3^2|${what}`);
    expect(errorAt('PID-3.4')).toBe(`ERR||PID^1^3^1^4|${what}`);
    expect(errorAt('PID-3[2].4')).toBe(`ERR||PID^1^3^2^4|${what}`);
    const nowhere = buildAcknowledgement(message, { code: 'CE', error: { condition: 207 } }, clock);
    expect(nowhere.toString('latin1')).toContain('\rERR|||207^Application internal error^HL70357|E\r');
  });

  test('before v2.5 ERR has one field', () => {
    const message = openMessage(fixture('orm-o01'));
    const error = { condition: 200, field: fieldPath('MSH-9') } as const;
    const built = buildAcknowledgement(message, { code: 'AR', error }, clock).toString('latin1');
    expect(built).toContain('||ACK^O01|O01-0001|P|2.3\r');
    expect(built).toContain('\rERR|MSH^1^9^200&Unsupported message type&HL70357\r');
    const three = buildAcknowledgement(
      openMessage(fixture('three-encoding-characters')),
      { code: 'AR', error },
      clock,
    );
    expect(three.toString('latin1')).toContain('\rERR|MSH^1^9^200\r');
  });

  test('MSA-3 has 80 characters at most, and no half of an escape', () => {
    const message = openMessage(fixture('adt-a01'));
    const textOf = (text: string) => {
      const built = openMessage(buildAcknowledgement(message, { code: 'AR', text }, clock));
      return built.field('MSA-3')?.toString('latin1') ?? '';
    };
    expect(textOf('x'.repeat(200))).toBe('x'.repeat(80));
    expect(textOf('|'.repeat(200))).toBe('\\F\\'.repeat(26));
    expect(textOf('two\r\nlines, Köln')).toBe('two  lines, K ln');
  });

  test('the control id comes back byte for byte, the character set with it', () => {
    const message = open('MSH|^~\\&|K\xd6LN|||||2026|ADT^A01|ID-\xe4\\T\\|P|2.5||||||8859/1\r');
    const built = openMessage(buildAcknowledgement(message, { code: 'AA' }, clock));
    expect(built.field('MSA-2')).toEqual(message.headerBytes(10));
    expect(built.header(5)).toBe('K\xd6LN');
    expect(built.header(18)).toBe('8859/1');
  });

  test.each(['', 'noise', 'EVN|A01\r', 'MSH||APP|FAC\r', `MSH|^~\\&|${'x'.repeat(20_000)}`])(
    'no MSH that can be read: a general answer to %.20j',
    (text) => {
      const message = open(text);
      const error = PROBLEM_ERRORS[message.problem!];
      const built = buildAcknowledgement(message, { code: 'AR', text: message.problem, error }, clock);
      const reread = openMessage(built);
      expect(reread.problem).toBeUndefined();
      expect(reread.header(9)).toBe('ACK');
      expect(reread.header(10)).toBe('G20260102030405');
      expect(reread.header(12)).toBe('2.5');
      expect(readAcknowledgement(built)).toEqual({ code: 'AR', controlId: '' });
      expect(reread.field('ERR-3')).toBeDefined();
    },
  );

  test('a batch is answered under its own control id', () => {
    const built = buildAcknowledgement(openMessage(fixture('batch')), { code: 'AR' }, clock);
    expect(openMessage(built).header(9)).toBe('ACK');
    expect(openMessage(built).header(12)).toBe('2.5');
    expect(readAcknowledgement(built)?.controlId).toBe('FILE-0001');
  });

  test('the answer to any message can be read and matches it', () => {
    for (const name of fixtureNames()) {
      const message = openMessage(fixture(name));
      const built = buildAcknowledgement(message, { code: 'AE', text: 'text' }, clock);
      const controlId = message.header(message.batch ? 11 : 10);
      const read = readAcknowledgement(built);
      expect(read?.code, name).toBe('AE');
      expect(matches(read!, controlId, 'strict'), name).toBe(true);
    }
  });
});
