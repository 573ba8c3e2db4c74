/** Which answer belongs to which message, and which answers a sender asked for (MSH-15, MSH-16). */
import { expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message, type MessageOptions } from '../../peers/hl7-messages.ts';
import {
  answering,
  answeringLate,
  answeringWith,
  answeringWithoutMsa,
  answeringWrongId,
  connectSender,
  type MllpConnection,
  type ReceiverScript,
  readAnswers,
  silent,
} from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { hasty, patience, startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const message = (controlId: string, options: Partial<MessageOptions> = {}) =>
  hl7Message({ controlId, ...options });

/** Answers with each of `codes`, in order. */
function answeringAll(...codes: string[]): ReceiverScript {
  return async ({ bytes }, connection: MllpConnection) => {
    for (const code of codes) await connection.write(acknowledgementOf(bytes, code));
  };
}

test('wrong MSA-2: never relayed, the connection is destroyed, the message is sent once more and given up', async () => {
  const receiver = await receiverFor(answeringWrongId());
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  expect(await sender.send(message('M1'))).toBeUndefined();
  expect(receiver.messages.items.map(({ controlId, connection }) => [controlId, connection])).toEqual([
    ['M1', 0],
    ['M1', 1],
  ]);
  expect(hl7.messages.items[0]).toMatchObject({
    outcome: 'failed',
    attempts: 2,
    acknowledgement: undefined,
    detail: 'MSA-2 of the answer is not the MSH-10',
  });
});

test('missing MSA-2: not taken for an answer, unless ackMatch is position', async () => {
  const receiver = await receiverFor(answeringWrongId(''));
  const pools = { main: { servers: [receiver.address] } };
  await using strict = await startHl7({ pools });
  expect(await (await connectSender(strict.address)).send(message('M1'))).toBeUndefined();
  expect(strict.messages.items[0]).toMatchObject({ outcome: 'failed', detail: 'the answer has no MSA-2' });

  await using position = await startHl7({ pools, hl7: { ackMatch: 'position' } });
  const answer = await (await connectSender(position.address)).send(message('M2'));
  expect(fieldOf(answer!, 'MSA', 1)).toBe('AA');
});

test('missing MSA: as a wrong answer, whatever ackMatch says', async () => {
  const receiver = await receiverFor(answeringWithoutMsa());
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    hl7: { ackMatch: 'position' },
  });
  expect(await (await connectSender(hl7.address)).send(message('M1'))).toBeUndefined();
  expect(hl7.messages.items[0]).toMatchObject({
    outcome: 'failed',
    detail: 'the server answered without MSA',
  });
});

test('ackMatch prefix20: a receiver may cut MSH-10 to 20 characters', async () => {
  const controlId = 'A-CONTROL-ID-OF-MORE-THAN-20-CHARACTERS';
  const receiver = await receiverFor(answeringWrongId(controlId.slice(0, 20)));
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    hl7: { ackMatch: 'prefix20' },
  });
  const answer = await (await connectSender(hl7.address)).send(message(controlId));
  expect(fieldOf(answer!, 'MSA', 2)).toBe(controlId.slice(0, 20));
});

test('late answers never meet another message: the connection is destroyed at the time-out', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answeringLate(gate));
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address], connections: 1 } },
    hl7: { senderTimeout: hasty(300), onAmbiguous: 'fail' },
  });
  const first = await connectSender(hl7.address);
  expect(await first.send(message('M1', { sendingApp: 'HASTY' }))).toBeUndefined();
  receiver.script = answering();
  const second = await connectSender(hl7.address);
  await second.write(message('M2'));
  gate.open();
  expect(await readAnswers(second, 1)).toEqual(['AA M2']);
  expect(receiver.messages.items.map(({ connection }) => connection)).toEqual([0, 1]);
  const [connection] = await receiver.connections.count(1);
  expect(await connection!.connection.ending).toBe('reset');
});

test('an answer before its message was sent is not taken for it', async () => {
  const receiver = await receiverFor(async ({ bytes, controlId }, connection) => {
    await connection.write(acknowledgementOf(bytes));
    // Answers a second time, and a message that nobody sent.
    await connection.write(acknowledgementOf(bytes));
    await connection.write(acknowledgementOf(bytes, 'AA', `${controlId}-NEXT`));
  });
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 1 } } });
  const sender = await connectSender(hl7.address);
  expect(fieldOf((await sender.send(message('M1')))!, 'MSA', 2)).toBe('M1');
  await hl7.notices.find(({ message }) => message === 'a server sent what nobody asked for');
  await hl7.notices.find(({ message }) => message === 'a server answered a message twice');
  expect(fieldOf((await sender.send(message('M2')))!, 'MSA', 2)).toBe('M2');
});

test.each(['AE', 'AR', 'CE', 'CR'])('%s is relayed, and no other server gets the message', async (code) => {
  const [one, two] = [await receiverFor(answering(code)), await receiverFor(answering(code))];
  await using hl7 = await startHl7({ pools: { main: { servers: [one.address, two.address] } } });
  const sender = await connectSender(hl7.address);
  expect(fieldOf((await sender.send(message('M1')))!, 'MSA', 1)).toBe(code);
  expect(one.messages.length + two.messages.length).toBe(1);
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'delivered', acknowledgement: code, attempts: 1 });
  expect(hl7.pools.main!.servers.map(({ totals }) => totals.failures)).toEqual([0, 0]);
});

test('a pipelining sender gets its answers in the order in which it sent', async () => {
  const gate = createGate();
  const receiver = await receiverFor(({ bytes, controlId }, connection) => {
    const held = controlId === 'M1' ? gate.opened : Promise.resolve();
    void held.then(() => connection.write(acknowledgementOf(bytes)));
  });
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  for (const patient of [1, 2, 3, 4])
    await sender.write(message(`M${patient}`, { patient: `INV${patient}` }));
  await hl7.messages.count(3);
  expect(hl7.messages.items.map(({ controlId }) => controlId)).not.toContain('M1');
  gate.open();
  expect(await readAnswers(sender, 4)).toEqual(['AA M1', 'AA M2', 'AA M3', 'AA M4']);
});

const enhanced = (accept: string, application: string) => ({
  acceptAcknowledgement: accept,
  applicationAcknowledgement: application,
});

test('MSH-15 AL, MSH-16 AL: CA at once, then the answer of the application', async () => {
  const gate = createGate();
  const receiver = await receiverFor(async ({ bytes }, connection) => {
    await connection.write(acknowledgementOf(bytes, 'CA'));
    void gate.opened.then(() => connection.write(acknowledgementOf(bytes, 'AA')));
  });
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 1 } } });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1', enhanced('AL', 'AL')));
  expect(await readAnswers(sender, 1)).toEqual(['CA M1']);
  // The connection is free for the next message, and what is owed finds its way.
  await sender.write(message('M2', enhanced('AL', 'NE')));
  expect(await readAnswers(sender, 1)).toEqual(['CA M2']);
  gate.open();
  expect(await readAnswers(sender, 1)).toEqual(['AA M1']);
  expect(receiver.messages.items.map(({ connection }) => connection)).toEqual([0, 0]);
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'delivered', acknowledgement: 'CA', attempts: 1 });
});

test('an application answer that is owed comes to its own sender, also behind its FIN', async () => {
  const gates = new Map(['M1', 'M2'].map((id) => [id, createGate()]));
  const receiver = await receiverFor(async ({ bytes, controlId }, connection) => {
    await connection.write(acknowledgementOf(bytes, 'CA'));
    void gates.get(controlId)!.opened.then(() => connection.write(acknowledgementOf(bytes, 'AA')));
  });
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 1 } } });
  const [first, second] = [await connectSender(hl7.address), await connectSender(hl7.address)];
  expect(fieldOf((await first.send(message('M1', enhanced('AL', 'AL'))))!, 'MSA', 1)).toBe('CA');
  expect(fieldOf((await second.send(message('M2', enhanced('AL', 'AL'))))!, 'MSA', 1)).toBe('CA');
  first.end();
  gates.get('M2')!.open();
  expect(await readAnswers(second, 1)).toEqual(['AA M2']);
  gates.get('M1')!.open();
  expect(await readAnswers(first, 2)).toEqual(['AA M1', 'closed']);
});

test('an application answer for a sender that has left goes to the audit, and completes nothing else', async () => {
  const gate = createGate();
  const receiver = await receiverFor(async ({ bytes, controlId }, connection) => {
    await connection.write(acknowledgementOf(bytes, 'CA'));
    if (controlId === 'M1') void gate.opened.then(() => connection.write(acknowledgementOf(bytes, 'AE')));
  });
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 1 } } });
  const first = await connectSender(hl7.address);
  await first.send(message('M1', enhanced('AL', 'AL')));
  first.connection.reset();
  const second = await connectSender(hl7.address);
  expect(fieldOf((await second.send(message('M2', enhanced('AL', 'NE'))))!, 'MSA', 1)).toBe('CA');
  gate.open();
  const audit = await hl7.notices.find(
    ({ message }) => message === 'an answer came for a sender that has left',
  );
  expect(audit.fields).toMatchObject({ controlId: 'M1', code: 'AE' });
});

test('after CA the message never goes elsewhere, whatever becomes of its server', async () => {
  const one = await receiverFor(async ({ bytes }, connection) => {
    await connection.write(acknowledgementOf(bytes, 'CA'));
    connection.connection.end();
  });
  const two = await receiverFor();
  await using hl7 = await startHl7({
    pools: { main: { servers: [one.address, two.address], balance: 'first' } },
    hl7: { onAmbiguous: 'any' },
  });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1', enhanced('AL', 'AL')));
  expect(await readAnswers(sender, 1)).toEqual(['CA M1']);
  await hl7.notices.find(({ message }) => message.includes('its application never answered'));
  expect(one.messages.length).toBe(1);
  expect(two.messages.length).toBe(0);
});

test('MSH-15 NE, MSH-16 NE: nothing is waited for, and the order is kept', async () => {
  const receiver = await receiverFor(silent());
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  for (const number of [1, 2, 3, 4, 5]) await sender.write(message(`M${number}`, enhanced('NE', 'NE')));
  await receiver.messages.count(5);
  const events = await hl7.messages.count(5);
  expect(events.every(({ outcome }) => outcome === 'unconfirmed')).toBe(true);
  sender.end();
  expect(await sender.read()).toBeUndefined();
});

test('a receiver that answers though nobody asked disturbs no other message', async () => {
  const receiver = await receiverFor(answering());
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 1 } } });
  const sender = await connectSender(hl7.address);
  for (const number of [1, 2, 3, 4, 5]) {
    await sender.write(message(`N${number}`, enhanced('NE', 'NE')));
    await sender.write(message(`M${number}`));
  }
  const got = await readAnswers(sender, 10);
  expect(got.filter((answer) => answer.includes('M'))).toEqual(['AA M1', 'AA M2', 'AA M3', 'AA M4', 'AA M5']);
  expect(receiver.connections.length).toBe(1);
});

test('MSH-15 ER: silence until the time-out is success, unconfirmed; an error is relayed', async () => {
  const receiver = await receiverFor(silent());
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address], connections: 1 } },
    hl7: { senderTimeout: hasty(400) },
  });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1', { ...enhanced('ER', 'NE'), sendingApp: 'HASTY' }));
  const [event] = await hl7.messages.count(1);
  expect(event).toMatchObject({ outcome: 'unconfirmed', attempts: 1, acknowledgement: undefined });
  await receiver.messages.count(1);
  receiver.script = answeringAll('CE');
  await sender.write(message('M2', enhanced('ER', 'NE')));
  expect(await readAnswers(sender, 1)).toEqual(['CE M2']);
  expect(receiver.connections.length).toBe(1);
});

test('MSH-15 SU: silence is failure', async () => {
  const receiver = await receiverFor(silent());
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    hl7: { senderTimeout: patience(1000) },
  });
  const sender = await connectSender(hl7.address);
  expect(await sender.send(message('M1', enhanced('SU', 'NE')))).toBeUndefined();
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'failed', attempts: 1 });
});

test('what is rejected by us is CR in enhanced mode, AR in original mode, nothing where nothing is wanted', async () => {
  await using hl7 = await startHl7({ pools: {} });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  await sender.write(message('M2', enhanced('AL', 'AL')));
  await sender.write(message('M3', enhanced('NE', 'NE')));
  await sender.write(message('M4', enhanced('NE', 'AL')));
  expect(await readAnswers(sender, 3)).toEqual(['AR M1', 'CR M2', 'AR M4']);
  const event = hl7.messages.items.map(({ outcome, detail }) => `${outcome}: ${detail}`);
  expect(new Set(event)).toEqual(new Set(['rejected: no rule takes it']));
});

test('the answer of a server that is a batch answers the batch', async () => {
  const batch = Buffer.from(
    'BHS|^~\\&|A|B|C|D|20260101||||BATCH7\rMSH|^~\\&|A|B|C|D|20260101||ADT^A08|M1|P|2.5\rPID|1||INV1\rBTS|1\r',
  );
  const answer = Buffer.from('BHS|^~\\&|C|D|A|B|20260101||||R1|BATCH7\rBTS|0\r');
  const receiver = await receiverFor(answeringWith(() => answer));
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  expect((await sender.send(batch))!.equals(answer)).toBe(true);
  expect(receiver.messages.items[0]!.bytes.equals(batch)).toBe(true);
});

test('a sender that wants the answer of the application alone does not hear of CA', async () => {
  const gate = createGate();
  const receiver = await receiverFor(async ({ bytes }, connection) => {
    await connection.write(acknowledgementOf(bytes, 'CA'));
    await gate.opened;
    await connection.write(acknowledgementOf(bytes, 'AA'));
  });
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  const wanting = { acceptAcknowledgement: 'NE', applicationAcknowledgement: 'AL', patient: 'INV1' };
  await sender.write(hl7Message({ controlId: 'M1', ...wanting }));
  await sender.write(hl7Message({ controlId: 'M2', ...wanting }));
  await receiver.messages.count(1);
  gate.open();
  for (const id of ['M1', 'M2']) {
    const answer = await sender.read();
    expect([fieldOf(answer!, 'MSA', 1), fieldOf(answer!, 'MSA', 2)]).toEqual(['AA', id]);
  }
  // The second of the patient went when the application had answered the first.
  expect(hl7.messages.items).toMatchObject([
    { controlId: 'M1', outcome: 'delivered', acknowledgement: 'AA' },
    { controlId: 'M2', outcome: 'delivered', acknowledgement: 'AA' },
  ]);
});
