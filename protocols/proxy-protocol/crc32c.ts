/** CRC-32C (Castagnoli), RFC 9260 appendix A: reflected polynomial 82F63B78. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0);
  return remainder >>> 0;
});

/** The checksum of all bytes of `bytes`, those from `zeroFrom` to `zeroTo` taken as zeros. */
export function crc32c(bytes: Uint8Array, zeroFrom = 0, zeroTo = 0): number {
  let remainder = 0xffffffff;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = at >= zeroFrom && at < zeroTo ? 0 : bytes[at]!;
    remainder = (remainder >>> 8) ^ TABLE[(remainder ^ byte) & 0xff]!;
  }
  return ~remainder >>> 0;
}
