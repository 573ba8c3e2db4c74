/**
 * MLLP: the frame around an HL7 v2 message (HL7 Implementation Guide, Appendix C; HL7 v3 Transport: MLLP R2).
 *
 *     offset  bytes            name
 *     0       0B               start block
 *     1       n bytes          content: the message, or a batch; values 20 to FF and 0D by the standard
 *     1 + n   1C               end block
 *     2 + n   0D               carriage return
 *
 * In release 2 the commit acknowledgement block: 0B 06 1C 0D, or 0B 15 1C 0D.
 */

export const START_BLOCK = 0x0b;
export const END_BLOCK = 0x1c;
export const CARRIAGE_RETURN = 0x0d;

/** Milliseconds after which whoever keeps the time takes an end block with nothing behind it for the end of the frame. */
export const END_BLOCK_ALONE_MS = 200;

/**
 * Release 2 answers each block by one whose content is a single byte (HL7 v3 Transport Specification: MLLP, Release 2,
 * "Commit Acknowledgement Block"): the content is in safe storage, or it is not.
 */
export const COMMITTED = Buffer.of(0x06);
export const NOT_COMMITTED = Buffer.of(0x15);

/** Does this frame's content acknowledge one of ours in release 2? Undefined: it is a message. */
export function commitAcknowledgement(content: Buffer): 'committed' | 'not committed' | undefined {
  if (content.length !== 1) return undefined;
  if (content[0] === COMMITTED[0]) return 'committed';
  return content[0] === NOT_COMMITTED[0] ? 'not committed' : undefined;
}

/** The two bytes that some receivers want to be others. Neither may be 0D, nor may they be equal. */
export interface MllpBlocks {
  /** Default 0B. */
  readonly startBlock?: number;
  /** Default 1C. */
  readonly endBlock?: number;
}

/** How many bytes a frame around `contentLength` bytes has. */
export function frameLength(contentLength: number): number {
  return contentLength + 3;
}

/** Writes the frame around `content` into `target` at `offset`; returns the offset after it. There must be room. */
export function writeFrame(target: Buffer, offset: number, content: Buffer, blocks: MllpBlocks = {}): number {
  target[offset] = blocks.startBlock ?? START_BLOCK;
  content.copy(target, offset + 1);
  const end = offset + 1 + content.length;
  target[end] = blocks.endBlock ?? END_BLOCK;
  target[end + 1] = CARRIAGE_RETURN;
  return end + 2;
}

/** The frame around `content`, in a buffer of its own. */
export function encodeFrame(content: Buffer, blocks?: MllpBlocks): Buffer {
  const frame = Buffer.allocUnsafe(frameLength(content.length));
  writeFrame(frame, 0, content, blocks);
  return frame;
}
