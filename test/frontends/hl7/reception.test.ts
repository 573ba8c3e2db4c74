import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { STREAMED_ABOVE } from '../../../src/frontends/hl7/message-stream.ts';
import { hl7Message } from '../../peers/hl7-messages.ts';
import { mllpFrame } from '../../peers/mllp-peer.ts';
import { cutAt, oneByOne, referenceReports } from '../../protocols/hl7/reference-decoder.ts';
import { type Listening, LongMessage, listenTo } from './listening.ts';

const CHUNK = 65_536;
const short = (controlId: string) => hl7Message({ controlId });
const long = (controlId: string, length = 3 * STREAMED_ABOVE) => hl7Message({ controlId, length });

/** Chunks as a socket reads them. */
function* chunks(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}

/** Pushes all of it, asking for a part of the long message in hand whenever nothing is read. */
function pushAll(listening: Listening, all: Iterable<Buffer>): void {
  for (const chunk of all) {
    listening.push(chunk);
    while (listening.isPaused) askOnce(listening);
  }
}

function askOnce({ longMessages }: Listening): void {
  const waiting = longMessages.filter(({ outcome, isAsking }) => !outcome && !isAsking);
  expect(waiting).toHaveLength(1);
  waiting[0]!.ask();
}

describe('a message of more than 256 KiB', () => {
  test.each([
    ['in chunks of 64 KiB', (bytes: Buffer) => chunks(bytes)],
    ['in one chunk', (bytes: Buffer) => [bytes]],
    ['one byte at a time', (bytes: Buffer) => oneByOne(bytes)],
  ])('comes as beginning, parts and end, %s', (_, cut) => {
    const listening = listenTo();
    const message = long('LONG', STREAMED_ABOVE + 1000);
    pushAll(
      listening,
      cut(Buffer.concat([mllpFrame(short('M1')), mllpFrame(message), mllpFrame(short('M2'))])),
    );
    const [first, streamed, last] = listening.heard;
    expect(first).toEqual(short('M1'));
    expect(streamed).toBeInstanceOf(LongMessage);
    expect((streamed as LongMessage).bytes.equals(message)).toBe(true);
    expect((streamed as LongMessage).outcome).toBe('end');
    expect(last).toEqual(short('M2'));
  });

  test('one of 256 KiB is not long', () => {
    const listening = listenTo();
    const message = long('WHOLE', STREAMED_ABOVE);
    expect(message).toHaveLength(STREAMED_ABOVE);
    pushAll(listening, chunks(mllpFrame(message)));
    expect((listening.heard[0] as Buffer).equals(message)).toBe(true);
  });

  test('nothing is read while nobody asks for a part', () => {
    const listening = listenTo();
    const parts = [...chunks(mllpFrame(long('LONG')))];
    for (let i = 0; i < 4; i++) listening.push(parts[i]!);
    expect(listening.isPaused).toBe(false);
    listening.push(parts[4]!);
    expect(listening.isPaused).toBe(true);
    const [message] = listening.longMessages;
    message!.ask();
    expect(listening.isPaused).toBe(true);
    expect(message!.parts).toHaveLength(2);
    message!.ask();
    expect(listening.isPaused).toBe(false);
    listening.push(parts[5]!);
    expect(message!.parts).toHaveLength(3);
    expect(listening.isPaused).toBe(true);
  });

  test('the parts of a chunk are one part, a view of it', () => {
    const views: Buffer[] = [];
    const listening = listenTo({}, (message) => {
      message.part = (bytes) => {
        views.push(bytes);
        message.isAsking = false;
        message.ask();
      };
      message.ask();
    });
    const frame = mllpFrame(Buffer.concat([long('LONG'), Buffer.from('\x0bpasted\x1ctabs\x0b\x1cMSH')]));
    const at = STREAMED_ABOVE + 100;
    listening.push(frame.subarray(0, at));
    views.length = 0;
    listening.push(frame.subarray(at));
    expect(views).toHaveLength(1);
    expect(views[0]).toHaveLength(frame.length - 2 - at);
    expect(new Set(views[0])).toEqual(new Set([0xee]));
  });

  test('what is not wanted is read and thrown away, and the messages behind it come in order', () => {
    const listening = listenTo({}, ({ stream }) => stream.cancel());
    const bytes = [long('L1'), short('M2'), long('L3'), short('M4')].map(mllpFrame);
    for (const chunk of chunks(Buffer.concat(bytes))) listening.push(chunk);
    const [first, second, third, fourth] = listening.heard;
    expect([first, third].every((one) => one instanceof LongMessage)).toBe(true);
    expect([second, fourth]).toEqual([short('M2'), short('M4')]);
    expect(listening.longMessages[0]!.stream.beginning).toHaveLength(0);
  });

  test('cancelled in the middle: the rest is thrown away', () => {
    const listening = listenTo();
    const parts = [...chunks(Buffer.concat([mllpFrame(long('LONG')), mllpFrame(short('M2'))]))];
    for (const part of parts.slice(0, 5)) listening.push(part);
    const [message] = listening.longMessages;
    message!.ask();
    message!.stream.cancel();
    expect(listening.isPaused).toBe(false);
    for (const part of parts.slice(5)) listening.push(part);
    expect(listening.heard.at(-1)).toEqual(short('M2'));
    message!.ask();
    expect(message!.outcome).toBe('its sender left');
  });

  test('two in one chunk: the second begins when the first was taken', () => {
    const listening = listenTo();
    const [first, second] = [long('L1', STREAMED_ABOVE + 10), long('L2', STREAMED_ABOVE + 10)];
    listening.push(Buffer.concat([first, second, short('M3')].map(mllpFrame)));
    expect(listening.longMessages).toHaveLength(1);
    listening.longMessages[0]!.isEager = true;
    listening.longMessages[0]!.ask();
    expect(listening.longMessages[0]!.bytes.equals(first)).toBe(true);
    expect(listening.longMessages).toHaveLength(2);
    expect(listening.isPaused).toBe(true);
    listening.longMessages[1]!.isEager = true;
    listening.longMessages[1]!.ask();
    expect(listening.longMessages[1]!.bytes.equals(second)).toBe(true);
    expect(listening.heard.at(-1)).toEqual(short('M3'));
    expect(listening.isPaused).toBe(false);
  });

  test('it can be had again for another server, with what was taken of it', () => {
    const listening = listenTo();
    const message = long('LONG');
    const parts = [...chunks(mllpFrame(message))];
    for (const part of parts.slice(0, 5)) listening.push(part);
    const [streamed] = listening.longMessages;
    expect(streamed!.stream.rewind()).toBe(true);
    streamed!.ask();
    expect(streamed!.parts.length).toBeGreaterThan(1);
    expect(streamed!.stream.rewind()).toBe(true);
    streamed!.parts.length = 1;
    streamed!.isAsking = false;
    streamed!.isEager = true;
    streamed!.ask();
    for (const part of parts.slice(5)) listening.push(part);
    expect(streamed!.outcome).toBe('end');
    expect(streamed!.bytes.equals(message)).toBe(true);
    streamed!.stream.cancel();
    expect(streamed!.stream.rewind()).toBe(false);
  });

  test.each([
    ['its sender leaves', (listening: Listening) => listening.reception.end(), 'its sender left'],
    [
      'it is not listened to any more',
      (listening: Listening) => listening.reception.stop(),
      'its sender left',
    ],
    [
      'its sender begins anew',
      (listening: Listening) => listening.push(mllpFrame(short('M2'))),
      'its sender began anew',
    ],
    [
      'its sender begins anew, one byte at a time',
      (listening: Listening) => {
        for (const byte of oneByOne(mllpFrame(short('M2')))) listening.push(byte);
      },
      'its sender began anew',
    ],
  ])('broken when %s', (_, breakIt, why) => {
    const listening = listenTo();
    const parts = [...chunks(mllpFrame(long('LONG')))];
    for (const part of parts.slice(0, 5)) listening.push(part);
    const [message] = listening.longMessages;
    message!.isEager = true;
    message!.ask();
    breakIt(listening);
    expect(message!.outcome).toBe(why);
    expect(listening.heard).toContain(why);
    if (why === 'its sender began anew') expect(listening.heard.at(-1)).toEqual(short('M2'));
  });

  test('broken when it is too long: nothing more is heard', () => {
    const listening = listenTo({ maxFrame: 2 * STREAMED_ABOVE });
    const eager = (message: LongMessage) => {
      message.isEager = true;
      message.ask();
    };
    const fitting = long('FITS', 2 * STREAMED_ABOVE);
    pushAll(listening, [Buffer.alloc(0), mllpFrame(fitting).subarray(0, 300_000)]);
    eager(listening.longMessages[0]!);
    pushAll(listening, chunks(mllpFrame(fitting).subarray(300_000)));
    expect(listening.longMessages[0]!.bytes.equals(fitting)).toBe(true);
    const tooLong = mllpFrame(long('LONG', 2 * STREAMED_ABOVE + 1));
    listening.push(tooLong.subarray(0, 300_000));
    eager(listening.longMessages[1]!);
    for (const chunk of chunks(tooLong.subarray(300_000))) listening.push(chunk);
    expect(listening.longMessages[1]!.outcome).toBe('it is too long');
    expect(listening.heard.slice(-2)).toEqual(['it is too long', 'unreadable']);
    listening.push(mllpFrame(short('M2')));
    expect(listening.heard.at(-1)).toBe('unreadable');
  });

  test('its sender leaves while its last part is not taken: it breaks, for the bytes are gone', () => {
    const listening = listenTo();
    listening.push(mllpFrame(long('LONG')));
    expect(listening.isPaused).toBe(true);
    listening.reception.stop();
    const [message] = listening.longMessages;
    message!.ask();
    expect(message!.outcome).toBe('its sender left');
    expect(message!.parts).toHaveLength(1);
  });

  test('its sender leaves when only its end was not asked for: it is whole', () => {
    const listening = listenTo();
    listening.push(mllpFrame(long('LONG')));
    const [message] = listening.longMessages;
    message!.ask();
    listening.reception.stop();
    message!.ask();
    expect(message!.outcome).toBe('end');
  });
});

describe('when there is too much', () => {
  test('the messages of a chunk wait behind the one that filled up', () => {
    const listening = listenTo();
    listening.isFull = true;
    listening.push(Buffer.concat([short('M1'), short('M2'), short('M3')].map(mllpFrame)));
    expect(listening.heard).toEqual([short('M1')]);
    expect(listening.isPaused).toBe(true);
    listening.reception.regulate();
    expect(listening.heard).toHaveLength(1);
    listening.isFull = false;
    listening.reception.regulate();
    expect(listening.heard).toEqual([short('M1'), short('M2'), short('M3')]);
    expect(listening.isPaused).toBe(false);
  });

  test('broken frames one after another: the connection is closed', () => {
    const listening = listenTo();
    listening.push('\x0bMSH|half'.repeat(17));
    expect(listening.heard).toEqual([]);
    listening.push('\x0bMSH|half'.repeat(100_000));
    expect(listening.heard).toEqual(['unreadable']);
  });

  test('broken frames among whole ones: the connection lives on', () => {
    const listening = listenTo();
    for (let i = 0; i < 100; i++)
      listening.push(Buffer.concat([Buffer.from('\x0bMSH|half'), mllpFrame(short('M'))]));
    expect(listening.heard).toHaveLength(100);
  });
});

test('any bytes, cut anywhere, taken at any time: what the reference decoder says', () => {
  const padding = STREAMED_ABOVE - 8;
  const piece = fc.oneof(
    fc
      .array(fc.constantFrom(0x0b, 0x1c, 0x0d, 0x4d, 0x53, 0x48, 0x78), { maxLength: 30 })
      .map((bytes) => Buffer.from(bytes)),
    fc.constant(Buffer.alloc(padding, 'p')),
    fc.constant(mllpFrame(short('M'))),
  );
  const input = fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.concat(pieces));
  const cuts = fc.array(fc.nat(3 * STREAMED_ABOVE), { maxLength: 12 });
  fc.assert(
    fc.property(input, cuts, fc.array(fc.nat(3), { minLength: 1, maxLength: 20 }), (bytes, places, whims) => {
      let turn = 0;
      const whim = () => whims[turn++ % whims.length]!;
      const listening = listenTo({}, (message) => {
        if (whim() === 0) message.ask();
        else message.isEager = whim() === 1;
      });
      for (const chunk of cutAt(bytes, places)) {
        if (chunk.length === 0) continue;
        listening.push(chunk);
        for (let asked = 0; listening.isPaused; asked++) {
          expect(asked).toBeLessThan(1000);
          askOnce(listening);
        }
      }
      listening.reception.end();
      for (const message of listening.longMessages) message.ask();
      const got = listening.heard.flatMap((one) => {
        if (typeof one === 'string') return [];
        if (Buffer.isBuffer(one)) return [`frame ${one.toString('hex')}`];
        return one.outcome === 'end' ? [`stream ${one.bytes.toString('hex')}`] : [];
      });
      const expected = referenceReports(bytes, { streamAbove: STREAMED_ABOVE, maxGarbage: 4096 });
      const messages = expected.filter((report) => /^(frame|stream)/.test(report));
      expect(got.length).toBe(messages.length);
      expect(got.every((report, i) => report === messages[i])).toBe(true);
    }),
    { numRuns: 60 },
  );
}, 60_000);
