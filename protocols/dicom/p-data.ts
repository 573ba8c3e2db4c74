/**
 * Writes P-DATA-TF (PS3.8 Table 9-22, layout in pdu-follower.ts): one PDV a PDU, fragments of even length (PS3.8 Annex E).
 */
import { type CommandToWrite, encodeCommand } from './command-set.ts';
import { PDU, PDU_HEADER_LENGTH } from './pdu.ts';

const PDV_HEADER_LENGTH = 6;
const COMMAND_BIT = 1;
const LAST_BIT = 2;
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
  const fragment = fragmentLength(maxLength);
  const count = Math.max(1, Math.ceil(bytes.length / fragment));
  const headers = PDU_HEADER_LENGTH + PDV_HEADER_LENGTH;
  const pdus = Buffer.alloc(bytes.length + count * headers);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const part = bytes.subarray(index * fragment, (index + 1) * fragment);
    pdus[at] = PDU.P_DATA_TF;
    pdus.writeUInt32BE(PDV_HEADER_LENGTH + part.length, at + 2);
    pdus.writeUInt32BE(2 + part.length, at + PDU_HEADER_LENGTH);
    pdus[at + PDU_HEADER_LENGTH + 4] = contextId;
    pdus[at + PDU_HEADER_LENGTH + 5] = control | (index === count - 1 ? LAST_BIT : 0);
    pdus.set(part, at + headers);
    at += headers + part.length;
  }
  return pdus;
}

/** The limit counts a PDU's variable field, so that a PDV header is part of it (PS3.8 D.1). */
function fragmentLength(maxLength: number): number {
  if (maxLength === 0) return UNLIMITED_FRAGMENT;
  return Math.max(LEAST_FRAGMENT, (maxLength - PDV_HEADER_LENGTH) & ~1);
}
