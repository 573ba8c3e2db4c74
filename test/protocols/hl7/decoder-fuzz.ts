/**
 * Mutated MLLP against the reference decoder: streams of invented messages, short and long, with bits flipped, blocks
 * put in, pieces doubled, taken out and cut off, in chunks cut anywhere, under caps of any size. The push decoder must
 * report what the reference decoder reports, hold no more than its caps allow, and not throw.
 *
 * `node test/protocols/hl7/decoder-fuzz.ts [CHUNKS [SEED]]` runs it by hand: 1 000 000 chunks unless told.
 */
import assert from 'node:assert/strict';
import { MllpDecoder, type MllpSink } from '../../../protocols/hl7/mllp-decoder.ts';
import { hl7Message } from '../../peers/hl7-messages.ts';
import { mllpFrame } from '../../peers/mllp-peer.ts';
import { randomFrom } from '../../peers/random.ts';
import { cutAt, decoderReports, type Limits, oneByOne, referenceReports } from './reference-decoder.ts';

export interface FuzzOptions {
  /** How many chunks are pushed, or a few more. */
  readonly chunks: number;
  /** The same seed, the same chunks. */
  readonly seed: number;
  readonly print?: (line: string) => void;
}

export interface FuzzCounts {
  streams: number;
  chunks: number;
  bytes: number;
  /** What was reported, of each kind. */
  reports: Record<string, number>;
  /** Milliseconds for the slowest chunk of 512 KiB, of bytes that are as bad as can be. */
  slowestMs: number;
}

type Random = (below: number) => number;

/** What a reading buffer holds at most. */
const LARGEST_CHUNK = 512 * 1024;
const MARKS = [0x0b, 0x1c, 0x0d, 0x0a, 0x00, 0x4d, 0x53, 0x48, 0x46, 0x42, 0x78];
const CAPS = [4, 16, 60, 300, 1000, 5000, Infinity];

/** Throws at the first difference, with the bytes that make it. */
export function fuzzDecoder({ chunks, seed, print = () => {} }: FuzzOptions): FuzzCounts {
  const chance = randomFrom(seed);
  const random: Random = (below) => Math.floor(chance() * below);
  const counts: FuzzCounts = { streams: 0, chunks: 0, bytes: 0, reports: {}, slowestMs: slowestChunk() };
  let announced = 0;
  while (counts.chunks < chunks) {
    const bytes = mutate(stream(random), random);
    const limits: Limits = {
      maxFrame: pick(CAPS, random),
      streamAbove: random(2) ? random(120) : pick(CAPS, random),
      maxGarbage: pick(CAPS, random),
    };
    const pieces = random(200) === 0 ? [...oneByOne(bytes)] : cutAt(bytes, places(bytes, random));
    compare(bytes, pieces, limits, random(2) === 0, counts);
    counts.streams++;
    counts.chunks += pieces.length;
    counts.bytes += bytes.length;
    if (counts.chunks - announced >= 100_000) {
      announced = counts.chunks;
      print(`decoder: ${counts.chunks} mutated chunks, no difference`);
    }
  }
  const { streams, reports, slowestMs } = counts;
  const kinds = Object.entries(reports).map(([kind, count]) => `${kind} ${count}`);
  print(
    `decoder: ${counts.chunks} mutated chunks in ${streams} streams, no difference (${kinds.join(', ')})`,
  );
  print(`decoder: the slowest chunk of 512 KiB took ${slowestMs.toFixed(1)} ms`);
  return counts;
}

function compare(
  bytes: Buffer,
  pieces: readonly Buffer[],
  limits: Limits,
  pauses: boolean,
  { reports }: FuzzCounts,
): void {
  const expected = referenceReports(bytes, limits);
  const shown = () => `${JSON.stringify(limits)} ${pieces.map((piece) => piece.toString('hex')).join(' ')}`;
  let got: string[];
  try {
    got = decoderReports(pieces, limits, pauses);
  } catch (error) {
    throw new Error(`the decoder failed on ${shown()}`, { cause: error });
  }
  for (const report of expected) {
    const kind = report.split(' ', 1)[0]!;
    reports[kind] = (reports[kind] ?? 0) + 1;
  }
  if (got.join() !== expected.join()) assert.deepEqual(got, expected, `a difference on ${shown()}`);
}

/** Some frames, as a sender sends them. */
function stream(random: Random): Buffer {
  const frames: Buffer[] = [];
  for (let count = 1 + random(5); count > 0; count--) {
    const length = pick([0, 0, 0, 300, 2000], random);
    const message = hl7Message({
      controlId: `M${count}`,
      segments: random(2) ? ['NTE|1||a\x0bb\x1cc'] : [],
      length,
    });
    frames.push(
      mllpFrame(
        random(8) === 0 ? Buffer.concat([Buffer.from('FHS|^~\\&|F\rBHS|^~\\&|B\r'), message]) : message,
      ),
    );
    if (random(4) === 0) frames.push(Buffer.from('\r\n'));
  }
  return Buffer.concat(frames);
}

function mutate(original: Buffer, random: Random): Buffer {
  let bytes = original;
  for (let changes = random(8); changes > 0; changes--) {
    const at = random(bytes.length + 1);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const piece = after.subarray(0, random(100));
    const flipped = Buffer.from(bytes);
    if (at < bytes.length) flipped[at]! ^= 1 << random(8);
    const ways = [
      () => flipped,
      () => Buffer.concat([before, Buffer.of(pick(MARKS, random)), after]),
      () => Buffer.concat([before, Buffer.of(pick(MARKS, random), pick(MARKS, random)), after]),
      () => Buffer.concat([before, Buffer.of(pick(MARKS, random)), after.subarray(1)]),
      () => Buffer.concat([before, Buffer.from('\x0bMSH'), after]),
      () => Buffer.concat([before, piece, after]),
      () => Buffer.concat([before, after.subarray(piece.length)]),
      () => (random(4) === 0 ? before : bytes),
    ];
    bytes = pick(ways, random)();
  }
  return bytes;
}

/** Where it is cut: anywhere, and close to what matters. */
function places(bytes: Buffer, random: Random): number[] {
  const cuts: number[] = [];
  for (let count = random(12); count > 0; count--) cuts.push(random(bytes.length + 1));
  for (let at = bytes.indexOf(0x0b); at >= 0; at = bytes.indexOf(0x0b, at + 1)) {
    if (random(3) === 0) cuts.push(at + random(5));
  }
  for (let at = bytes.indexOf(0x1c); at >= 0; at = bytes.indexOf(0x1c, at + 1)) {
    if (random(3) === 0) cuts.push(at + random(3));
  }
  return cuts;
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random(items.length)]!;
}

/** Milliseconds for the slowest of chunks that are nothing but blocks, or almost. */
function slowestChunk(): number {
  const patterns = ['\x0b', '\x1c', '\x0b\x1c', '\x1cx', '\x0bMS', '\x0bMSH', '\x0b\x1c\r', 'x', '\r'];
  const sink: MllpSink = {
    frame() {},
    began() {},
    part() {},
    whole() {},
    dropped() {},
    garbage() {},
    overlong() {},
  };
  let slowest = 0;
  for (const pattern of patterns) {
    const chunk = Buffer.alloc(LARGEST_CHUNK, pattern, 'latin1');
    const decoder = new MllpDecoder(sink, { streamAbove: 1000 });
    decoder.push(Buffer.from('\x0bMSH|'));
    for (let i = 0; i < 3; i++) {
      const start = performance.now();
      decoder.push(chunk);
      slowest = Math.max(slowest, performance.now() - start);
    }
  }
  return slowest;
}

if (process.argv[1] === import.meta.filename) {
  const [chunks = 1_000_000, seed = 1] = process.argv.slice(2).map(Number);
  fuzzDecoder({ chunks, seed, print: console.log });
}
