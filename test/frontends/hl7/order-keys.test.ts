/** By what messages are kept in order (`order.ts`), and that aliases, streams and fragments hold their order in lanes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { ALIAS_LIMITS, Aliases } from '../../../src/frontends/hl7/aliases.ts';
import { Lanes, type Turn, WHOLE_VIP } from '../../../src/frontends/hl7/lanes.ts';
import { type InOrder, orderOf } from '../../../src/frontends/hl7/order.ts';
import { PIN_LIMITS, Pins } from '../../../src/frontends/hl7/pins.ts';
import { createMemoryStore } from '../../../src/tables/memory.ts';
import { Table } from '../../../src/tables/table.ts';
import { hl7Message } from '../../peers/hl7-messages.ts';

const SOURCE = 'TESTAPP^TESTFAC';

function makeMemory() {
  const now = () => 0;
  return {
    aliases: new Aliases(new Table(createMemoryStore({ ...ALIAS_LIMITS, now }))),
    pins: new Pins(new Table(createMemoryStore({ ...PIN_LIMITS, now }))),
  };
}

const read = (bytes: Buffer) => openMessage(bytes);
const ofPatient = (patient: string) => read(hl7Message({ controlId: 'M', patient }));
const merge = (into: string, prior: string) =>
  read(hl7Message({ controlId: 'A40', event: 'A40', patient: into, segments: [`MRG|${prior}^^^HOSP^MR`] }));
/** Sequence number, and continuation pointers; undefined patient: it names none. */
const tied = (patient: string | null, sequence: string, before = '', after = '') =>
  read(
    Buffer.from(
      hl7Message({ controlId: 'T', patient, segments: after ? [`DSC|${after}|F`] : [] })
        .toString('latin1')
        .replace('|P|2.5.1||', `|P|2.5.1|${sequence}|${before}|`),
    ),
  );

describe('the keys of a message', () => {
  test('order patient, sender, none', () => {
    const message = ofPatient('P1');
    const keys = (order: 'patient' | 'sender' | 'none') => orderOf(message, { order }, SOURCE, {}).keys;
    expect([keys('patient'), keys('sender'), keys('none')]).toEqual(['P1^HOSP', SOURCE, []]);
  });

  test('a batch is the whole VIP’s', () => {
    const batch = read(Buffer.from('BHS|^~\\&|A|B\rMSH|^~\\&|A|B\rBTS|1\r'));
    expect(orderOf(batch, { order: 'patient' }, SOURCE, makeMemory())).toEqual({
      keys: WHOLE_VIP,
      merges: undefined,
      ties: undefined,
    });
  });

  test('a merge is expected while it is on its way: whoever names the old id stands with both', () => {
    const memory = makeMemory();
    const keysOf = (patient: string) =>
      orderOf(ofPatient(patient), { order: 'patient' }, SOURCE, memory).keys;
    const { keys, merges } = orderOf(merge('NEW', 'OLD'), { order: 'patient' }, SOURCE, memory);
    expect([...(keys as string[])].sort()).toEqual(['NEW^HOSP', 'OLD^HOSP']);
    expect(merges).toEqual([{ from: 'OLD^HOSP', to: 'NEW^HOSP' }]);
    expect(keysOf('OLD')).toEqual(['NEW^HOSP', 'OLD^HOSP']);
    expect(keysOf('NEW')).toBe('NEW^HOSP');
    memory.aliases.settle(merges!, false);
    expect(keysOf('OLD')).toBe('OLD^HOSP');
    memory.aliases.learn(merges!);
    expect(keysOf('OLD')).toEqual(['NEW^HOSP', 'OLD^HOSP']);
    const again = orderOf(merge('NEWER', 'OLD'), { order: 'patient' }, SOURCE, memory).keys;
    expect([...(again as string[])].sort()).toEqual(['NEWER^HOSP', 'NEW^HOSP', 'OLD^HOSP']);
  });

  test.each(['patient', 'sender', 'none'] as const)(
    'streams and fragments are in order with order %s',
    (order) => {
      const memory = makeMemory();
      const keysOf = (message: ReturnType<typeof tied>) => orderOf(message, { order }, SOURCE, memory).keys;
      const first = keysOf(tied('P1', '7', '', 'p1'));
      const second = keysOf(tied(null, '', 'p1'));
      expect(first).toContain('\rstream TESTAPP^TESTFAC^RIS^HOSPITAL');
      const pointer = '\rcontinued TESTAPP^TESTFAC p1';
      expect([first, second].map((keys) => keys === pointer || (keys as string[]).includes(pointer))).toEqual(
        [true, true],
      );
      if (order === 'patient') expect(second).toContain('P1^HOSP');
    },
  );
});

interface Sent extends Turn<string>, Pick<InOrder, 'merges'> {
  readonly persons: ReadonlySet<string>;
  gone: boolean;
  left: boolean;
}

test('property: with merges taken and refused at any time, whoever is one patient by then keeps the order', () => {
  const patient = fc.constantFrom('P1', 'P2', 'P3', 'P4');
  const step = fc.oneof(
    { weight: 6, arbitrary: patient.map((one) => [one]) },
    { weight: 2, arbitrary: fc.tuple(patient, patient).filter(([one, other]) => one !== other) },
    { weight: 6, arbitrary: fc.nat(7).map((which) => ({ which, happened: which % 4 > 0 })) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const memory = makeMemory();
      const lanes = new Lanes<string>();
      const sent: Sent[] = [];
      /** Pairs that are one patient, by merges that came and were not refused. */
      let known: (readonly [string, string])[] = [];
      const leave = (one: Sent, happened: boolean) => {
        one.left = true;
        if (one.merges) memory.aliases.settle(one.merges, happened);
        lanes.leave(one);
      };
      for (const one of steps) {
        if ('which' in one) {
          const running = sent.filter(({ gone, left }) => gone && !left);
          const which = running[one.which % Math.max(running.length, 1)];
          if (!which) continue;
          if (!one.happened && which.merges) {
            const [into, prior] = which.persons;
            known = known.filter(([to, from]) => to !== into || from !== prior);
          }
          leave(which, one.happened);
        } else {
          const [into, prior] = one as [string, string?];
          const message = prior === undefined ? ofPatient(into) : merge(into, prior);
          if (prior !== undefined)
            known = [...known.filter(([, from]) => from !== prior && from !== into), [into, prior]];
          const { keys, merges } = orderOf(message, { order: 'patient' }, SOURCE, memory);
          // A direct alias, of those that nobody contradicted since: that of whoever it names, or who is one with it.
          const persons = new Set(prior === undefined ? [into] : [into, prior]);
          const turn: Sent = {
            keys,
            merges,
            persons,
            lane: undefined,
            moreLanes: undefined,
            behind: 0,
            gone: false,
            left: false,
            go() {
              this.gone = true;
            },
          };
          const isOne = (a: string, b: string) =>
            a === b || known.some(([to, from]) => (to === a && from === b) || (to === b && from === a));
          if (lanes.enter(turn)) turn.go();
          for (const before of sent) {
            const isRelated = [...before.persons].some((a) => [...persons].some((b) => isOne(a, b)));
            if (isRelated && !before.left) expect(turn.gone).toBe(false);
          }
          sent.push(turn);
        }
        // Those that are related by name never run at the same time.
        const running = sent.filter(({ gone, left }) => gone && !left);
        const names = running.flatMap(({ persons }) => [...persons]);
        expect(new Set(names).size).toBe(names.length);
      }
      for (let one = sent.find(({ gone, left }) => gone && !left); one; ) {
        leave(one, true);
        one = sent.find(({ gone, left }) => gone && !left);
      }
      expect(sent.every(({ left }) => left)).toBe(true);
      expect(lanes.size).toBe(0);
    }),
    { numRuns: 500 },
  );
});
