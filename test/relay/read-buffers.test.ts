import type { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import {
  giveBuffer,
  holdMemory,
  isInUse,
  LARGE_BUFFER,
  LARGE_LIMIT,
  releaseMemory,
  SMALL_BUFFER,
  takeLargeBuffer,
  takeSmallBuffer,
  whenFree,
} from '../../src/relay/read-buffers.ts';

describe('read buffers', () => {
  it('are used again when given back', () => {
    const buffer = takeSmallBuffer();
    expect(buffer.length).toBe(SMALL_BUFFER);
    giveBuffer(buffer, false);
    expect(takeSmallBuffer()).toBe(buffer);
  });

  it('are not used again when somebody holds them, or an unfinished write reads from them', () => {
    const held = takeSmallBuffer();
    giveBuffer(held, true);
    expect(takeSmallBuffer()).not.toBe(held);
    const written = takeSmallBuffer();
    holdMemory(written.subarray(0, 10));
    giveBuffer(written, false);
    expect(takeSmallBuffer()).not.toBe(written);
    releaseMemory(written);
  });

  it('come in a limited number when large', () => {
    const taken: Buffer[] = [];
    for (let buffer = takeLargeBuffer(); buffer !== undefined; buffer = takeLargeBuffer()) taken.push(buffer);
    expect(taken).toHaveLength(LARGE_LIMIT);
    expect(taken.every((buffer) => buffer.length === LARGE_BUFFER)).toBe(true);
    giveBuffer(taken[0]!, false);
    expect(takeLargeBuffer()).toBe(taken[0]);
    // One that is lost to a write makes room for a new one.
    giveBuffer(taken[1]!, true);
    expect(taken).not.toContain(takeLargeBuffer());
    for (const buffer of taken) giveBuffer(buffer, false);
  });

  it('tell when the last write from them has finished', () => {
    const buffer = takeSmallBuffer();
    const told: string[] = [];
    whenFree(buffer, () => told.push('at once'));
    holdMemory(buffer.subarray(0, 5));
    holdMemory(buffer.subarray(5, 9));
    whenFree(buffer, () => told.push('later'));
    releaseMemory(buffer.subarray(0, 5));
    expect([told, isInUse(buffer)]).toEqual([['at once'], true]);
    releaseMemory(buffer.subarray(5, 9));
    expect([told, isInUse(buffer)]).toEqual([['at once', 'later'], false]);
  });
});
