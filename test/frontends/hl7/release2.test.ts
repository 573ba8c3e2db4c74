/** MLLP release 2 towards servers: their commit acknowledgements, and ours. */
import { expect, test } from 'vitest';
import { encodeFrame } from '../../../protocols/hl7/mllp.ts';
import { acknowledgementOf, hl7Message } from '../../peers/hl7-messages.ts';
import { ANSWER_MS, contentOf, deliveryOf, type Stage, stage, TestStream } from './outbound-stage.ts';

const COMMITTED = encodeFrame(Buffer.of(0x06));
const NOT_COMMITTED = encodeFrame(Buffer.of(0x15));

function answer({ channel }: Stage, controlId: string, code = 'AA'): void {
  channel.receive(encodeFrame(acknowledgementOf(hl7Message({ controlId }), code)));
}

function sent({ channel }: Stage): string[] {
  return channel.frames.map((frame) => (frame.length === 1 ? frame.toString('hex') : 'a message'));
}

test('06, then the answer of HL7, which we commit in turn', () => {
  const it = stage({ release2: true });
  const delivery = deliveryOf({ controlId: 'M1' });
  it.send(delivery);
  it.channel.receive(COMMITTED);
  expect(delivery.committed).toBe(true);
  expect(it.told).toEqual([]);
  answer(it, 'M1');
  expect(it.told).toMatchObject([{ what: 'answered', controlId: 'M1' }]);
  expect(sent(it)).toEqual(['a message', '06']);
});

test('15: nothing was stored; the message may go elsewhere with its bytes, the connection stays', () => {
  const it = stage({ release2: true });
  const [one, two] = [deliveryOf({ controlId: 'M1' }), deliveryOf({ controlId: 'M2' })];
  it.send(one);
  it.channel.receive(NOT_COMMITTED);
  expect(it.told).toMatchObject([{ what: 'not committed' }]);
  expect(one.committed).toBe(false);
  it.send(two);
  expect(one.content.equals(contentOf(one))).toBe(true);
  it.channel.receive(COMMITTED);
  answer(it, 'M2');
  expect(it.told).toMatchObject([{ what: 'not committed' }, { what: 'answered', controlId: 'M2' }]);
  expect(it.isGone).toBe(false);
});

test('NE/NE: 06 is the end, and without it the server is late', () => {
  const nobodyAsks = { acceptAcknowledgement: 'NE', applicationAcknowledgement: 'NE' };
  const it = stage({ release2: true });
  it.send(deliveryOf({ controlId: 'M1', ...nobodyAsks }));
  expect(it.told).toEqual([]);
  it.channel.receive(COMMITTED);
  expect(it.told).toMatchObject([{ what: 'unconfirmed' }]);
  it.send(deliveryOf({ controlId: 'M2', ...nobodyAsks }));
  it.clock.pass(ANSWER_MS);
  expect(it.told[1]).toMatchObject({ what: 'lost', loss: { cause: 'timeout', whole: true } });
});

test('ER/ER: silence after 06 is success, silence before it is none', () => {
  const onError = { acceptAcknowledgement: 'ER', applicationAcknowledgement: 'ER' };
  const it = stage({ release2: true });
  it.send(deliveryOf({ controlId: 'M1', ...onError }));
  it.channel.receive(COMMITTED);
  it.clock.pass(ANSWER_MS);
  it.send(deliveryOf({ controlId: 'M2', ...onError }));
  it.clock.pass(ANSWER_MS);
  expect(it.told).toMatchObject([{ what: 'unconfirmed' }, { what: 'lost', loss: { cause: 'timeout' } }]);
});

test('lost after 06: the server has it', () => {
  const it = stage({ release2: true });
  const delivery = deliveryOf({ controlId: 'M1' });
  it.send(delivery);
  it.channel.receive(COMMITTED);
  it.channel.lose();
  expect(it.told).toMatchObject([{ what: 'lost', loss: { cause: 'closed', whole: true } }]);
  expect(delivery.committed).toBe(true);
});

test('the answer before the 06: that is not taken for the commitment of the next message', () => {
  const it = stage({ release2: true });
  const [one, two] = [deliveryOf({ controlId: 'M1' }), deliveryOf({ controlId: 'M2' })];
  it.send(one);
  answer(it, 'M1');
  it.send(two);
  it.channel.receive(COMMITTED);
  expect(two.committed).toBe(false);
  it.channel.receive(COMMITTED);
  expect(two.committed).toBe(true);
});

test('nothing new is sent before what was sent is committed', () => {
  const it = stage({ release2: true, pipeline: 3 });
  const [one, two, three] = ['M1', 'M2', 'M3'].map((controlId) => deliveryOf({ controlId }));
  it.send(one!);
  expect(it.connection.takes(two!)).toBe(false);
  it.channel.receive(COMMITTED);
  expect(it.connection.takes(two!)).toBe(true);
  it.send(two!);
  it.channel.receive(NOT_COMMITTED);
  it.send(three!);
  answer(it, 'M1');
  answer(it, 'M3');
  expect(it.told.map(({ what, delivery }) => `${what} ${delivery.controlId}`)).toEqual([
    'not committed M2',
    'answered M1',
    'answered M3',
  ]);
});

test('what nobody asked for is not committed; what comes again is', () => {
  const it = stage({ release2: true });
  it.send(deliveryOf({ controlId: 'M1' }));
  it.channel.receive(COMMITTED);
  answer(it, 'M1');
  answer(it, 'M1');
  answer(it, 'OTHER');
  it.channel.receive(COMMITTED);
  expect(sent(it)).toEqual(['a message', '06', '06', '15']);
  expect(it.isGone).toBe(false);
});

test('a commitment of ours never stands inside a stream', () => {
  const it = stage({ release2: true });
  const long = hl7Message({ controlId: 'LONG', length: 300_000 });
  const stream = new TestStream(long, [262_144, 280_000]);
  it.send(deliveryOf({ controlId: 'M1', acceptAcknowledgement: 'AL', applicationAcknowledgement: 'AL' }));
  it.channel.receive(COMMITTED);
  answer(it, 'M1', 'CA');
  stream.isReady = false;
  it.send(deliveryOf({ controlId: 'LONG' }, stream));
  stream.give();
  answer(it, 'M1', 'AA');
  while (stream.give());
  it.channel.receive(COMMITTED);
  answer(it, 'LONG');
  expect(it.told.map(({ what, delivery }) => `${what} ${delivery.controlId}`)).toEqual([
    'answered M1',
    'answered later M1',
    'answered LONG',
  ]);
  expect(it.channel.frames[2]!.equals(long)).toBe(true);
  expect(sent(it)).toEqual(['a message', '06', 'a message', '06', '06']);
});

test('15 in the middle of a stream: the rest is not sent, the connection is reset', () => {
  const it = stage({ release2: true });
  const stream = new TestStream(hl7Message({ controlId: 'LONG', length: 300_000 }), [262_144]);
  stream.isReady = false;
  it.send(deliveryOf({ controlId: 'LONG' }, stream));
  it.channel.receive(NOT_COMMITTED);
  expect(it.told).toMatchObject([{ what: 'lost', loss: { cause: 'closed', whole: false } }]);
  expect(it.channel.ends).toEqual(['reset']);
});

test('06 in the middle of a stream: nobody can have committed what is not whole', () => {
  const it = stage({ release2: true });
  const stream = new TestStream(hl7Message({ controlId: 'LONG', length: 300_000 }), [262_144]);
  stream.isReady = false;
  const delivery = deliveryOf({ controlId: 'LONG' }, stream);
  it.send(delivery);
  it.channel.receive(COMMITTED);
  expect(it.told).toMatchObject([{ what: 'lost', loss: { cause: 'mismatch', whole: false } }]);
  expect(delivery.committed).toBe(false);
});
