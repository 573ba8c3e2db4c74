/**
 * Writes P-DATA-TF (PS3.8 Table 9-22, layout in pdu-follower.ts): one PDV a PDU, fragments of even length (PS3.8 Annex E).
 * Such a PDU with its headers is called a frame here.
 */
import { type CommandToWrite, encodeCommand } from './command-set.ts';
import { PDU, PDU_HEADER_LENGTH } from './pdu.ts';

export const PDV_HEADER_LENGTH = 6;
/** Of the message control header. */
export const COMMAND_BIT = 1;
export const LAST_BIT = 2;
/** PDU header and PDV header. */
export const FRAME_HEADER_LENGTH = PDU_HEADER_LENGTH + PDV_HEADER_LENGTH;
/** Used towards a peer that takes PDUs of any length (0), and the least that makes sense of a peer's own limit. */
const UNLIMITED_FRAGMENT = 64 * 1024;
const LEAST_FRAGMENT = 2;

/** A command as P-DATA-TF PDUs. `maxLength`: the limit that the receiver announced, in bytes; 0 is none. */
export function writeCommand(contextId: number, command: CommandToWrite, maxLength = 0): Buffer {
  return writeFragments(contextId, encodeCommand(command), COMMAND_BIT, maxLength);
}

/** A data set, already encoded, as P-DATA-TF PDUs. `maxLength`: as for `writeCommand`. */
export function writeDataSet(contextId: number, dataSet: Uint8Array, maxLength = 0): Buffer {
  return writeFragments(contextId, dataSet, 0, maxLength);
}

function writeFragments(contextId: number, bytes: Uint8Array, control: number, maxLength: number): Buffer {
  const fragment = maxLength === 0 ? UNLIMITED_FRAGMENT : longestFragment(maxLength);
  const count = Math.max(1, Math.ceil(bytes.length / fragment));
  const pdus = Buffer.alloc(bytes.length + count * FRAME_HEADER_LENGTH);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const part = bytes.subarray(index * fragment, (index + 1) * fragment);
    const isLast = index === count - 1;
    putFrameHeader(pdus, at, contextId, control | (isLast ? LAST_BIT : 0), part.length);
    pdus.set(part, at + FRAME_HEADER_LENGTH);
    at += FRAME_HEADER_LENGTH + part.length;
  }
  return pdus;
}

/**
 * The longest fragment for a peer that announced `maxLength`, in bytes; Infinity when that is 0. The limit counts a PDU's
 * variable field, so that a PDV header is part of it (PS3.8 D.1).
 */
export function longestFragment(maxLength: number): number {
  return maxLength === 0 ? Infinity : Math.max(LEAST_FRAGMENT, (maxLength - PDV_HEADER_LENGTH) & ~1);
}

/** Writes the headers of a frame whose fragment has `length` bytes. `control`: the message control header. */
export function putFrameHeader(
  bytes: Buffer,
  at: number,
  contextId: number,
  control: number,
  length: number,
): void {
  bytes[at] = PDU.P_DATA_TF;
  bytes[at + 1] = 0;
  bytes.writeUInt32BE(PDV_HEADER_LENGTH + length, at + 2);
  bytes.writeUInt32BE(2 + length, at + PDU_HEADER_LENGTH);
  bytes[at + PDU_HEADER_LENGTH + 4] = contextId;
  bytes[at + PDU_HEADER_LENGTH + 5] = control;
}

/** The length of the fragment whose frame begins at `at`, in bytes. */
export function fragmentLength(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at + PDU_HEADER_LENGTH) - 2;
}

/** The message control header of the frame that begins at `at`. */
export function frameControl(bytes: Buffer, at: number): number {
  return bytes[at + PDU_HEADER_LENGTH + 5]!;
}
