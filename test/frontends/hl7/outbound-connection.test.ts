import { expect, test } from 'vitest';
import { encodeFrame } from '../../../protocols/hl7/mllp.ts';
import type { Break } from '../../../src/frontends/hl7/message-stream.ts';
import { acknowledgementOf, hl7Message } from '../../peers/hl7-messages.ts';
import { ANSWER_MS, contentOf, deliveryOf, type Stage, stage, TestStream } from './outbound-stage.ts';

const LONG = hl7Message({ controlId: 'LONG', length: 400_000 });

function streamOf(ending: 'end' | Break = 'end'): TestStream {
  return new TestStream(LONG, [262_144, 300_000, 360_000], ending);
}

function longDelivery(stream: TestStream) {
  return deliveryOf({ controlId: 'LONG' }, stream);
}

function answer({ channel }: Stage, controlId: string, code = 'AA'): void {
  channel.receive(encodeFrame(acknowledgementOf(hl7Message({ controlId }), code)));
}

/** What was told, without the messages themselves. */
function said({ told }: Stage): unknown[] {
  return told.map((one) => ({ ...one, delivery: one.delivery.controlId }));
}

// Streams.

test('a stream arrives as one frame, byte for byte, and its answer is matched', () => {
  const it = stage();
  const stream = streamOf();
  const delivery = longDelivery(stream);
  it.send(delivery);
  expect(it.channel.frames.map((frame) => frame.equals(LONG))).toEqual([true]);
  expect(delivery.length).toBe(LONG.length);
  answer(it, 'LONG');
  expect(said(it)).toEqual([{ what: 'answered', delivery: 'LONG', controlId: 'LONG' }]);
  expect(it.isGone).toBe(false);
});

test('back-pressure: a part is asked for only when the one before was taken', () => {
  const it = stage();
  it.channel.takesAtOnce = false;
  const stream = streamOf();
  it.send(longDelivery(stream));
  expect(stream.asked).toBe(0);
  it.channel.take(); // the start block
  expect(stream.asked).toBe(0);
  for (let part = 1; part <= 4; part++) {
    it.channel.take();
    expect(stream.asked).toBe(part);
  }
  it.channel.takeAll();
  expect(it.channel.frames[0]!.equals(LONG)).toBe(true);
});

test('a server that takes nothing for its answer time is given up, and only then', () => {
  const it = stage();
  it.channel.takesAtOnce = false;
  it.send(longDelivery(streamOf()));
  for (let part = 0; part < 4; part++) {
    it.clock.pass(ANSWER_MS - 1);
    expect(it.told).toEqual([]);
    // The start block is taken with the beginning.
    if (part === 0) it.channel.take();
    it.channel.take();
  }
  it.clock.pass(ANSWER_MS);
  const detail = 'the server did not take the message in time';
  expect(said(it)).toEqual([
    { what: 'lost', delivery: 'LONG', loss: { cause: 'timeout', whole: false, detail } },
  ]);
  expect(it.channel.ends).toEqual(['reset']);
});

test("a sender's pause is not the server's fault; its answer time begins with the end block", () => {
  const it = stage();
  const stream = streamOf();
  stream.isReady = false;
  it.send(longDelivery(stream));
  for (let i = 0; i < 4; i++) {
    it.clock.pass(10 * ANSWER_MS);
    stream.give();
  }
  it.clock.pass(ANSWER_MS - 1);
  expect(it.told).toEqual([]);
  it.clock.pass(1);
  const detail = 'the server did not answer in time';
  expect(said(it)).toEqual([
    { what: 'lost', delivery: 'LONG', loss: { cause: 'timeout', whole: true, detail } },
  ]);
});

test.each([
  'its sender left',
  'its sender began anew',
  'it is too long',
  'it is a repetition',
  'its body is damaged',
] as const)('a stream that breaks off (%s) never gets an end block: the connection is reset', (why) => {
  const it = stage();
  it.send(longDelivery(streamOf(why)));
  expect(it.channel.sent.length).toBe(1 + LONG.length);
  expect(it.channel.ends).toEqual(['reset']);
  expect(said(it)).toEqual([
    { what: 'lost', delivery: 'LONG', loss: { cause: 'broken', whole: false, detail: why } },
  ]);
});

test('a server lost in the middle of a stream: it was not whole; another gets it from its beginning', () => {
  const it = stage();
  const stream = streamOf();
  stream.isReady = false;
  const delivery = longDelivery(stream);
  it.send(delivery);
  stream.give();
  it.channel.lose();
  expect(it.told).toMatchObject([{ what: 'lost', loss: { cause: 'closed', whole: false } }]);
  // What was asked for comes late, for a connection that is gone.
  expect(stream.give()).toBe(true);
  expect(stream.rewind()).toBe(true);
  const other = stage();
  stream.isReady = true;
  other.send(delivery);
  expect(other.channel.frames[0]!.equals(LONG)).toBe(true);
  expect(delivery.length).toBe(LONG.length);
});

test('early answers: a server may refuse a message before it is whole, and what it has never becomes a message', () => {
  const it = stage();
  const stream = streamOf();
  stream.isReady = false;
  it.send(longDelivery(stream));
  stream.give();
  answer(it, 'LONG', 'AR');
  expect(said(it)).toEqual([{ what: 'answered', delivery: 'LONG', controlId: 'LONG' }]);
  expect(it.channel.ends).toEqual(['reset']);
  expect(stream.isCancelled).toBe(true);
  expect(stream.give()).toBe(false);
});

test('early answers: nobody can have accepted what is not whole', () => {
  const it = stage();
  const stream = streamOf();
  stream.isReady = false;
  it.send(longDelivery(stream));
  answer(it, 'LONG', 'AA');
  expect(it.told).toMatchObject([{ what: 'lost', loss: { cause: 'mismatch', whole: false } }]);
  expect(it.channel.ends).toEqual(['reset']);
});

test('early answers: one to another message is dropped', () => {
  const it = stage();
  const stream = streamOf();
  stream.isReady = false;
  it.send(longDelivery(stream));
  answer(it, 'OTHER', 'AR');
  expect(it.told).toEqual([]);
  while (stream.give());
  answer(it, 'LONG');
  expect(said(it)).toEqual([{ what: 'answered', delivery: 'LONG', controlId: 'LONG' }]);
});

test('a stream and a batch go alone, and one after another on one connection', () => {
  const it = stage({ pipeline: 4 });
  const [one, two] = [longDelivery(streamOf()), deliveryOf({ controlId: 'M2' })];
  it.send(one);
  expect(it.connection.takes(two)).toBe(false);
  answer(it, 'LONG');
  it.send(two);
  expect(it.connection.takes(deliveryOf({ controlId: 'M3' }))).toBe(true);
  expect(it.connection.takes(longDelivery(streamOf()))).toBe(false);
  answer(it, 'M2');
  const again = longDelivery(streamOf());
  it.send(again);
  answer(it, 'LONG');
  expect(it.channel.frames.map((frame) => frame.length)).toEqual([
    LONG.length,
    contentOf(two).length,
    LONG.length,
  ]);
  expect(it.told.map(({ what }) => what)).toEqual(['answered', 'answered', 'answered']);
});

// Several messages on one connection.

test('answers in the wrong order go to their messages', () => {
  const it = stage({ pipeline: 3 });
  const all = ['M1', 'M2', 'M3'].map((controlId) => deliveryOf({ controlId }));
  for (const one of all) it.send(one);
  expect(it.connection.takes(deliveryOf({ controlId: 'M4' }))).toBe(false);
  expect(it.channel.frames.map(String)).toEqual(all.map((one) => String(contentOf(one))));
  for (const controlId of ['M2', 'M3', 'M1']) answer(it, controlId);
  expect(said(it)).toEqual(
    ['M2', 'M3', 'M1'].map((id) => ({ what: 'answered', delivery: id, controlId: id })),
  );
  expect(it.connection.load).toBe(0);
});

test('answered twice: the second is dropped, whatever else is on its way', () => {
  const it = stage({ pipeline: 2 });
  for (const controlId of ['M1', 'M2']) it.send(deliveryOf({ controlId }));
  answer(it, 'M1');
  it.send(deliveryOf({ controlId: 'M3' }));
  answer(it, 'M2');
  answer(it, 'M1');
  answer(it, 'M2');
  answer(it, 'M3');
  expect(it.told.map(({ what, delivery }) => [what, delivery.controlId])).toEqual([
    ['answered', 'M1'],
    ['answered', 'M2'],
    ['answered', 'M3'],
  ]);
});

test('answered twice, and cut to twenty characters', () => {
  const it = stage({ pipeline: 2, ackMatch: 'prefix20' });
  it.send(deliveryOf({ controlId: 'TWENTY-CHARACTERS-AND-MORE' }));
  it.send(deliveryOf({ controlId: 'M2' }));
  for (const controlId of ['TWENTY-CHARACTERS-AN', 'TWENTY-CHARACTERS-AN', 'M2']) answer(it, controlId);
  expect(it.told.map(({ what }) => what)).toEqual(['answered', 'answered']);
});

test('a message that was not answered in time takes all others with it; it alone is to blame', () => {
  const it = stage({ pipeline: 3 });
  it.send(deliveryOf({ controlId: 'M1' }));
  it.clock.pass(ANSWER_MS / 2);
  it.channel.takesAtOnce = false;
  for (const controlId of ['M2', 'M3']) it.send(deliveryOf({ controlId }));
  it.channel.take();
  it.clock.pass(ANSWER_MS / 2);
  expect(it.told.map((one) => [one.delivery.controlId, one.what === 'lost' && one.loss.cause])).toEqual([
    ['M1', 'timeout'],
    ['M2', 'closed'],
    ['M3', 'closed'],
  ]);
  expect(it.told.map((one) => one.what === 'lost' && one.loss.whole)).toEqual([true, true, false]);
  expect(it.channel.ends).toEqual(['reset']);
  // Each has its bytes, to go once more.
  for (const { delivery } of it.told) {
    expect(delivery.content.equals(contentOf(delivery))).toBe(true);
  }
});

test('the answer time of each message counts for itself', () => {
  const it = stage({ pipeline: 3 });
  for (let i = 0; i < 10; i++) {
    it.send(deliveryOf({ controlId: `M${i}` }));
    if (i > 0) answer(it, `M${i - 1}`);
    it.clock.pass(ANSWER_MS - 1);
  }
  expect(it.told.every(({ what }) => what === 'answered')).toBe(true);
  it.clock.pass(1);
  expect(it.told.at(-1)).toMatchObject({ what: 'lost', loss: { cause: 'timeout', whole: true } });
});

test.each([
  ['another message', acknowledgementOf(hl7Message({ controlId: 'OTHER' }))],
  ['garbage', Buffer.from('?')],
  ['a byte that release 2 knows', Buffer.of(0x06)],
])('%s as answer: the connection is reset, all messages on it are lost', (_, content) => {
  const it = stage({ pipeline: 2 });
  for (const controlId of ['M1', 'M2']) it.send(deliveryOf({ controlId }));
  it.channel.receive(encodeFrame(content));
  expect(it.told.map((one) => one.what === 'lost' && one.loss.cause)).toEqual(['mismatch', 'closed']);
  expect(it.channel.ends).toEqual(['reset']);
});

test('messages with one control id, or one that is cut to the same, are never on their way together', () => {
  const long = (end: string) => deliveryOf({ controlId: `TWENTY-CHARACTERS-AND${end}` });
  const strict = stage({ pipeline: 2 });
  strict.send(deliveryOf({ controlId: '1' }));
  expect(strict.connection.takes(deliveryOf({ controlId: '1', sendingApp: 'OTHER' }))).toBe(false);
  const cut = stage({ pipeline: 2, ackMatch: 'prefix20' });
  cut.send(long('1'));
  expect(cut.connection.takes(long('2'))).toBe(false);
  const byPosition = stage({ pipeline: 2, ackMatch: 'position' });
  byPosition.send(deliveryOf({ controlId: '1' }));
  expect(byPosition.connection.takes(deliveryOf({ controlId: '2' }))).toBe(false);
});

test('NE/NE: sent is done, while another message waits for its answer', async () => {
  const it = stage({ pipeline: 2 });
  it.send(deliveryOf({ controlId: 'M1' }));
  it.send(deliveryOf({ controlId: 'M2', acceptAcknowledgement: 'NE', applicationAcknowledgement: 'NE' }));
  await new Promise(setImmediate);
  expect(said(it)).toEqual([{ what: 'unconfirmed', delivery: 'M2' }]);
  answer(it, 'M1');
  answer(it, 'M2', 'AE');
  expect(said(it).slice(1)).toEqual([
    { what: 'answered', delivery: 'M1', controlId: 'M1' },
    { what: 'answered later', delivery: 'M2' },
  ]);
});

test('CA, then the answer of the application, among the answers to others', () => {
  const it = stage({ pipeline: 2 });
  it.send(deliveryOf({ controlId: 'M1', acceptAcknowledgement: 'AL', applicationAcknowledgement: 'AL' }));
  it.send(deliveryOf({ controlId: 'M2' }));
  answer(it, 'M1', 'CA');
  it.send(deliveryOf({ controlId: 'M3' }));
  answer(it, 'M1', 'AA');
  answer(it, 'M3');
  answer(it, 'M2');
  expect(it.told.map(({ what, delivery }) => `${what} ${delivery.controlId}`)).toEqual([
    'answered M1',
    'answered later M1',
    'answered M3',
    'answered M2',
  ]);
});

test('the sender gave up on one of several: it is a time-out of that one', () => {
  const it = stage({ pipeline: 2 });
  const [one, two] = [deliveryOf({ controlId: 'M1' }), deliveryOf({ controlId: 'M2' })];
  it.send(one);
  it.send(two);
  it.connection.giveUp(two);
  expect(it.told.map((told) => told.what === 'lost' && told.loss.cause)).toEqual(['closed', 'timeout']);
});

test('the bytes of a message that is still being written stay as they are when it was answered already', () => {
  const it = stage();
  it.channel.takesAtOnce = false;
  const one = deliveryOf({ controlId: 'M1' });
  it.send(one);
  answer(it, 'M1');
  const two = deliveryOf({ controlId: 'M2' });
  it.send(two);
  it.channel.takeAll();
  expect(it.channel.frames.map(String)).toEqual([String(contentOf(one)), String(contentOf(two))]);
  it.channel.lose();
  expect(it.told.at(-1)).toMatchObject({ what: 'lost', loss: { whole: true } });
});
