/** Deflated data sets (PS3.5 A.5): a raw deflate stream (RFC 1951), without zlib's header. */
import { constants, inflateRawSync } from 'node:zlib';

/** The most that is inflated, in bytes: what a study is told by stands far before. */
const MOST = 4 * 1024 * 1024;
/** A compressed byte gives at most 1032: as many of them as this give no more than MOST. */
const STEP = 4 * 1024;

/**
 * A function that inflates the beginning of a stream as far as it goes, and never more than twice MOST: of a stream that
 * gives more, as long a beginning as gives at least MOST. undefined when it is no deflate stream.
 */
export function createInflate(): (prefix: Buffer) => Buffer | undefined {
  return (prefix) => {
    let inflated = inflate(prefix);
    if (inflated !== 'too long') return inflated;
    // The longest beginning that is not too long lies between these two.
    let [fits, exceeds] = [0, prefix.length];
    let longest: Buffer | undefined;
    while (exceeds - fits > STEP) {
      const middle = fits + Math.ceil((exceeds - fits) / 2);
      inflated = inflate(prefix.subarray(0, middle));
      if (inflated === undefined) return undefined;
      if (inflated === 'too long') {
        exceeds = middle;
      } else {
        fits = middle;
        longest = inflated;
      }
    }
    return longest;
  };
}

function inflate(prefix: Buffer): Buffer | 'too long' | undefined {
  try {
    return inflateRawSync(prefix, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 2 * MOST });
  } catch (error) {
    return (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE' ? 'too long' : undefined;
  }
}
