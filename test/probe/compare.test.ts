/** Reports laid side by side: what is told, in which words, and what is left untold. */
import { describe, expect, test } from 'vitest';
import { findingsOf, isDifference, sentenceOf } from '../../src/probe/compare.ts';
import type { PoolReport, ServerReport, Title, TitleReport } from '../../src/probe/prober.ts';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const MR = '1.2.840.10008.5.1.4.1.1.4';
const PLAIN = '1.2.840.10008.1.2.1';
const SV1 = '1.2.840.10008.1.2.4.70';
const RLE = '1.2.840.10008.1.2.5';
const UNKNOWN = '1/1/3: rejected permanently by the service user, calling AE title not recognized';

/** Everything that is asked for. */
const PROPOSED = { [CT]: [PLAIN, SV1, RLE], [MR]: [PLAIN, SV1, RLE] };

type Answer = Partial<Pick<TitleReport, 'answer' | 'code' | 'reason' | 'contexts'>>;

/** Server → calling AE title → what it says of it; `problem` when it could not be asked. */
type Written = Readonly<Record<string, Readonly<Record<string, Answer>> | ServerReport['problem']>>;

function reportOf(written: Written, titles?: readonly Title[]): PoolReport {
  const servers = Object.entries(written).map(([server, said]): ServerReport => {
    const common = { server, address: '10.0.0.1:104', ae: undefined };
    if (said === undefined || 'kind' in said)
      return { ...common, problem: said as ServerReport['problem'], titles: [] };
    const answers = Object.entries(said as Readonly<Record<string, Answer>>).map(([title, answer]) => {
      const [calling = '', called = 'ARCHIVE'] = title.split('>');
      const known = { answer: 'accepted' as const, code: undefined, reason: undefined, contexts: PROPOSED };
      return { calling, called, ...known, ...answer };
    });
    return { ...common, problem: undefined, titles: answers };
  });
  const known = servers.flatMap((one) => one.titles.map(({ calling, called }) => `${calling}>${called}`));
  const all = [...new Set(known)].map((title) => {
    const [calling = '', called = ''] = title.split('>');
    return { calling, called };
  });
  return { pool: 'archive', titles: titles ?? all, proposed: PROPOSED, servers };
}

const sentencesOf = (written: Written) => findingsOf(reportOf(written)).map(sentenceOf);

const rejected: Answer = { answer: 'rejected', code: '1/1/3', reason: UNKNOWN, contexts: undefined };
const accepted: Answer = {};
const withOut = (...syntaxes: string[]): Answer => ({
  contexts: {
    [CT]: PROPOSED[CT]!.filter((one) => !syntaxes.includes(one)),
    [MR]: PROPOSED[MR]!.filter((one) => !syntaxes.includes(one)),
  },
});

describe('AE titles', () => {
  test('one server does not know it', () => {
    expect(
      sentencesOf({ 'pacs-a': { CT1: accepted, CT3: accepted }, 'pacs-b': { CT1: accepted, CT3: rejected } }),
    ).toEqual([`pool archive: pacs-b does not accept calling AE CT3 (${UNKNOWN}), pacs-a does`]);
  });

  test('several servers, several titles: one sentence', () => {
    const lacking = { CT1: rejected, CT2: rejected, CT3: accepted };
    const whole = { CT1: accepted, CT2: accepted, CT3: accepted };
    expect(sentencesOf({ a: lacking, b: whole, c: lacking, d: whole })).toEqual([
      `pool archive: a and c do not accept calling AE CT1 and CT2 (${UNKNOWN}), b and d do`,
    ]);
  });

  test('refused for different reasons: a sentence each', () => {
    const closes: Answer = {
      answer: 'refused',
      reason: 'closes the connection instead of answering',
      contexts: undefined,
    };
    expect(sentencesOf({ a: { CT1: rejected }, b: { CT1: closes }, c: { CT1: accepted } })).toEqual([
      `pool archive: a does not accept calling AE CT1 (${UNKNOWN}), c does`,
      'pool archive: b does not accept calling AE CT1 (closes the connection instead of answering), c does',
    ]);
  });

  test('known nowhere: told, and no difference', () => {
    const findings = findingsOf(reportOf({ a: { CT1: rejected }, b: { CT1: rejected } }));
    expect(findings.map(sentenceOf)).toEqual([
      `pool archive: a and b do not accept calling AE CT1 (${UNKNOWN})`,
    ]);
    expect(findings.map(isDifference)).toEqual([false]);
  });

  test('the called title is the wrong one: that is what is told', () => {
    const reason = '1/1/7: rejected permanently by the service user, called AE title not recognized';
    const wrong: Answer = { answer: 'rejected', code: '1/1/7', reason, contexts: undefined };
    expect(
      sentencesOf({
        a: { 'CT1>OLD': wrong, 'CT2>OLD': wrong, 'CT1>NEW': accepted, 'CT2>NEW': accepted },
        b: { 'CT1>OLD': accepted, 'CT2>OLD': accepted, 'CT1>NEW': accepted, 'CT2>NEW': accepted },
      }),
    ).toEqual([`pool archive: a does not accept called AE OLD from CT1 and CT2 (${reason}), b does`]);
  });

  test('busy, or busy when the contexts were asked: not decided, and no difference', () => {
    const reason = '2/3/2: rejected for now by the service provider (presentation), local limit exceeded';
    const busy: Answer = { answer: 'busy', code: '2/3/2', reason, contexts: undefined };
    const then: Answer = { reason, contexts: undefined };
    const findings = findingsOf(
      reportOf({ a: { CT1: busy, CT2: then }, b: { CT1: accepted, CT2: accepted } }),
    );
    expect(findings.map(sentenceOf)).toEqual([
      `pool archive: as CT1 and CT2, a could not be asked: ${reason}`,
    ]);
    expect(findings.some(isDifference)).toBe(false);
  });
});

describe('contexts', () => {
  test('one server lacks a transfer syntax', () => {
    const findings = findingsOf(reportOf({ 'pacs-a': { CT1: accepted }, 'pacs-b': { CT1: withOut(SV1) } }));
    expect(findings.map(sentenceOf)).toEqual([
      'pool archive: pacs-b does not accept JPEG Lossless SV1 for CT Image Storage and MR Image Storage, pacs-a does',
    ]);
    expect(findings.map(isDifference)).toEqual([true]);
  });

  test('several transfer syntaxes for the same SOP classes: one sentence', () => {
    expect(sentencesOf({ a: { CT1: withOut(SV1, RLE) }, b: { CT1: accepted } })).toEqual([
      'pool archive: a does not accept JPEG Lossless SV1 and RLE Lossless for CT Image Storage and MR Image Storage, b does',
    ]);
  });

  test('no transfer syntax at all: the SOP class, once; the others are compared among each other', () => {
    const noMr: Answer = { contexts: { [CT]: PROPOSED[CT]! } };
    const noSv1ForMr: Answer = { contexts: { [CT]: PROPOSED[CT]!, [MR]: [PLAIN, RLE] } };
    expect(sentencesOf({ a: { CT1: noMr }, b: { CT1: accepted }, c: { CT1: noSv1ForMr } })).toEqual([
      'pool archive: a does not accept MR Image Storage, b and c do',
      'pool archive: c does not accept JPEG Lossless SV1 for MR Image Storage, b does',
    ]);
  });

  test('only as some: told; as everybody who is known: not', () => {
    expect(
      sentencesOf({ a: { CT1: withOut(RLE), CT2: accepted }, b: { CT1: accepted, CT2: accepted } }),
    ).toEqual([
      'pool archive: as CT1, a does not accept RLE Lossless for CT Image Storage and MR Image Storage, b does',
    ]);
    expect(
      sentencesOf({
        a: { CT1: withOut(RLE), CT2: withOut(RLE), CT3: rejected },
        b: { CT1: accepted, CT2: accepted, CT3: rejected },
      }).at(-1),
    ).toBe('pool archive: a does not accept RLE Lossless for CT Image Storage and MR Image Storage, b does');
  });

  test('a server that does not know the title has no say', () => {
    expect(sentencesOf({ a: { CT1: rejected }, b: { CT1: withOut(RLE) } })).toEqual([
      `pool archive: a does not accept calling AE CT1 (${UNKNOWN}), b does`,
    ]);
  });
});

test('who could not be asked is told, and compared with nobody; who was left out is not told either', () => {
  const findings = findingsOf(
    reportOf({
      a: { kind: 'unreachable', reason: '10.0.0.1:104 refuses connections' },
      b: { kind: 'left-out', reason: 'its last free connection is for work' },
      c: { CT1: withOut(RLE) },
    }),
  );
  expect(findings.map(sentenceOf)).toEqual([
    'pool archive: a could not be asked: 10.0.0.1:104 refuses connections',
  ]);
  expect(findings.map(isDifference)).toEqual([false]);
});

test('alike: nothing to tell', () => {
  expect(sentencesOf({ a: { CT1: accepted }, b: { CT1: accepted } })).toEqual([]);
});

test('long lists are cut', () => {
  const titles = Array.from({ length: 9 }, (_, index) => `CT${index + 1}`);
  const all = (answer: Answer) => Object.fromEntries(titles.map((title) => [title, answer]));
  expect(sentencesOf({ a: all(rejected), b: all(accepted) })).toEqual([
    `pool archive: a does not accept calling AE CT1, CT2, CT3, CT4 and 5 more (${UNKNOWN}), b does`,
  ]);
});
