/** PDUs of fixtures/dicom, and the small helpers that the tests of the codec share. */
import { readFileSync } from 'node:fs';
import { PduFault } from '../../../protocols/dicom/pdu-fault.ts';

/** A fixture as bytes: hexadecimal digits, and comments from `#` to the end of the line. */
export function fixture(name: string): Buffer {
  const text = readFileSync(new URL(`../../../fixtures/dicom/${name}.hex`, import.meta.url), 'utf8');
  return Buffer.from(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex');
}

/** The PduFault that `run` throws. Anything else it throws, or nothing, is an error. */
export function faultOf(run: () => unknown): PduFault {
  const fault = faultIfAny(run);
  if (!fault) throw new Error('no PduFault was thrown');
  return fault;
}

/** The PduFault that `run` throws, if any; every other error goes through, and fails the test. */
export function faultIfAny(run: () => unknown): PduFault | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof PduFault) return error;
    throw error;
  }
}

/** `bytes` in pieces that end at `cuts` (offsets, in any order, those outside ignored). */
export function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const inside = [...new Set(cuts)].filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b);
  const ends = [...inside, bytes.length];
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

/** `bytes` with the 16-bit big-endian number at each offset of `patches` replaced. */
export function patched16(bytes: Buffer, patches: Readonly<Record<number, number>>): Buffer {
  const copy = Buffer.from(bytes);
  for (const [offset, value] of Object.entries(patches)) copy.writeUInt16BE(value, Number(offset));
  return copy;
}

/** `bytes` with single bytes replaced. */
export function patched(bytes: Buffer, patches: Readonly<Record<number, number>>): Buffer {
  const copy = Buffer.from(bytes);
  for (const [offset, value] of Object.entries(patches)) copy[Number(offset)] = value;
  return copy;
}

/** A whole A-ASSOCIATE PDU of the given items, with the length fields right. */
export function associateOf(type: number, ...items: Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from('00010000', 'hex'), Buffer.alloc(64, 0x20), ...items]);
  const header = Buffer.from([type, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(body.length, 2);
  return Buffer.concat([header, body]);
}

/** An item: type, length, and its value, text or bytes or further items. */
export function itemOf(type: number, ...values: (string | Buffer | number[])[]): Buffer {
  const value = Buffer.concat(values.map((part) => Buffer.from(part as string, 'latin1')));
  const header = Buffer.from([type, 0, 0, 0]);
  header.writeUInt16BE(value.length, 2);
  return Buffer.concat([header, value]);
}

/** Numbers from 0 to `below` - 1, the same ones for the same seed (mulberry32). */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
