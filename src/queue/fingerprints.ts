/** Fingerprints, packed: as an object each, two hundred thousand of them take seconds from thread to thread. */

/** What a repetition of a message is known by. */
export interface Remembered {
  readonly fingerprint: Uint8Array;
  /** When it was stored: milliseconds since 1970. */
  readonly at: number;
}

export interface PackedFingerprints {
  readonly at: Float64Array;
  /** Where each ends in `bytes`. */
  readonly ends: Uint32Array;
  readonly bytes: Uint8Array;
}

export function packFingerprints(all: Iterable<Remembered>): PackedFingerprints {
  const at: number[] = [];
  const ends: number[] = [];
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const { at: time, fingerprint } of all) {
    end += fingerprint.length;
    at.push(time);
    ends.push(end);
    parts.push(fingerprint);
  }
  const bytes = new Uint8Array(end);
  for (const [index, part] of parts.entries()) bytes.set(part, ends[index]! - part.length);
  return { at: Float64Array.from(at), ends: Uint32Array.from(ends), bytes };
}

export function* unpackFingerprints({ at, ends, bytes }: PackedFingerprints): Iterable<Remembered> {
  for (const [index, end] of ends.entries())
    yield { at: at[index]!, fingerprint: bytes.subarray(ends[index - 1] ?? 0, end) };
}
