import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { itemsOf, textElement, textOf } from '../../../../protocols/dicom/data-set.ts';
import { TAG } from '../../../../protocols/dicom/tags.ts';
import {
  type Asking,
  createCommitment,
  type Refused,
  type Requested,
} from '../../../../src/frontends/dicom/affinity/commitment.ts';
import { createMemoryStore } from '../../../../src/tables/memory.ts';
import { type Entry, Table } from '../../../../src/tables/table.ts';
import {
  asked,
  CLASS,
  CLIENT,
  EXPLICIT,
  failed,
  IMPLICIT,
  PROCEDURE_STEPS,
  read,
  referenced,
  reported,
  SYNTAXES,
  uidOf,
} from './data-sets.ts';

const FILE_SET = 0x0088_0130;
const HOUR = 3_600_000;

interface Setup {
  readonly places: ReadonlyMap<string, string>;
  readonly storage?: 'shared' | 'separate';
  readonly hasEgress?: boolean;
  readonly table?: Table;
  readonly now?: () => number;
}

function newTable(now = () => 1): Table {
  return new Table(createMemoryStore({ ttl: 72 * HOUR, size: 10_000, now }));
}

function setup({ places, storage = 'shared', hasEgress = true, table = newTable() }: Setup) {
  let seed = 0;
  const commitment = createCommitment({
    placeOf: (sopInstance) => places.get(sopInstance),
    transactions: table,
    storage,
    hasEgress,
    randomBytes: (count) => Buffer.alloc(count, ++seed),
  });
  return { commitment, table };
}

const from: Asking = { ae: 'CT1', lead: 'archive/a', canReach: () => true };

function partsOf(requested: Requested | Refused) {
  if ('refuse' in requested) throw new Error(requested.why);
  return requested.parts;
}

function delivered(report: ReturnType<ReturnType<typeof createCommitment>['report']>) {
  if (report === 'answered') throw new Error('it was answered');
  return report;
}

describe('a request', () => {
  test('whose instances are all on one server goes there, byte for byte', () => {
    const { commitment } = setup({
      places: new Map([
        ['1.1', 'archive/b'],
        ['1.2', 'archive/b'],
      ]),
    });
    const bytes = asked(['1.1', '1.2']);
    const [part, ...others] = partsOf(commitment.request(bytes, IMPLICIT, from));
    expect(part).toEqual({ place: 'archive/b', dataSet: bytes });
    expect(part!.dataSet).toBe(bytes);
    expect(others).toEqual([]);
  });

  test.each(SYNTAXES)('whose instances are on two servers is split, in %s', (transferSyntax) => {
    const { commitment } = setup({
      places: new Map([
        ['1.1', 'archive/b'],
        ['1.2', 'archive/c'],
        ['1.3', 'archive/b'],
      ]),
    });
    const bytes = asked(['1.1', '1.2', '1.3'], transferSyntax);
    const parts = partsOf(commitment.request(bytes, transferSyntax, from));
    expect(parts.map(({ place }) => place)).toEqual(['archive/b', 'archive/c']);
    const [b, c] = parts.map(({ dataSet }) => read(dataSet, transferSyntax));
    expect(referenced(b!)).toEqual(['1.1', '1.3']);
    expect(referenced(c!)).toEqual(['1.2']);
    expect(uidOf(b!)).toMatch(/^2\.25\.\d{36,39}$/);
    expect(uidOf(c!)).not.toBe(uidOf(b!));
    // What else it says, both are told.
    for (const part of [b!, c!])
      expect(itemsOf(part, PROCEDURE_STEPS).map((one) => textOf(one, TAG.REFERENCED_SOP_CLASS_UID))).toEqual([
        CLASS,
      ]);
  });

  test('UIDs of parts are those of random UUIDs', () => {
    const { commitment } = setup({
      places: new Map([
        ['1.1', 'archive/b'],
        ['1.2', 'archive/c'],
      ]),
    });
    const [part] = partsOf(commitment.request(asked(['1.1', '1.2']), IMPLICIT, from));
    // 01010101-0101-4101-8101-010101010101
    expect(uidOf(read(part!.dataSet))).toBe(`2.25.${0x01010101010141018101010101010101n}`);
  });

  test('unknown instances go to the lead with shared storage', () => {
    const { commitment } = setup({
      places: new Map([
        ['1.1', 'archive/b'],
        ['1.4', 'archive/a'],
      ]),
    });
    const parts = partsOf(commitment.request(asked(['1.1', '1.2', '1.4']), IMPLICIT, from));
    expect(parts.map(({ place, dataSet }) => [place, referenced(read(dataSet))])).toEqual([
      ['archive/b', ['1.1']],
      ['archive/a', ['1.2', '1.4']],
    ]);
    const bytes = asked(['1.2']);
    expect(partsOf(commitment.request(bytes, IMPLICIT, from))).toEqual([
      { place: 'archive/a', dataSet: bytes },
    ]);
    expect(partsOf(commitment.request(bytes, IMPLICIT, { ...from, lead: undefined }))).toEqual([
      { place: undefined, dataSet: bytes },
    ]);
  });

  test('unknown instances are refused with separate storage, 0110', () => {
    const { commitment } = setup({ storage: 'separate', places: new Map([['1.1', 'archive/b']]) });
    expect(commitment.request(asked(['1.1', '1.2']), IMPLICIT, from)).toMatchObject({ refuse: 0x0110 });
  });

  test('a server that may not be asked: the lead is, with shared storage; itself, with separate', () => {
    const places = new Map([['1.1', 'archive/b']]);
    const asking = { ...from, canReach: (place: string) => place !== 'archive/b' };
    const shared = setup({ places }).commitment.request(asked(['1.1']), IMPLICIT, asking);
    expect(partsOf(shared)[0]!.place).toBe('archive/a');
    const separate = setup({ places, storage: 'separate' }).commitment;
    expect(partsOf(separate.request(asked(['1.1']), IMPLICIT, asking))[0]!.place).toBe('archive/b');
  });

  test('without an egress nothing is split: the lead is asked, or it is refused', () => {
    const places = new Map([
      ['1.1', 'archive/b'],
      ['1.2', 'archive/c'],
    ]);
    const bytes = asked(['1.1', '1.2']);
    const shared = setup({ places, hasEgress: false }).commitment;
    expect(partsOf(shared.request(bytes, IMPLICIT, from))).toEqual([{ place: 'archive/a', dataSet: bytes }]);
    const separate = setup({ places, hasEgress: false, storage: 'separate' }).commitment;
    expect(separate.request(bytes, IMPLICIT, from)).toMatchObject({ refuse: 0x0110 });
  });

  test('that cannot be read goes to the lead as it is: its server says what is wrong', () => {
    const { commitment } = setup({ places: new Map() });
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(7), asked(['1.1']).subarray(0, -3)])
      expect(partsOf(commitment.request(bytes, IMPLICIT, from))).toEqual([
        { place: 'archive/a', dataSet: bytes },
      ]);
  });
});

describe('a report', () => {
  const places = new Map([
    ['1.1', 'archive/b'],
    ['1.2', 'archive/c'],
    ['1.3', 'archive/b'],
  ]);

  function split(options: Partial<Setup> = {}) {
    const all = setup({ places, ...options });
    const requested = all.commitment.request(asked(['1.1', '1.2', '1.3']), IMPLICIT, from);
    const [b, c] = partsOf(requested).map(({ dataSet }) => uidOf(read(dataSet)));
    return { ...all, b: b!, c: c!, withdraw: () => (requested as Requested).withdraw() };
  }

  test('of a transaction that is not split is delivered byte for byte to who asked', () => {
    const { commitment } = setup({ places });
    commitment.request(asked(['1.1', '1.3']), IMPLICIT, from);
    const [bytes] = reported(CLIENT, { good: ['1.1', '1.3'] });
    const report = delivered(commitment.report(bytes, IMPLICIT));
    expect(report).toMatchObject({ toAe: 'CT1', eventType: undefined });
    expect(report.deliver).toBe(bytes);
    // A server that was not heard may say it again.
    expect(delivered(commitment.report(bytes, IMPLICIT)).deliver).toBe(bytes);
  });

  test('of a transaction that nobody knows, or that cannot be read, is delivered as it is', () => {
    const { commitment } = setup({ places });
    for (const bytes of [reported('1.9.9', { good: ['1.1'] })[0], Buffer.alloc(9)]) {
      const report = delivered(commitment.report(bytes, IMPLICIT));
      expect(report).toMatchObject({ toAe: undefined, eventType: undefined });
      expect(report.deliver).toBe(bytes);
    }
  });

  test.each(SYNTAXES)('of all parts is delivered once, when the last part came, in %s', (transferSyntax) => {
    const { commitment, b, c } = split();
    expect(commitment.report(...reported(c, { good: ['1.2'] }))).toBe('answered');
    const last = reported(b, { good: ['1.1', '1.3'], transferSyntax });
    const report = delivered(commitment.report(...last));
    expect(report).toMatchObject({ toAe: 'CT1', eventType: 1 });
    const merged = read(report.deliver, transferSyntax);
    expect(uidOf(merged)).toBe(CLIENT);
    expect(referenced(merged)).toEqual(['1.1', '1.3', '1.2']);
    expect(failed(merged)).toEqual([]);
    report.delivered();
    expect(commitment.report(...last)).toBe('answered');
    expect(commitment.report(...reported(c, { good: ['1.2'] }))).toBe('answered');
  });

  test('that could not be delivered is delivered when a part is reported again', () => {
    const { commitment, b, c } = split();
    commitment.report(...reported(c, { good: ['1.2'] }));
    const last = reported(b, { good: ['1.1', '1.3'] });
    const first = delivered(commitment.report(...last)).deliver;
    expect(delivered(commitment.report(...last)).deliver).toEqual(first);
  });

  test('failures of one part: the whole has failures, with their reasons, whatever the byte order', () => {
    const { commitment, b, c } = split();
    const bigEndian = '1.2.840.10008.1.2.2';
    commitment.report(...reported(b, { good: ['1.1'], bad: ['1.3'], transferSyntax: bigEndian }));
    const last = reported(c, { good: ['1.2'], transferSyntax: EXPLICIT });
    const report = delivered(commitment.report(...last));
    expect(report.eventType).toBe(2);
    const merged = read(report.deliver, EXPLICIT);
    expect(referenced(merged)).toEqual(['1.1', '1.2']);
    expect(failed(merged)).toEqual(['1.3']);
    expect(textOf(itemsOf(merged, TAG.FAILED_SOP_SEQUENCE)[0]!, TAG.FAILURE_REASON)).toBe(String(0x0112));
  });

  test('where instances can be had is said of each, as its server said it of all', () => {
    const { commitment, b, c } = split();
    const ae = (title: string) => [textElement(TAG.RETRIEVE_AE_TITLE, 'AE', title)];
    const fileSet = [textElement(FILE_SET, 'SH', 'DISK7')];
    commitment.report(...reported(b, { good: ['1.1', '1.3'], more: ae('ARCHIVE_B') }));
    const report = commitment.report(
      ...reported(c, { good: ['1.2'], more: [...ae('ARCHIVE_C'), ...fileSet] }),
    );
    const merged = read(delivered(report).deliver);
    expect(textOf(merged, TAG.RETRIEVE_AE_TITLE)).toBeUndefined();
    const said = itemsOf(merged, TAG.REFERENCED_SOP_SEQUENCE).map((one) => [
      textOf(one, TAG.RETRIEVE_AE_TITLE),
      textOf(one, FILE_SET),
    ]);
    expect(said).toEqual([
      ['ARCHIVE_B', undefined],
      ['ARCHIVE_B', undefined],
      ['ARCHIVE_C', 'DISK7'],
    ]);
  });

  test('a restart between request and report: who asked is known, and a split transaction is still merged', () => {
    const { commitment, table, b, c } = split();
    commitment.report(...reported(b, { good: ['1.1', '1.3'] }));
    const restored = newTable();
    for (const entry of [...table.walk()].map((one) => JSON.parse(JSON.stringify(one)) as Entry))
      restored.restore(entry);
    const after = setup({ places: new Map(), table: restored }).commitment;
    const report = delivered(after.report(...reported(c, { good: ['1.2'] })));
    expect(report.toAe).toBe('CT1');
    expect(referenced(read(report.deliver))).toEqual(['1.1', '1.3', '1.2']);
  });

  test('of a withdrawn transaction is answered, and nobody hears of it', () => {
    const { commitment, withdraw, b, c } = split();
    withdraw();
    for (const uid of [b, c]) expect(commitment.report(...reported(uid, { good: [] }))).toBe('answered');
  });

  test('asked again under the same UID: parts of the first time count no more', () => {
    const { commitment, b, c } = split();
    commitment.report(...reported(b, { good: ['1.1', '1.3'] }));
    const again = partsOf(commitment.request(asked(['1.1', '1.2', '1.3']), IMPLICIT, from));
    expect(commitment.report(...reported(c, { good: ['1.2'] }))).toBe('answered');
    const [newB, newC] = again.map(({ dataSet }) => uidOf(read(dataSet)));
    expect(commitment.report(...reported(newB!, { good: ['1.1', '1.3'] }))).toBe('answered');
    expect(commitment.report(...reported(newC!, { good: ['1.2'] }))).not.toBe('answered');
  });
});

test('however instances are spread and reported, the client hears of each exactly once', () => {
  const instances = fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 30 });
  const spread = fc.tuple(
    instances,
    fc.infiniteStream(fc.nat({ max: 3 })),
    fc.infiniteStream(fc.boolean()),
    fc.infiniteStream(fc.constantFrom(...SYNTAXES)),
    fc.infiniteStream(fc.nat()),
  );
  fc.assert(
    fc.property(spread, ([numbers, servers, fates, syntaxes, order]) => {
      const next = <T>(stream: Iterator<T>) => stream.next().value as T;
      const uids = numbers.map((number) => `1.2.${number}`);
      const places = new Map(uids.map((uid) => [uid, `archive/${next(servers)}`]));
      const syntax = next(syntaxes);
      const { commitment } = setup({ places, storage: 'separate' });
      const parts = [...partsOf(commitment.request(asked(uids, syntax), syntax, from))];
      expect(parts.length).toBe(new Set(places.values()).size);
      const expected = { good: [] as string[], bad: [] as string[] };
      while (parts.length > 0) {
        const [part] = parts.splice(next(order) % parts.length, 1);
        const dataSet = read(part!.dataSet, syntax);
        const wanted = referenced(dataSet) as string[];
        for (const uid of wanted) expect(places.get(uid)).toBe(part!.place);
        const good = wanted.filter(() => next(fates));
        const bad = wanted.filter((uid) => !good.includes(uid));
        expected.good.push(...good);
        expected.bad.push(...bad);
        const transferSyntax = next(syntaxes);
        const report = commitment.report(...reported(uidOf(dataSet), { good, bad, transferSyntax }));
        if (parts.length > 0) {
          expect(report).toBe('answered');
          continue;
        }
        const merged = read(delivered(report).deliver, transferSyntax);
        expect(uidOf(merged)).toBe(CLIENT);
        expect(referenced(merged)).toHaveLength(expected.good.length);
        expect(new Set(referenced(merged))).toEqual(new Set(expected.good));
        expect(failed(merged)).toHaveLength(expected.bad.length);
        expect(new Set(failed(merged))).toEqual(new Set(expected.bad));
      }
    }),
  );
});

test('damaged data sets, a byte changed or the end missing, are judged without fail', () => {
  const places = new Map([
    ['1.1', 'archive/b'],
    ['1.2', 'archive/c'],
  ]);
  const damage = fc.record({
    syntax: fc.constantFrom(...SYNTAXES),
    isRequest: fc.boolean(),
    place: fc.nat(),
    change: fc.option(fc.integer({ min: 1, max: 255 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(damage, ({ syntax, isRequest, place, change }) => {
      const { commitment } = setup({ places });
      const [part] = partsOf(commitment.request(asked(['1.1', '1.2'], syntax), syntax, from));
      const uid = uidOf(read(part!.dataSet, syntax));
      const whole = isRequest
        ? asked(['1.1', '1.2'], syntax)
        : reported(uid, { good: ['1.1'], bad: ['1.2'], transferSyntax: syntax })[0];
      const at = place % whole.length;
      const bytes = Buffer.from(change === undefined ? whole.subarray(0, at) : whole);
      if (change !== undefined) bytes[at]! ^= change;
      if (isRequest) commitment.request(bytes, syntax, from);
      else commitment.report(bytes, syntax);
    }),
    { numRuns: 500 },
  );
});
