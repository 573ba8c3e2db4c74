/**
 * Several messages on one connection, whatever the server, the network and the clock do: every message is told of
 * exactly once, no answer comes to another message than the one it names, and what the server reads is whole frames.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrame } from '../../../protocols/hl7/mllp.ts';
import type { Delivery } from '../../../src/frontends/hl7/delivery.ts';
import { acknowledgementOf, hl7Message } from '../../peers/hl7-messages.ts';
import { ANSWER_MS, contentOf, deliveryOf, type Stage, stage, TestStream } from './outbound-stage.ts';

type Step =
  | { readonly do: 'send'; readonly mode: 'original' | 'NE' | 'ER' | 'AL'; readonly reuse: boolean }
  | { readonly do: 'stream'; readonly cuts: readonly number[]; readonly breaks: boolean }
  | { readonly do: 'part' | 'take' | 'turn' | 'lose' | 'end' | 'garbage' | 'stranger' }
  | { readonly do: 'answer'; readonly which: number; readonly code: string; readonly twice: boolean }
  | { readonly do: 'commit'; readonly word: 'committed' | 'not committed' }
  | { readonly do: 'give up'; readonly which: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'slow'; readonly slow: boolean };

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('send' as const),
        mode: fc.constantFrom(
          'original' as const,
          'original' as const,
          'NE' as const,
          'ER' as const,
          'AL' as const,
        ),
        reuse: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('stream' as const),
        cuts: fc.array(fc.nat(2000), { minLength: 1, maxLength: 4 }),
        breaks: fc.boolean(),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constantFrom('part' as const, 'take' as const, 'turn' as const) }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('answer' as const),
        which: fc.nat(),
        code: fc.constantFrom('AA', 'AA', 'AE', 'AR', 'CA'),
        twice: fc.boolean(),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('commit' as const),
        word: fc.constantFrom('committed' as const, 'committed' as const, 'not committed' as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('give up' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(ANSWER_MS) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('slow' as const), slow: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constantFrom('lose' as const, 'end' as const, 'garbage' as const, 'stranger' as const),
      }),
    },
  ),
  { maxLength: 60 },
);

class Play {
  readonly stages: Stage[] = [];
  /** What was sent on each, in order. */
  readonly sent = new Map<Stage, Delivery[]>();
  readonly streams: TestStream[] = [];
  /** Streams that break off. */
  readonly breaking = new Set<Delivery>();
  readonly pipeline: number;
  readonly release2: boolean;
  #number = 0;

  constructor(pipeline: number, release2: boolean) {
    this.pipeline = pipeline;
    this.release2 = release2;
  }

  /** The connection in use: a new one when the last is gone. */
  get stage(): Stage {
    const last = this.stages.at(-1);
    if (last && !last.isGone) return last;
    const it = stage({ pipeline: this.pipeline, release2: this.release2 });
    this.stages.push(it);
    this.sent.set(it, []);
    return it;
  }

  async step(step: Step): Promise<void> {
    const it = this.stage;
    const sent = this.sent.get(it)!;
    switch (step.do) {
      case 'send': {
        const codes = { original: '', NE: 'NE', ER: 'ER', AL: 'AL' };
        if (!step.reuse) this.#number++;
        this.#send(
          deliveryOf({
            controlId: `M${this.#number}`,
            acceptAcknowledgement: codes[step.mode],
            applicationAcknowledgement: codes[step.mode],
          }),
        );
        break;
      }
      case 'stream': {
        const options = { controlId: `M${++this.#number}`, length: 2000 };
        const stream = new TestStream(
          hl7Message(options),
          step.cuts,
          step.breaks ? 'its sender left' : 'end',
        );
        stream.isReady = false;
        const delivery = deliveryOf(options, stream);
        if (step.breaks) this.breaking.add(delivery);
        if (this.#send(delivery)) this.streams.push(stream);
        break;
      }
      case 'part':
        this.streams.at(-1)?.give();
        break;
      case 'take':
        it.channel.take();
        break;
      case 'turn':
        await new Promise(setImmediate);
        break;
      case 'answer': {
        const whose = sent[step.which % Math.max(sent.length, 1)];
        if (!whose) break;
        const bytes = encodeFrame(acknowledgementOf(contentOf(whose), step.code));
        it.channel.receive(bytes);
        if (step.twice) it.channel.receive(bytes);
        break;
      }
      case 'commit':
        it.channel.receive(encodeFrame(Buffer.of(step.word === 'committed' ? 0x06 : 0x15)));
        break;
      case 'give up': {
        const whose = sent[step.which % Math.max(sent.length, 1)];
        if (whose?.connection) whose.connection.giveUp(whose);
        break;
      }
      case 'pass':
        it.clock.pass(step.ms);
        break;
      case 'slow':
        it.channel.takesAtOnce = !step.slow;
        if (!step.slow) it.channel.takeAll();
        break;
      case 'lose':
        it.channel.lose();
        break;
      case 'end':
        if (it.channel.open) it.channel.handler.ended();
        break;
      case 'garbage':
        it.channel.receive(encodeFrame(Buffer.from('\x00?')));
        break;
      case 'stranger':
        it.channel.receive(encodeFrame(acknowledgementOf(hl7Message({ controlId: 'STRANGER' }))));
        break;
      default:
    }
  }

  #send(delivery: Delivery): boolean {
    const it = this.stage;
    if (!it.connection.takes(delivery)) return false;
    this.sent.get(it)!.push(delivery);
    it.send(delivery);
    return true;
  }

  check(): void {
    for (const it of this.stages) {
      const sent = this.sent.get(it)!;
      const decided = it.told.filter(({ what }) => what !== 'answered later');
      expect(decided).toHaveLength(sent.length);
      expect(new Set(decided.map(({ delivery }) => delivery)).size).toBe(sent.length);
      for (const one of it.told) {
        if (one.what === 'answered') expect(one.controlId).toBe(one.delivery.controlId);
        // Whoever is told that nothing of it can have arrived must be right.
        if (one.what === 'lost' && !one.loss.whole) {
          // Others with the same bytes may have, or were answered before they had.
          const isSame = (bytes: Buffer) => bytes.equals(contentOf(one.delivery));
          const others = sent.filter((other) => other !== one.delivery && isSame(contentOf(other)));
          expect(wholeFrames(it).filter(isSame).length).toBeLessThanOrEqual(others.length);
        }
        if (one.what === 'lost' && one.loss.cause === 'broken')
          expect(this.breaking.has(one.delivery)).toBe(true);
      }
      const arrived = wholeFrames(it);
      // In order, byte for byte, nothing in between; a message that broke off never ends.
      const expected = sent.filter((one) => !this.breaking.has(one)).map(contentOf);
      let at = 0;
      for (const frame of arrived) {
        while (at < expected.length && !frame.equals(expected[at]!)) at++;
        expect(at).toBeLessThan(expected.length);
        at++;
      }
    }
  }
}

/** Messages that the server has whole, without our commit acknowledgements. */
function wholeFrames({ channel }: Stage): Buffer[] {
  return channel.frames.filter(({ length }) => length > 1);
}

test.each([
  [1, false],
  [4, false],
  [1, true],
  [3, true],
])(
  'property: pipeline %i, release 2 %s: every message is told of once, and no answer comes to the wrong message',
  async (pipeline, release2) => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const play = new Play(pipeline, release2);
        for (const step of all as Step[]) await play.step(step);
        for (const it of play.stages) it.connection.abort('the test is over');
        play.check();
      }),
      { numRuns: 400 },
    );
  },
);
