/** Bad input, "MLLP …": what senders do to frames, and that not a byte of a message is changed by it. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { answeringWith, connectSender, type MllpSender, mllpFrame } from '../../peers/mllp-peer.ts';
import { withOneServer } from './one-server.ts';
import { TestClock } from './outbound-stage.ts';
import { SETTINGS, startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const SB = 0x0b;
const EB = 0x1c;
const CR = 0x0d;
const message = (controlId: string) => hl7Message({ controlId });

/** The answer that comes next, as `code controlId`. */
async function nextAnswer(sender: MllpSender): Promise<string> {
  const answer = await sender.read('an acknowledgement');
  return answer ? `${fieldOf(answer, 'MSA', 1)} ${fieldOf(answer, 'MSA', 2)}` : 'none';
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

test('MLLP garbage between frames is skipped, and said', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    const noise = Buffer.from('\ufeff\r\n\0\0 noise that is no frame \x1c\r');
    await sender.connection.write(
      Buffer.concat([noise, mllpFrame(message('M1')), noise, mllpFrame(message('M2'))]),
    );
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(receiver.messages.items.map(({ bytes }) => bytes)).toEqual([message('M1'), message('M2')]);
    await hl7.notices.find(({ message }) => message === 'bytes between frames were skipped');
  }));

test('MLLP garbage without end: the connection is closed at the cap', () =>
  withOneServer({}, async (sender, _, hl7) => {
    await sender.connection.write(mllpFrame(message('M1')));
    await sender.connection.write(Buffer.alloc(10_000, 'x'));
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(await sender.read()).toBeUndefined();
    await hl7.notices.find((notice) => notice.message.startsWith('too many bytes'));
    expect(hl7.frontEnd.totals).toMatchObject({ messages: 1, delivered: 1 });
  }));

test('missing CR behind the end block: the frame ends when nothing follows', () =>
  withOneServer({}, async (sender, receiver) => {
    await sender.connection.write(mllpFrame(message('M1')).subarray(0, -1));
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(receiver.messages.items[0]!.bytes).toEqual(message('M1'));
  }));

test('missing CR behind the end block: the frame ends when the next begins', () =>
  withOneServer({}, async (sender, receiver) => {
    const frames = [mllpFrame(message('M1')).subarray(0, -1), mllpFrame(message('M2'))];
    await sender.connection.write(Buffer.concat(frames));
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(receiver.messages.length).toBe(2);
  }));

test('missing CR in the answer of a server: it is relayed all the same', async () => {
  const receiver = await receiverFor(async (received, { connection }) => {
    await connection.write(
      mllpFrame(Buffer.from(`MSH|^~\\&|R|||||ACK|1|P|2.5\rMSA|AA|${received.controlId}\r`)).subarray(0, -1),
    );
  });
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  expect(await nextAnswer(sender)).toBe('AA M1');
});

test('two frames in a chunk are two messages, answered in order', () =>
  withOneServer({}, async (sender, receiver) => {
    await sender.connection.write(Buffer.concat([mllpFrame(message('M1')), mllpFrame(message('M2'))]));
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(receiver.messages.items.map(({ controlId }) => controlId)).toEqual(['M1', 'M2']);
  }));

test('a thousand frames in a chunk are a thousand messages, answered in order', () =>
  withOneServer({}, async (sender, receiver) => {
    const ids = Array.from({ length: 1000 }, (_, i) => `M${i + 1}`);
    void sender.connection.write(Buffer.concat(ids.map((id) => mllpFrame(message(id)))));
    for (const id of ids) expect(await nextAnswer(sender)).toBe(`AA ${id}`);
    expect(receiver.messages.items.map(({ controlId }) => controlId)).toEqual(ids);
  }));

test('a frame and a half in a chunk, the other half in the next: two messages', () =>
  withOneServer({}, async (sender, receiver) => {
    const second = mllpFrame(message('M2'));
    await sender.connection.write(Buffer.concat([mllpFrame(message('M1')), second.subarray(0, 40)]));
    expect(await nextAnswer(sender)).toBe('AA M1');
    await sender.connection.write(second.subarray(40));
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(receiver.messages.items.map(({ bytes }) => bytes)).toEqual([message('M1'), message('M2')]);
  }));

test.each([
  ['between end block and CR', -1],
  ['in the middle of a character of UTF-8', message('M1').length - 4],
])('a frame cut %s: not a byte is changed', (_, cut) =>
  withOneServer({}, async (sender, receiver, hl7) => {
    const bytes = Buffer.concat([message('M1').subarray(0, -6), Buffer.from('\u738b|x\r')]);
    const frame = mllpFrame(bytes);
    const [before, after] = [frame.subarray(0, cut), frame.subarray(cut)];
    await sender.connection.write(before);
    // What was written before was read when another sender is answered.
    const other = await connectSender(hl7.address);
    await other.send(message('M0'));
    await sender.connection.write(after);
    expect(await nextAnswer(sender)).toBe('AA M1');
    const got = receiver.messages.items.find(({ controlId }) => controlId === 'M1');
    expect(got!.bytes).toEqual(bytes);
  }),
);

test('a frame in a thousand chunks is one message', () =>
  withOneServer({}, async (sender, receiver) => {
    const long = hl7Message({ controlId: 'M1', length: 997 });
    await sender.connection.dribble(mllpFrame(long));
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(receiver.messages.items[0]!.bytes.equals(long)).toBe(true);
  }));

test('start byte inside a frame, before MSH: the broken frame is dropped, the new one is delivered', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    const half = mllpFrame(message('HALF')).subarray(0, 60);
    await sender.connection.write(Buffer.concat([half, mllpFrame(message('M2'))]));
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(receiver.messages.items.map(({ controlId }) => controlId)).toEqual(['M2']);
    await hl7.notices.find(({ message }) => message === 'a broken frame was dropped');
  }));

test('start byte inside a frame, as content: a pasted vertical tab is passed on', () =>
  withOneServer({}, async (sender, receiver) => {
    const pasted = hl7Message({ controlId: 'M1', segments: ['NTE|1||line\x0bline\x1cline'] });
    await sender.write(pasted);
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(receiver.messages.items[0]!.bytes.equals(pasted)).toBe(true);
  }));

test('over-long frame: AR when its header can be read, then the connection is closed', () =>
  withOneServer({ hl7: { maxFrame: 2048 } }, async (sender, receiver, hl7) => {
    await sender.write(message('M1'));
    expect(await nextAnswer(sender)).toBe('AA M1');
    const answer = await sender.send(hl7Message({ controlId: 'LONG', length: 100_000 }));
    expect(fieldOf(answer!, 'MSA', 1)).toBe('AR');
    expect(fieldOf(answer!, 'MSA', 2)).toBe('LONG');
    expect(fieldOf(answer!, 'MSA', 3)).toBe('The message is longer than 2048 bytes');
    expect(await sender.read()).toBeUndefined();
    expect(receiver.messages.items.map(({ controlId }) => controlId)).toEqual(['M1']);
    const event = await hl7.messages.find(({ controlId }) => controlId === 'LONG');
    expect(event).toMatchObject({ outcome: 'rejected', acknowledgement: 'AR', attempts: 0 });
  }));

test('over-long frame without a header that can be read: the connection is closed', () =>
  withOneServer({ hl7: { maxFrame: 2048 } }, async (sender, receiver) => {
    await sender.connection.write(Buffer.concat([Buffer.of(SB), Buffer.alloc(100_000, 'x')]));
    expect(await sender.read()).toBeUndefined();
    expect(receiver.messages.length).toBe(0);
  }));

test('over-long header: AR, and the connection lives on', () =>
  withOneServer({}, async (sender, receiver) => {
    const answer = await sender.send(
      Buffer.from(`MSH|^~\\&|A|B|C|D|${'x'.repeat(20_000)}|ADT^A08|M1|P|2.5\r`),
    );
    expect(fieldOf(answer!, 'MSA', 1)).toBe('AR');
    expect(fieldOf(answer!, 'MSA', 3)).toBe('Unreadable: MSH is too long');
    await sender.write(message('M2'));
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(receiver.messages.length).toBe(1);
  }));

test('empty frames without end: AR to each; no more is read while their sender takes no answers', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    const flood = Array.from({ length: 10_000 }, () => mllpFrame(Buffer.alloc(0)));
    sender.connection.pause();
    void sender.connection.write(Buffer.concat([...flood, mllpFrame(message('M1'))]));
    while (hl7.frontEnd.totals.rejected! < 2000) await new Promise(setImmediate);
    sender.connection.resume();
    for (let i = 0; i < flood.length; i++) expect(await nextAnswer(sender)).toBe('AR ');
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(receiver.messages.length).toBe(1);
  }));

test('broken frames without end: the connection is closed, and few words are made of it', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    await sender.connection.write(
      Buffer.concat([mllpFrame(message('M1')), Buffer.from('\x0bMSH|'.repeat(10_000))]),
    );
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(await sender.read()).toBeUndefined();
    await hl7.notices.find(({ message }) => message.startsWith('too many broken frames'));
    expect(hl7.notices.items.filter(({ message }) => message === 'a broken frame was dropped')).toHaveLength(
      17,
    );
    expect(receiver.messages.length).toBe(1);
  }));

test('no MSH: AR, and the connection lives on', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    const answer = await sender.send(Buffer.from('PID|1||INV1^^^HOSP^MR\r'));
    expect(fieldOf(answer!, 'MSA', 1)).toBe('AR');
    expect(fieldOf(answer!, 'MSA', 3)).toBe('Unreadable: no MSH segment');
    expect(answer!.toString('latin1')).toContain('\rERR|');
    const delimiters = await sender.send(Buffer.from('MSH AB\r'));
    expect(fieldOf(delimiters!, 'MSA', 1)).toBe('AR');
    expect(fieldOf(delimiters!, 'ERR', 2)).toBe('MSH^1^1');
    await sender.write(message('M2'));
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(receiver.messages.length).toBe(1);
    expect(hl7.messages.items.map(({ outcome }) => outcome)).toEqual(['rejected', 'rejected', 'delivered']);
  }));

test('MSH without a start block is no message', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    await sender.connection.write(Buffer.concat([message('BARE'), mllpFrame(message('M2'))]));
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(receiver.messages.length).toBe(1);
    const dropped = await hl7.notices.find(({ message }) => message === 'a broken frame was dropped');
    expect(dropped.fields.reason).toBe('no start block');
  }));

const LATIN_1 = Buffer.from('PID|1||INV7^^^HOSP^MR||M\u00fcller^J\u00f6rg\r', 'latin1');
const UTF_8 = Buffer.from('PID|1||INV7^^^HOSP^MR||Mu\u0308ller^\u738b\u5c0f\u660e\r', 'utf8');
const header = (characterSet: string) =>
  Buffer.from(`MSH|^~\\&|A|B|C|D|20260101||ADT^A08|BYTES|P|2.5|||||| ${characterSet}\r`);

test.each<[string, Buffer, string]>([
  [
    'odd delimiters',
    Buffer.from('MSH#*~\\&#A#B#C#D#20260101##ADT*A08#BYTES#P#2.5\rPID#1##INV7***HOSP*MR\r'),
    'ADT',
  ],
  [
    'five encoding characters',
    Buffer.from('MSH|^~\\&#|A|B|C|D|20260101||ADT^A08|BYTES|P|2.7\rPID|1||INV7\r'),
    'ADT',
  ],
  ['BOM', Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), message('BYTES')]), 'ADT'],
  ['Latin-1', Buffer.concat([header('8859/1'), LATIN_1]), 'ADT'],
  ['UTF-8', Buffer.concat([header('UNICODE UTF-8'), UTF_8]), 'ADT'],
  [
    'LF at the end of segments',
    Buffer.from(message('BYTES').toString('latin1').replaceAll('\r', '\n'), 'latin1'),
    'ADT',
  ],
  [
    'CRLF at the end of segments',
    Buffer.from(message('BYTES').toString('latin1').replaceAll('\r', '\r\n'), 'latin1'),
    'ADT',
  ],
  [
    'NUL and every other byte in a value',
    Buffer.concat([message('BYTES'), Buffer.from('ZZZ|'), everyByte()]),
    'ADT',
  ],
  ['a message of 1 MiB', hl7Message({ controlId: 'BYTES', length: 1024 * 1024 }), 'ADT'],
])('%s: SHA-256 of the message is the same on both sides', (_, bytes, type) =>
  withOneServer({}, async (sender, receiver, hl7) => {
    receiver.script = answeringWith(({ bytes }) => acknowledgementOf(bytes, 'AA', 'BYTES'));
    await sender.write(bytes);
    expect(await nextAnswer(sender)).toBe('AA BYTES');
    expect(sha256(receiver.messages.items[0]!.bytes)).toBe(sha256(bytes));
    expect(hl7.messages.items[0]).toMatchObject({ type, controlId: 'BYTES', outcome: 'delivered' });
  }),
);

function everyByte(): Buffer {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
  // An end block before a carriage return would be the end.
  return Buffer.from(bytes.filter((byte) => byte !== EB && byte !== CR));
}

test('the acknowledgement is relayed byte for byte, whatever is in it', async () => {
  const strange = Buffer.concat([
    Buffer.from('MSH#*~\\&#R\u00fc##\rMSA#aa# BYTES ##\rZZZ#', 'latin1'),
    everyByte(),
  ]);
  const receiver = await receiverFor((_, connection) => connection.write(strange));
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  const answer = await sender.send(message('BYTES'));
  expect(answer!.equals(strange)).toBe(true);
});

test('startBlock and endBlock may be other bytes, on both sides', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    hl7: { startBlock: 0x02, endBlock: 0x03 },
  });
  const sender = await connectSender(hl7.address);
  const framed = Buffer.concat([Buffer.of(2), message('M1'), Buffer.of(3, CR)]);
  await sender.connection.write(framed);
  const { connection } = (await receiver.connections.count(1))[0]!;
  const raw: Buffer[] = [];
  connection.socket.on('data', (chunk: Buffer) => raw.push(chunk));
  while (connection.bytesReceived < framed.length) await new Promise(setImmediate);
  expect(Buffer.concat(raw)).toEqual(framed);
});

test('a sender that stops inside a frame is sent away after the stall time', () =>
  withOneServer(
    { hl7: { timeouts: { connect: 2000, stall: 50, idle: undefined } } },
    async (sender, receiver, hl7) => {
      await sender.connection.write(mllpFrame(message('M1')).subarray(0, 50));
      expect(await sender.read()).toBeUndefined();
      expect(receiver.messages.length).toBe(0);
      await hl7.notices.find(({ message }) => message === 'a sender stopped inside a frame');
    },
  ));

test('a sender that dribbles is heard to the end, however long that takes; nobody waits for it', async () => {
  const clock = new TestClock();
  await withOneServer({ more: { deadlines: clock } }, async (sender, receiver, hl7) => {
    const frame = mllpFrame(message('SLOW'));
    const slow = await connectSender(hl7.address);
    await slow.connection.write(frame.subarray(0, -16));
    await sender.send(message('M1'));
    expect(receiver.messages.items.map(({ controlId }) => controlId)).toEqual(['M1']);
    const heard = () => [...hl7.frontEnd.connections()].reduce((sum, { bytes }) => sum + bytes.toServer, 0);
    const before = heard();
    for (let length = 1; length <= 14; length++) {
      await slow.connection.write(frame.subarray(-17 + length, -16 + length));
      while (heard() < before + length) await new Promise(setImmediate);
      clock.pass(SETTINGS.timeouts.stall - 1);
    }
    await slow.connection.write(frame.subarray(-2));
    expect(await nextAnswer(slow)).toBe('AA SLOW');
    expect(receiver.messages.items[1]!.bytes).toEqual(message('SLOW'));
  });
});

test('a sender that sends FIN behind its frame still gets its answer', () =>
  withOneServer({}, async (sender) => {
    await sender.write(message('M1'));
    sender.end();
    expect(await nextAnswer(sender)).toBe('AA M1');
    expect(await sender.read()).toBeUndefined();
    expect(await sender.ending).toBe('end');
  }));

test('a connection that ends inside a frame delivers nothing', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    await sender.connection.write(mllpFrame(message('M1')).subarray(0, 50));
    sender.end();
    expect(await sender.read()).toBeUndefined();
    expect(receiver.messages.length).toBe(0);
    await hl7.notices.find(({ message }) => message === 'a broken frame was dropped');
  }));

test('an acknowledgement from a sender is dropped and never answered', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    await sender.write(Buffer.from('MSH|^~\\&|A|B|C|D|20260101||ACK|X1|P|2.5\rMSA|AA|X0\r'));
    await sender.write(Buffer.from('MSH|^~\\&|A|B|C|D|20260101||RSP^K11|X2|P|2.5\rSFT|X\rMSA|AA|X0\r'));
    await sender.write(message('M3'));
    expect(await nextAnswer(sender)).toBe('AA M3');
    expect(receiver.messages.length).toBe(1);
    const dropped = hl7.notices.items.filter(({ message }) => message.includes('sent an acknowledgement'));
    expect(dropped).toHaveLength(2);
    expect(hl7.frontEnd.totals).toMatchObject({ messages: 1, dropped: 2 });
  }));
