import { describe, expect, test } from 'vitest';
import { encodeFrame } from '../../../protocols/hl7/mllp.ts';
import {
  type DropReason,
  MllpDecoder,
  type MllpDecoderOptions,
} from '../../../protocols/hl7/mllp-decoder.ts';
import { cutAt, oneByOne } from './reference-decoder.ts';

const MESSAGE = 'MSH|^~\\&|INVENTED\rPID|1||INV0001\r';
const OTHER = 'MSH|^~\\&|INVENTED\rPID|1||INV0002\r';
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const framed = (text: string): Buffer => encodeFrame(latin1(text));

interface Seen {
  readonly decoder: MllpDecoder;
  readonly frames: string[];
  readonly dropped: [DropReason, number][];
  readonly overlong: [number, string][];
  garbage: number;
}

function decoderWith(options?: MllpDecoderOptions): Seen {
  const frames: string[] = [];
  const dropped: [DropReason, number][] = [];
  const overlong: [number, string][] = [];
  const decoder = new MllpDecoder(
    {
      frame: (content) => frames.push(content.toString('latin1')),
      dropped: (reason, byteCount) => dropped.push([reason, byteCount]),
      garbage: (byteCount) => {
        seen.garbage += byteCount;
      },
      overlong: (byteCount, what) => overlong.push([byteCount, what]),
    },
    options,
  );
  const seen: Seen = { decoder, frames, dropped, overlong, garbage: 0 };
  return seen;
}

describe('frames', () => {
  test('two frames in a chunk', () => {
    const seen = decoderWith();
    seen.decoder.push(Buffer.concat([framed(MESSAGE), framed(OTHER)]));
    expect(seen.frames).toEqual([MESSAGE, OTHER]);
    expect(seen).toMatchObject({ dropped: [], overlong: [], garbage: 0 });
    expect(seen.decoder.inFrame).toBe(false);
  });

  test('one frame and a half in a chunk, the other half in the next', () => {
    const seen = decoderWith();
    const second = framed(OTHER);
    seen.decoder.push(Buffer.concat([framed(MESSAGE), second.subarray(0, 20)]));
    expect(seen.frames).toEqual([MESSAGE]);
    expect(seen.decoder.inFrame).toBe(true);
    seen.decoder.push(second.subarray(20));
    expect(seen.frames).toEqual([MESSAGE, OTHER]);
  });

  test('a frame in a thousand chunks', () => {
    const seen = decoderWith();
    const long = `MSH|^~\\&|INVENTED\rOBX|1|TX|||${'0123456789'.repeat(1000)}\r`;
    const frame = framed(long);
    const size = Math.ceil(frame.length / 1000);
    let chunks = 0;
    for (let at = 0; at < frame.length; at += size, chunks++)
      seen.decoder.push(frame.subarray(at, at + size));
    expect(chunks).toBeGreaterThan(900);
    expect(seen.frames).toEqual([long]);
    expect(seen).toMatchObject({ dropped: [], garbage: 0 });
  });

  test('a frame one byte at a time', () => {
    const seen = decoderWith();
    for (const byte of oneByOne(framed(MESSAGE))) seen.decoder.push(byte);
    expect(seen.frames).toEqual([MESSAGE]);
  });

  test('a whole frame in a chunk is a view of the chunk, without a copy', () => {
    const chunk = framed(MESSAGE);
    let view: Buffer | undefined;
    const sink = { dropped() {}, garbage() {}, overlong() {} };
    new MllpDecoder({ ...sink, frame: (content) => (view = content) }).push(chunk);
    expect(view?.buffer).toBe(chunk.buffer);
    expect(view?.byteOffset).toBe(chunk.byteOffset + 1);
  });

  test('an empty frame is a frame', () => {
    const seen = decoderWith();
    seen.decoder.push(framed(''));
    expect(seen.frames).toEqual(['']);
  });

  test('NULs, byte order marks, tabs and line feeds inside a frame are content', () => {
    const seen = decoderWith();
    const odd = '\xef\xbb\xbfMSH|^~\\&|\0\t\n\r\n';
    seen.decoder.push(framed(odd));
    expect(seen.frames).toEqual([odd]);
  });

  test('start and end block can be set', () => {
    const seen = decoderWith({ startBlock: 0x02, endBlock: 0x03 });
    seen.decoder.push(latin1(`\x02MSH|\x0b\x1c\r|x\x03\r\x02MSH|y\x03\r`));
    expect(seen.frames).toEqual(['MSH|\x0b\x1c\r|x', 'MSH|y']);
  });
});

describe('ends of frames', () => {
  test('missing CR, the next frame follows at once', () => {
    const seen = decoderWith();
    seen.decoder.push(Buffer.concat([framed(MESSAGE).subarray(0, -1), framed(OTHER)]));
    expect(seen.frames).toEqual([MESSAGE, OTHER]);
    expect(seen).toMatchObject({ dropped: [], garbage: 0 });
  });

  test('missing CR, the next frame follows in the next chunk', () => {
    const seen = decoderWith();
    seen.decoder.push(framed(MESSAGE).subarray(0, -1));
    expect(seen.frames).toEqual([]);
    seen.decoder.push(framed(OTHER));
    expect(seen.frames).toEqual([MESSAGE, OTHER]);
  });

  test('missing CR, nothing follows: the caller ends the frame', () => {
    const seen = decoderWith();
    seen.decoder.push(framed(MESSAGE).subarray(0, -1));
    expect(seen.decoder.pendingEnd).toBe(true);
    seen.decoder.flushPendingEnd();
    expect(seen.frames).toEqual([MESSAGE]);
    expect(seen.decoder.pendingEnd).toBe(false);
    expect(seen.decoder.inFrame).toBe(false);
  });

  test('the CR comes after the caller ended the frame: it is not garbage', () => {
    const seen = decoderWith();
    seen.decoder.push(framed(MESSAGE).subarray(0, -1));
    seen.decoder.flushPendingEnd();
    seen.decoder.push(Buffer.concat([latin1('\r'), framed(OTHER), latin1('\r')]));
    expect(seen.frames).toEqual([MESSAGE, OTHER]);
    expect(seen.garbage).toBe(1);
  });

  test('missing CR, the connection ends', () => {
    const seen = decoderWith();
    seen.decoder.push(framed(MESSAGE).subarray(0, -1));
    seen.decoder.end();
    expect(seen).toMatchObject({ frames: [MESSAGE], dropped: [] });
  });

  test('end block and CR in different chunks', () => {
    const seen = decoderWith();
    const frame = framed(MESSAGE);
    seen.decoder.push(frame.subarray(0, -1));
    seen.decoder.push(Buffer.concat([frame.subarray(-1), framed(OTHER)]));
    expect(seen).toMatchObject({ frames: [MESSAGE, OTHER], garbage: 0 });
  });

  test('an end block before anything else is content', () => {
    const seen = decoderWith();
    seen.decoder.push(framed('MSH|a\x1cb\x1c\x1c'));
    expect(seen.frames).toEqual(['MSH|a\x1cb\x1c\x1c']);
  });

  test('an end block at the end of a chunk before anything else is content, and not pending', () => {
    const seen = decoderWith();
    seen.decoder.push(latin1('\x0bMSH|a\x1c'));
    seen.decoder.push(latin1('b'));
    expect(seen.decoder.pendingEnd).toBe(false);
    seen.decoder.flushPendingEnd();
    expect(seen.frames).toEqual([]);
    seen.decoder.push(latin1('\x1c\r'));
    expect(seen.frames).toEqual(['MSH|a\x1cb']);
  });
});

describe('start blocks inside a frame', () => {
  test.each(['MSH', 'FHS', 'BHS'])(
    'start byte inside a frame before %s: the broken one is dropped',
    (name) => {
      const seen = decoderWith();
      seen.decoder.push(latin1(`\x0bMSH|broken\x0b${name}|whole\x1c\r`));
      expect(seen.frames).toEqual([`${name}|whole`]);
      expect(seen.dropped).toEqual([['start block inside a frame', 10]]);
    },
  );

  test.each([1, 2, 3])('start byte inside a frame, cut %i bytes after it', (cut) => {
    const seen = decoderWith();
    const bytes = latin1('\x0bMSH|broken\x0bMSH|whole\x1c\r');
    const at = bytes.lastIndexOf(0x0b) + cut;
    seen.decoder.push(bytes.subarray(0, at));
    expect(seen.decoder.pendingEnd).toBe(false);
    expect(seen.dropped).toEqual([]);
    seen.decoder.push(bytes.subarray(at));
    expect(seen.frames).toEqual(['MSH|whole']);
    expect(seen.dropped).toEqual([['start block inside a frame', 10]]);
  });

  test('start byte inside a frame before anything else is content: pasted vertical tabs', () => {
    const seen = decoderWith();
    const pasted = 'MSH|first\x0bsecond\x0bMS\x0b\x0bFH|\x0b';
    seen.decoder.push(framed(pasted));
    for (const byte of oneByOne(framed(pasted))) seen.decoder.push(byte);
    expect(seen).toMatchObject({ frames: [pasted, pasted], dropped: [] });
  });

  test('the connection ends inside a frame', () => {
    const seen = decoderWith();
    seen.decoder.push(latin1('\x0bMSH|half'));
    seen.decoder.end();
    expect(seen).toMatchObject({ frames: [], dropped: [['connection ended inside a frame', 8]] });
    seen.decoder.push(framed(MESSAGE));
    expect(seen.frames).toEqual([]);
  });
});

describe('between frames', () => {
  test('garbage: CR, LF, NUL, byte order marks and noise are skipped and counted', () => {
    const seen = decoderWith();
    const noise = latin1('\r\n\0\xef\xbb\xbfnoise\x1c\r');
    seen.decoder.push(Buffer.concat([noise, framed(MESSAGE), noise]));
    seen.decoder.push(framed(OTHER));
    expect(seen).toMatchObject({ frames: [MESSAGE, OTHER], dropped: [], garbage: 2 * noise.length });
  });

  test('garbage without end: the decoder stops at its cap', () => {
    const seen = decoderWith({ maxGarbage: 100 });
    for (let i = 0; i < 6; i++) seen.decoder.push(latin1('GET / HTTP/1.1\r\n'));
    seen.decoder.push(latin1('GET / HTTP/1.1\r\n\x0bMSH|'));
    seen.decoder.push(framed(MESSAGE));
    expect(seen.overlong).toEqual([[112, 'garbage']]);
    expect(seen.frames).toEqual([]);
    expect(seen.decoder.inFrame).toBe(false);
  });

  test('the cap on garbage counts anew after each frame', () => {
    const seen = decoderWith({ maxGarbage: 8 });
    for (let i = 0; i < 10; i++) seen.decoder.push(Buffer.concat([framed(MESSAGE), latin1('\0'.repeat(8))]));
    expect(seen.frames).toHaveLength(10);
    expect(seen).toMatchObject({ overlong: [], garbage: 80 });
  });

  test('a message without a start block is told apart from garbage', () => {
    const seen = decoderWith();
    seen.decoder.push(latin1(`${MESSAGE}\x1c\r`));
    expect(seen).toMatchObject({ frames: [], dropped: [['no start block', MESSAGE.length + 2]], garbage: 0 });
  });
});

describe('over-long frames', () => {
  test('over-long frame in one chunk, and a frame of just the size', () => {
    const seen = decoderWith({ maxFrame: 16 });
    seen.decoder.push(framed('MSH|567890123456'));
    seen.decoder.push(framed('MSH|5678901234567'));
    expect(seen.frames).toEqual(['MSH|567890123456']);
    expect(seen.overlong).toEqual([[17, 'frame']]);
  });

  test('over-long frame in many chunks: it is never gathered beyond the cap', () => {
    const seen = decoderWith({ maxFrame: 100_000 });
    seen.decoder.push(latin1('\x0bMSH|'));
    const chunk = Buffer.alloc(1000, 0x78);
    for (let i = 0; i < 1000; i++) {
      seen.decoder.push(chunk);
      expect(seen.decoder.bytesHeld).toBeLessThanOrEqual(100_003);
    }
    expect(seen.overlong).toEqual([[100_004, 'frame']]);
    expect(seen.decoder).toMatchObject({ bytesHeld: 0, inFrame: false });
  });

  test('over-long frame: its beginning is shown, so that it can be answered', () => {
    const frame = framed(`${MESSAGE}${'x'.repeat(40_000)}`);
    for (const chunks of [[frame], cutAt(frame, [3]), cutAt(frame, [3, 500, 17_000]), oneByOne(frame)]) {
      const shown: Buffer[] = [];
      const decoder = new MllpDecoder(
        {
          frame() {},
          dropped() {},
          garbage() {},
          overlong: (_count, _what, beginning) => shown.push(Buffer.from(beginning)),
        },
        { maxFrame: 20_000 },
      );
      for (const chunk of chunks) decoder.push(chunk);
      expect(shown).toEqual([frame.subarray(1, 16_385)]);
    }
  });

  test('blocks that never turn out to be any, one byte at a time: no more is held than is streamed above', () => {
    const seen = decoderWith({ streamAbove: 5000 });
    for (const pattern of ['\x1c', '\x0bMS']) {
      seen.decoder.push(latin1('\x0bMSH|'));
      for (const byte of oneByOne(latin1(pattern.repeat(10_000)))) {
        seen.decoder.push(byte);
        expect(seen.decoder.bytesHeld).toBeLessThanOrEqual(5003);
      }
      seen.decoder.push(latin1('x\x1c\r'));
    }
    expect(seen).toMatchObject({ frames: [], dropped: [] });
  });

  test('a large gathering buffer is given back after its frame, a small one is kept', () => {
    const seen = decoderWith();
    for (const size of [1000, 1_000_000]) {
      const frame = framed(`MSH|${'x'.repeat(size)}`);
      seen.decoder.push(frame.subarray(0, size));
      expect(seen.decoder.bytesHeld).toBeGreaterThanOrEqual(size - 1);
      seen.decoder.push(frame.subarray(size));
      expect(seen.decoder.bytesHeld).toBe(size === 1000 ? 4096 : 0);
    }
    expect(seen.frames.map((frame) => frame.length)).toEqual([1004, 1_000_004]);
  });
});

test('the sink may stop the decoder in the middle of a chunk', () => {
  const frames: string[] = [];
  const decoder = new MllpDecoder({
    frame(content) {
      frames.push(content.toString('latin1'));
      decoder.stop();
    },
    dropped() {},
    garbage() {},
    overlong() {},
  });
  decoder.push(Buffer.concat([framed(MESSAGE), framed(OTHER)]));
  decoder.end();
  expect(frames).toEqual([MESSAGE]);
});
