/**
 * Bad input, receivers: that answer twice, late, in the wrong order, with CA only, with garbage, or never; what
 * each kind of loss means for other servers; and which answers a sender asked for. Further cases of the same words:
 * acknowledgements, late-answers, ambiguous, servers, pipelining, outbound-connection.
 */
import { describe, expect, test } from 'vitest';
import { acknowledgementOf, hl7Message, type MessageOptions } from '../../peers/hl7-messages.ts';
import {
  answering,
  connectSender,
  mllpFrame,
  type ReceiverScript,
  readAnswers,
  silent,
} from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { silentPort } from '../tcp/silent-port.ts';
import { holding } from './holding.ts';
import { hasty, patience, type Sketch, startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const message = (controlId: string, options: Partial<MessageOptions> = {}) =>
  hl7Message({ controlId, patient: controlId, ...options });
const enhanced = (accept: string, application: string) => ({
  acceptAcknowledgement: accept,
  applicationAcknowledgement: application,
});
const ONE = { connections: 1 };

async function startOver(script: ReceiverScript, hl7: Sketch['hl7'] = {}, connections?: typeof ONE) {
  const receiver = await receiverFor(script);
  const pools = { main: { servers: [receiver.address], ...connections } };
  return { receiver, hl7: await startHl7({ pools, hl7: { ...hl7 } }) };
}

describe('receivers that answer', () => {
  test.each(['strict', 'prefix20', 'position'] as const)(
    'twice, ackMatch %s: each message gets its own answer, once',
    async (ackMatch) => {
      // The second answer comes when the next message is there.
      let before: Buffer | undefined;
      const started = await startOver(
        async ({ bytes }, connection) => {
          if (before) await connection.write(before);
          before = acknowledgementOf(bytes);
          await connection.write(before);
        },
        { ackMatch },
        ONE,
      );
      await using hl7 = started.hl7;
      const sender = await connectSender(hl7.address);
      const ids = ['M1', 'M2', 'M3', 'M4'];
      for (const id of ids) await sender.write(message(id));
      expect(await readAnswers(sender, 4)).toEqual(ids.map((id) => `AA ${id}`));
      sender.end();
      expect(await sender.read()).toBeUndefined();
      expect(hl7.messages.items.map(({ outcome }) => outcome)).toEqual(ids.map(() => 'delivered'));
      expect(started.receiver.connections.length).toBe(1);
    },
  );

  test('twice, and with another word: the first counts', async () => {
    const { hl7: started } = await startOver(async ({ bytes }, connection) => {
      await connection.write(acknowledgementOf(bytes, 'AE'));
      await connection.write(acknowledgementOf(bytes, 'AA'));
    });
    await using hl7 = started;
    const sender = await connectSender(hl7.address);
    await sender.write(message('M1'));
    await sender.write(message('M2'));
    expect(await readAnswers(sender, 2)).toEqual(['AE M1', 'AE M2']);
  });

  test('late, when the sender has sent it again: the old answer went with its connection', async () => {
    const gate = createGate();
    const { receiver, hl7: started } = await startOver(
      ({ bytes }, connection) =>
        void gate.opened.then(() => connection.write(acknowledgementOf(bytes, 'AE'))),
      { senderTimeout: patience(300), onAmbiguous: 'fail' },
    );
    await using hl7 = started;
    expect(await (await connectSender(hl7.address)).send(message('M1'))).toBeUndefined();
    // Now it may take its time.
    const { options } = hl7;
    hl7.frontEnd.reconfigure({ ...options, hl7: { ...options.hl7, senderTimeout: patience(20_000) } });
    receiver.script = answering('AA');
    const again = await connectSender(hl7.address);
    await again.write(message('M1'));
    gate.open();
    expect(await readAnswers(again, 1)).toEqual(['AA M1']);
    again.end();
    expect(await again.read()).toBeUndefined();
  });

  test('in the wrong order: on connections that carry other messages they are nobody’s', async () => {
    const { held, receivers } = await holding(1);
    await using hl7 = await startHl7({
      pools: { main: { servers: [receivers[0]!.address], connections: 2 } },
    });
    const senders = [await connectSender(hl7.address), await connectSender(hl7.address)];
    for (const [index, id] of ['M1', 'M2'].entries()) await senders[index]!.write(message(id));
    const [one, two] = await held.count(2);
    await one!.connection.write(acknowledgementOf(two!.received.bytes));
    await two!.connection.write(acknowledgementOf(one!.received.bytes));
    // Both connections are reset; each message comes once more, and this time is answered rightly.
    await held.count(4);
    for (const { connection, received } of held.items.slice(2)) {
      await connection.write(acknowledgementOf(received.bytes));
    }
    expect(await readAnswers(senders[0]!, 1)).toEqual(['AA M1']);
    expect(await readAnswers(senders[1]!, 1)).toEqual(['AA M2']);
    expect(hl7.messages.items.map(({ outcome, attempts }) => [outcome, attempts])).toEqual([
      ['maybe twice', 2],
      ['maybe twice', 2],
    ]);
  });

  test('in the wrong order, of their applications: each comes to its sender', async () => {
    const gate = createGate();
    const owed: (() => Promise<void>)[] = [];
    const { hl7: started } = await startOver(
      async ({ bytes }, connection) => {
        await connection.write(acknowledgementOf(bytes, 'CA'));
        owed.unshift(() => connection.write(acknowledgementOf(bytes, 'AA')));
        if (owed.length === 3) void gate.opened.then(() => Promise.all(owed.map((one) => one())));
      },
      {},
      ONE,
    );
    await using hl7 = started;
    const senders = await Promise.all([1, 2, 3].map(() => connectSender(hl7.address)));
    for (const [index, sender] of senders.entries()) {
      await sender.write(message(`M${index}`, enhanced('AL', 'AL')));
      expect(await readAnswers(sender, 1)).toEqual([`CA M${index}`]);
    }
    gate.open();
    for (const [index, sender] of senders.entries())
      expect(await readAnswers(sender, 1)).toEqual([`AA M${index}`]);
  });

  test.each([
    ['original mode', {}],
    ['MSH-15 AL, MSH-16 NE', enhanced('AL', 'NE')],
    ['MSH-15 AL, MSH-16 AL', enhanced('AL', 'AL')],
  ])('with CA only, %s: it is relayed, and the message goes nowhere else', async (_, mode) => {
    const [one, two] = [await receiverFor(answering('CA')), await receiverFor()];
    await using hl7 = await startHl7({
      pools: { main: { servers: [one.address, two.address], balance: 'first', connections: 1 } },
      hl7: { onAmbiguous: 'any' },
    });
    const sender = await connectSender(hl7.address);
    for (const id of ['M1', 'M2']) {
      await sender.write(message(id, mode));
      expect(await readAnswers(sender, 1)).toEqual([`CA ${id}`]);
    }
    for (const { connection } of one.connections.items) connection.reset();
    await (await connectSender(hl7.address)).send(message('M3', mode));
    expect([one.messages.length, two.messages.length]).toEqual([3, 0]);
    expect(hl7.messages.items.map(({ outcome, acknowledgement }) => `${outcome} ${acknowledgement}`)).toEqual(
      ['delivered CA', 'delivered CA', 'delivered CA'],
    );
  });

  const right = (bytes: Buffer) => mllpFrame(acknowledgementOf(bytes));
  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['between frames', (bytes) => Buffer.concat([Buffer.from('\r\n\0 hello \x1c\r'), right(bytes)])],
    [
      'before a frame that begins anew',
      (bytes) => Buffer.concat([right(bytes).subarray(0, 20), right(bytes)]),
    ],
    ['behind the answer', (bytes) => Buffer.concat([right(bytes), Buffer.from('\r\nbye\r\n')])],
  ])('with garbage %s: the answer is found', async (_, garbled) => {
    const { hl7: started } = await startOver(
      ({ bytes }, { connection }) => connection.write(garbled(bytes)),
      {},
      ONE,
    );
    await using hl7 = started;
    const sender = await connectSender(hl7.address);
    for (const id of ['M1', 'M2', 'M3']) {
      await sender.write(message(id));
      expect(await readAnswers(sender, 1)).toEqual([`AA ${id}`]);
    }
  });

  test.each<[string, Buffer, string]>([
    ['in a frame', mllpFrame(Buffer.from('garbage')), 'the server answered without MSA'],
    ['in an empty frame', mllpFrame(Buffer.alloc(0)), 'the server answered without MSA'],
    [
      'of another protocol',
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      'the server did not answer in time',
    ],
    ['without end', Buffer.alloc(300_000, '?'), 'the server sent a frame that is too long'],
  ])('with garbage %s: it is nobody’s answer', async (_, garbage, detail) => {
    const { receiver, hl7: started } = await startOver(
      ({ controlId }, { connection }) => {
        if (controlId === 'M1') return connection.write(garbage);
        return connection.write(mllpFrame(acknowledgementOf(message(controlId))));
      },
      { senderTimeout: hasty(1500) },
    );
    await using hl7 = started;
    const sender = await connectSender(hl7.address);
    expect(await sender.send(message('M1', { sendingApp: 'HASTY' }))).toBeUndefined();
    expect(hl7.messages.items[0]).toMatchObject({ outcome: 'failed', acknowledgement: undefined, detail });
    for (const { ending } of receiver.connections.items.map(({ connection }) => connection)) {
      expect(await ending).toBe('reset');
    }
    const next = await connectSender(hl7.address);
    await next.write(message('M2'));
    expect(await readAnswers(next, 1)).toEqual(['AA M2']);
  });

  test('never: what waits behind is decided in its own time, and nobody is told of success', async () => {
    const { receiver, hl7: started } = await startOver(silent(), { senderTimeout: patience(300) }, ONE);
    await using hl7 = started;
    const senders = await Promise.all([1, 2, 3].map(() => connectSender(hl7.address)));
    await Promise.all(senders.map((sender, index) => sender.write(message(`M${index}`))));
    for (const sender of senders) expect(await sender.read()).toBeUndefined();
    const outcomes = hl7.messages.items.map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome !== 'failed' && outcome !== 'unavailable')).toEqual([]);
    expect(receiver.messages.length).toBeGreaterThan(0);
  });
});

test('a server that does not take connections in time: the next one gets the message', async () => {
  const two = await receiverFor();
  await using hl7 = await startHl7({
    pools: { main: { servers: [await silentPort(), two.address], balance: 'first' } },
    hl7: { timeouts: { connect: 200, stall: 60_000, idle: undefined } },
  });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  expect(await readAnswers(sender, 1)).toEqual(['AA M1']);
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'delivered', attempts: 2, server: 'main-2' });
});

test('TLS fails: nothing was sent, and the next one is asked', async () => {
  const [plain, two] = [await receiverFor(), await receiverFor()];
  await using hl7 = await startHl7({
    pools: { main: { servers: [plain.address, two.address], balance: 'first' } },
    more: { links: new Map([['main', { tls: { verify: false }, connectTimeout: 300 }]]) },
  });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  // Neither speaks TLS: both were asked, and neither got anything of the message.
  expect(await readAnswers(sender, 1)).toEqual(['closed']);
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'unavailable', attempts: 2 });
});

describe('which answers the sender asked for', () => {
  const inTurn =
    (...codes: string[]): ReceiverScript =>
    async ({ bytes }, connection) => {
      for (const code of codes) await connection.write(acknowledgementOf(bytes, code));
    };

  test.each([
    ['NE', 'AL', ['AA'], ['AA M1']],
    ['NE', 'AL', ['AE'], ['AE M1']],
    ['AL', 'NE', ['CA'], ['CA M1']],
    ['AL', 'NE', ['CE'], ['CE M1']],
    ['AL', 'AL', ['CA', 'AA'], ['CA M1', 'AA M1']],
    ['AL', 'AL', ['CA', 'AE'], ['CA M1', 'AE M1']],
    ['AL', 'AL', ['CR'], ['CR M1']],
    ['AL', 'AL', ['AA'], ['AA M1']],
    ['AL', 'ER', ['CA', 'AE'], ['CA M1', 'AE M1']],
    ['SU', 'NE', ['CA'], ['CA M1']],
    ['ER', 'AL', ['AA'], ['AA M1']],
    ['ER', 'ER', ['CE'], ['CE M1']],
  ])('MSH-15 %s, MSH-16 %s, the server says %j', async (accept, application, says, hears) => {
    const { receiver, hl7: started } = await startOver(inTurn(...says));
    await using hl7 = started;
    const sender = await connectSender(hl7.address);
    await sender.write(message('M1', enhanced(accept, application)));
    expect(await readAnswers(sender, hears.length)).toEqual(hears);
    sender.end();
    expect(await sender.read()).toBeUndefined();
    expect(receiver.messages.length).toBe(1);
    expect(hl7.messages.items[0]).toMatchObject({
      outcome: 'delivered',
      acknowledgement: says[0],
      attempts: 1,
    });
  });

  test('the connection to the server breaks after CA: the sender that waits for AA is not kept waiting', async () => {
    const { hl7: started } = await startOver(async ({ bytes }, connection) => {
      await connection.write(acknowledgementOf(bytes, 'CA'));
      connection.connection.reset();
    });
    await using hl7 = started;
    const sender = await connectSender(hl7.address);
    await sender.write(message('M1', enhanced('AL', 'AL')));
    expect(await readAnswers(sender, 1)).toEqual(['CA M1']);
    await hl7.notices.find((one) => one.message.includes('its application never answered'));
    sender.end();
    expect(await sender.read()).toBeUndefined();
  });
});
