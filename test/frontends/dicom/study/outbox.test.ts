/** What a receiver is sent that takes shorter PDUs than they came, and where an A-ABORT may follow. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Message } from '../../../../src/frontends/dicom/study/message.ts';
import { Outbox } from '../../../../src/frontends/dicom/study/outbox.ts';
import { readPdvs } from '../../../peers/pdus.ts';
import {
  arbitraryCuts,
  arbitraryStream,
  cut,
  FakeChannel,
  Heard,
  messageOf,
  pdusOf,
  readMessages,
  refusing,
  wireOf,
} from './messages.ts';

const LISTENER = { moved() {} };

/** Every announced length that makes sense, and those that do not: 0 is unlimited, 8 the least with a fragment. */
const arbitraryMaxLength = fc.oneof(
  fc.integer({ min: 8, max: 40 }),
  fc.integer({ min: 41, max: 1500 }),
  fc.constantFrom(0, 16_384),
);

function wholePdus(bytes: Buffer): ReadonlySet<number> {
  const ends = new Set([0]);
  let at = 0;
  for (const pdu of pdusOf(bytes)) {
    at += pdu.length;
    ends.add(at);
  }
  return ends;
}

describe('re-cut for a shorter maximum length', () => {
  test('every PDU fits, fragments are even, the last bit is on the last one, command and data bytes are the same', () => {
    fc.assert(
      fc.property(
        arbitraryStream,
        arbitraryCuts,
        arbitraryMaxLength,
        fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
        ({ fragments, stream }, cuts, maxLength, refusals) => {
          const heard = new Heard();
          const channel = new FakeChannel(refusing([...refusals, false]));
          const outbox = new Outbox(channel, maxLength, LISTENER);
          heard.began = (message) => outbox.push(message);
          heard.pushed = () => {
            outbox.pump();
            channel.drain();
          };
          heard.push(cut(stream, cuts));
          while (channel.drain());
          const pdus = pdusOf(channel.bytes);
          const most = maxLength === 0 ? Infinity : maxLength;
          for (const pdu of pdus) {
            expect(pdu.length - 6).toBeLessThanOrEqual(most);
            for (const { fragment } of readPdvs(pdu)) expect(fragment.length % 2).toBe(0);
          }
          expect(readMessages(channel.bytes)).toEqual(readMessages(wireOf(fragments.flat())));
          const lasts = pdus.flatMap(readPdvs).filter(({ isLast }) => isLast).length;
          expect(lasts).toBe(fragments.flat().filter(({ isLast }) => isLast).length);
          expect(outbox.bytesUnsent).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('fragments that fit stay as they came', () => {
    const fragments = messageOf(1, Buffer.alloc(3000, 7), [200, 1000]);
    const heard = new Heard().push([wireOf(fragments)]);
    const channel = new FakeChannel();
    new Outbox(channel, 206, LISTENER).push(heard.messages[0]!);
    const sent = pdusOf(channel.bytes);
    expect(sent.map((pdu) => pdu.length - 12)).toEqual(
      expect.arrayContaining([200, ...Array.from({ length: 5 }, () => 200)]),
    );
    expect(Math.max(...sent.map((pdu) => pdu.length - 6))).toBe(206);
  });

  test.each([1, 2, 5, 6, 7])(
    'a peer that announces %i bytes, too few for any fragment, gets the shortest there are',
    (maxLength) => {
      const fragments = messageOf(1, Buffer.alloc(300, 7));
      const heard = new Heard().push([wireOf(fragments)]);
      const channel = new FakeChannel();
      new Outbox(channel, maxLength, LISTENER).push(heard.messages[0]!);
      const sent = pdusOf(channel.bytes).flatMap(readPdvs);
      expect(new Set(sent.map(({ fragment }) => fragment.length))).toEqual(new Set([2]));
      expect(readMessages(channel.bytes)).toEqual(readMessages(wireOf(fragments)));
    },
  );

  test('messages follow one another, each whole, whatever arrives first', () => {
    const wires = [1, 2].map((id) => wireOf(messageOf(id, Buffer.alloc(500, id), [100])));
    const heards = [new Heard(), new Heard()];
    const channel = new FakeChannel();
    const outbox = new Outbox(channel, 50, LISTENER);
    for (const heard of heards) heard.began = (message) => outbox.push(message);
    heards[0]!.push([wires[0]!.subarray(0, 300)]);
    heards[1]!.push([wires[1]!]);
    outbox.pump();
    heards[0]!.push([wires[0]!.subarray(300)]);
    outbox.pump();
    expect(readMessages(channel.bytes)).toEqual(wires.flatMap(readMessages));
  });
});

describe('atBoundary', () => {
  test('is right after every write: an A-ABORT would stand between two PDUs, and nothing is held', () => {
    fc.assert(
      fc.property(
        arbitraryStream,
        arbitraryCuts,
        arbitraryMaxLength,
        fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
        ({ stream }, cuts, maxLength, refusals) => {
          const heard = new Heard();
          const channel = new FakeChannel(refusing([...refusals, false]));
          const outbox = new Outbox(channel, maxLength, LISTENER);
          const seen: { at: number; pending: number; atBoundary: boolean }[] = [];
          const look = () =>
            seen.push({
              at: channel.bytes.length,
              pending: channel.pending,
              atBoundary: outbox.atBoundary,
            });
          heard.began = (message) => outbox.push(message);
          heard.pushed = () => {
            outbox.pump();
            look();
            channel.drain();
            look();
          };
          heard.push(cut(stream, cuts));
          while (channel.drain()) look();
          look();
          const ends = wholePdus(channel.bytes);
          for (const { at, pending, atBoundary } of seen)
            expect(atBoundary).toBe(pending === 0 && ends.has(at));
        },
      ),
      { numRuns: 200 },
    );
  });
});

test('who listens is told when the peer took what it refused, and when a message is out', () => {
  let moved = 0;
  const channel = new FakeChannel(refusing([true]));
  const outbox = new Outbox(channel, 0, { moved: () => moved++ });
  const [message] = new Heard().push([wireOf(messageOf(1, undefined))]).messages as [Message];
  outbox.push(message);
  expect([moved, outbox.isHeldBack, outbox.isEmpty]).toEqual([0, true, false]);
  expect(outbox.bytesUnsent).toBe(0);
  channel.drain();
  expect([outbox.isHeldBack, outbox.isEmpty]).toEqual([false, true]);
  expect(moved).toBeGreaterThan(0);
});

test('nothing is written after drop', () => {
  const channel = new FakeChannel(refusing([true]));
  const outbox = new Outbox(channel, 0, LISTENER);
  const heard = new Heard().push([wireOf(messageOf(1, Buffer.alloc(5000), [500]))]);
  outbox.push(heard.messages[0]!);
  const before = channel.bytesWritten;
  outbox.drop();
  channel.drain();
  outbox.pump();
  expect(channel.bytesWritten).toBe(before);
  expect(outbox.isEmpty).toBe(true);
});
