/** Messages, written while they arrive, written again, and given back. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Message } from '../../../../src/frontends/dicom/study/message.ts';
import { Outbox } from '../../../../src/frontends/dicom/study/outbox.ts';
import { CHUNK_LENGTH, ReplayBudget } from '../../../../src/frontends/dicom/study/replay-budget.ts';
import {
  arbitraryCuts,
  arbitraryStream,
  cut,
  FakeChannel,
  Heard,
  messageOf,
  readMessages,
  refusing,
  wireOf,
} from './messages.ts';

const LISTENER = { moved() {} };
const MIB = 1024 * 1024;

/** Bytes that differ everywhere, so that a chunk in the wrong place shows. */
function patterned(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2654435761 + seed) >>> 0, at);
  return bytes;
}

/** All of a message's bytes, as an unlimited receiver gets them. */
function written(message: Message): Buffer {
  const channel = new FakeChannel();
  new Outbox(channel, 0, LISTENER).push(message);
  return channel.bytes;
}

function chunksOf(message: Message): number {
  return Array.from({ length: message.chunkCount }, (_, index) => message.chunk(index)).filter(Boolean)
    .length;
}

test('a message written while it arrives, in any cut of the bytes, is the fragments that came', () => {
  fc.assert(
    fc.property(
      arbitraryStream,
      arbitraryCuts,
      fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }),
      ({ fragments, stream }, cuts, refusals) => {
        const heard = new Heard();
        const channel = new FakeChannel(refusing([...refusals, false]));
        const outbox = new Outbox(channel, 0, LISTENER);
        heard.began = (message) => outbox.push(message);
        heard.pushed = () => {
          outbox.pump();
          channel.drain();
        };
        heard.push(cut(stream, cuts));
        outbox.pump();
        while (channel.drain());
        expect(heard.fault).toBeUndefined();
        expect(heard.ended).toHaveLength(fragments.length);
        expect(channel.bytes.equals(wireOf(fragments.flat()))).toBe(true);
        expect(outbox.isEmpty).toBe(true);
        expect(outbox.bytesUnsent).toBe(0);
      },
    ),
    { numRuns: 200 },
  );
});

test('a message is the same one byte at a time', () => {
  const fragments = messageOf(1, patterned(1000), [300, 2, 20]);
  const heard = new Heard().push(cut(wireOf(fragments), [1]));
  expect(written(heard.ended[0]!).equals(wireOf(fragments))).toBe(true);
});

test('a message that is kept can be written again from its start after any partial write', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 700_000 }),
      fc.constantFrom([131_072], [16_378], [700_000], [65_536, 2]),
      fc.integer({ min: 1, max: 12 }),
      (stopAfter, lengths, refuseAt) => {
        const budget = new ReplayBudget({ perInstance: 2 * MIB, total: 4 * MIB });
        const fragments = messageOf(1, patterned(700_000), lengths);
        const wire = wireOf(fragments);
        const heard = new Heard({ budget });
        let left = refuseAt;
        const first = new Outbox(new FakeChannel(() => left-- > 0), 0, LISTENER);
        heard.began = (message) => first.push(message);
        heard.pushed = () => first.pump();
        heard.push([wire.subarray(0, stopAfter)]);
        first.drop();
        const channel = new FakeChannel();
        const second = new Outbox(channel, 0, LISTENER);
        const message = heard.messages[0];
        if (message) {
          expect(message.isKept).toBe(true);
          second.push(message);
        } else {
          heard.began = (late) => second.push(late);
        }
        heard.pushed = () => second.pump();
        heard.push(cut(wire.subarray(stopAfter), [50_000]));
        expect(channel.bytes.equals(wire)).toBe(true);
        heard.messages[0]!.over();
        expect(budget.kept).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

test('without a budget what was written is given back at once', () => {
  const heard = new Heard();
  const outbox = new Outbox(new FakeChannel(), 0, LISTENER);
  let most = 0;
  heard.began = (message) => outbox.push(message);
  heard.pushed = () => {
    outbox.pump();
    most = Math.max(most, ...heard.messages.map(chunksOf));
  };
  heard.push(cut(wireOf(messageOf(1, patterned(8 * MIB), [131_072])), [65_536]));
  expect(heard.ended).toHaveLength(1);
  expect(most).toBeLessThanOrEqual(2);
});

test('beyond the budget of an instance its chunks are given back, and the bytes are right', () => {
  const budget = new ReplayBudget({ perInstance: MIB, total: 8 * MIB });
  const wire = wireOf(messageOf(1, patterned(6 * MIB), [131_072]));
  const heard = new Heard({ budget });
  const channel = new FakeChannel(refusing([false, true]));
  const outbox = new Outbox(channel, 0, LISTENER);
  const kept: number[] = [];
  const chunks: number[] = [];
  heard.began = (message) => outbox.push(message);
  heard.pushed = () => {
    outbox.pump();
    while (channel.drain());
    kept.push(budget.kept);
    chunks.push(chunksOf(heard.messages[0]!));
  };
  heard.push(cut(wire, [65_536]));
  expect(Math.max(...kept)).toBe(MIB);
  // The first chunk, of its command, is not counted, and one is being filled.
  expect(Math.max(...chunks)).toBeLessThanOrEqual(MIB / CHUNK_LENGTH + 2);
  expect(kept.at(-1)).toBe(0);
  expect(chunks.at(-1)).toBeLessThanOrEqual(2);
  expect(heard.messages[0]!.isKept).toBe(false);
  expect(channel.bytes.equals(wire)).toBe(true);
});

test('the budget of all instances is one: who comes when it is used up is not kept, but passes', () => {
  const budget = new ReplayBudget({ perInstance: 4 * MIB, total: MIB });
  const one = new Heard({ budget }).push([wireOf(messageOf(1, patterned(900_000), [131_072]))]);
  const other = new Heard({ budget }).push([wireOf(messageOf(1, patterned(900_000, 7), [131_072]))]);
  expect([one, other].map(({ messages }) => messages[0]!.isKept)).toEqual([true, false]);
  expect(written(other.messages[0]!).equals(wireOf(messageOf(1, patterned(900_000, 7), [131_072])))).toBe(
    true,
  );
  expect(written(one.messages[0]!).equals(wireOf(messageOf(1, patterned(900_000), [131_072])))).toBe(true);
  for (const { messages } of [one, other]) messages[0]!.over();
  expect(budget.kept).toBe(0);
});

test('no chunk is used again while a channel still holds it', () => {
  const wires = [1, 2, 3, 4].map((seed) => wireOf(messageOf(1, patterned(2 * MIB, seed), [131_072])));
  const lines = wires.map((wire) => {
    const heard = new Heard();
    const channel = new FakeChannel(refusing([true, true, false]));
    const outbox = new Outbox(channel, 0, LISTENER);
    heard.began = (message) => {
      outbox.push(message);
      message.over();
    };
    heard.pushed = () => outbox.pump();
    return { heard, channel, pieces: cut(wire, [100_000]) };
  });
  // In turn, so that each takes the chunks that the others gave back; FakeChannel throws when bytes change.
  for (let isMore = true; isMore; ) {
    isMore = false;
    for (const { heard, channel, pieces } of lines) {
      channel.drain();
      const { value, done } = pieces.next();
      if (done) continue;
      isMore = true;
      heard.push([value]);
    }
  }
  for (const [index, { channel }] of lines.entries()) {
    while (channel.drain());
    expect(channel.bytes.equals(wires[index]!)).toBe(true);
  }
});

test('a message that is over is kept until those who write it are done', () => {
  const budget = new ReplayBudget({ perInstance: 4 * MIB, total: 4 * MIB });
  const wire = wireOf(messageOf(1, patterned(MIB), [131_072]));
  const [message] = new Heard({ budget }).push([wire]).messages;
  const channel = new FakeChannel(refusing([true]));
  const outbox = new Outbox(channel, 0, LISTENER);
  outbox.push(message!);
  message!.over();
  expect(budget.kept).toBeGreaterThan(0);
  while (channel.drain());
  expect(channel.bytes.equals(wire)).toBe(true);
  expect(budget.kept).toBe(0);
});

test('what still arrives of a message that nobody writes or wants any more is not kept', () => {
  const wire = wireOf(messageOf(1, patterned(4 * MIB), [131_072]));
  const heard = new Heard({ budget: new ReplayBudget({ perInstance: MIB, total: MIB }) });
  const outbox = new Outbox(new FakeChannel(), 0, LISTENER);
  heard.began = (message) => outbox.push(message);
  heard.pushed = () => outbox.pump();
  heard.push([wire.subarray(0, MIB)]);
  const [message] = heard.messages;
  message!.over();
  outbox.drop();
  heard.push(cut(wire.subarray(MIB), [65_536]));
  expect(heard.ended).toHaveLength(1);
  expect(chunksOf(message!)).toBe(0);
});

test.each([0, 7, 8, 16, 100, 16_384])(
  'a message of our own is whole for a receiver of %i bytes at most',
  (maxLength) => {
    const dataSet = patterned(5000);
    const command = {
      commandField: 0x8001,
      messageIdRespondedTo: 7,
      affectedSopClass: '1.2.840.10008.5.1.4.1.1.2',
      affectedSopInstance: '1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25',
      status: 0xa700,
      hasDataSet: true,
    };
    const message = Message.of(5, command, dataSet, maxLength);
    expect(message.isComplete).toBe(true);
    const [read, ...more] = readMessages(written(message));
    expect(more).toEqual([]);
    expect(read!.contextId).toBe(5);
    expect(read!.dataSet.equals(dataSet)).toBe(true);
  },
);

test('the fragments of a data set are put together again', () => {
  const dataSet = patterned(600_000);
  const budget = new ReplayBudget({ perInstance: 4 * MIB, total: 4 * MIB });
  const [message] = new Heard({ budget }).push([wireOf(messageOf(1, dataSet, [131_072, 10]))]).messages;
  expect(message!.dataSet().equals(dataSet)).toBe(true);
});
