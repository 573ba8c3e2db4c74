/** Lines of JSON in UTF-8, as the files of the persistence tables have them. */
import type { FileHandle } from 'node:fs/promises';
import type { Entry } from './table.ts';

/** Bytes that are read in one turn of the event loop. */
const CHUNK = 64 * 1024;
/** Bytes of a line at most: keys are short. */
const LONGEST_LINE = 64 * 1024;

/**
 * Hands over what each line before the byte `end` says, empty ones left out. Returns where the last whole line ends;
 * what follows it is not read. Throws a SyntaxError at a line that is no JSON, and whatever `take` throws.
 */
export async function readLines(
  handle: FileHandle,
  end: number,
  take: (line: unknown) => void,
): Promise<number> {
  let whole = 0;
  let rest = Buffer.alloc(0);
  for await (const bytes of chunks(handle, end)) {
    const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const lines = all.lastIndexOf('\n') + 1;
    if (all.length - lines > LONGEST_LINE) throw new SyntaxError('a line is too long');
    for (const line of all.toString('utf8', 0, Math.max(lines - 1, 0)).split('\n'))
      if (line !== '') take(JSON.parse(line));
    whole += lines;
    rest = Buffer.from(all.subarray(lines));
  }
  return whole;
}

/** The bytes before `end`; each is good until the next is asked for. */
export async function* chunks(handle: FileHandle, end: number): AsyncGenerator<Buffer> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (let position = 0; position < end; ) {
    const { bytesRead } = await handle.read(chunk, 0, Math.min(CHUNK, end - position), position);
    if (bytesRead === 0) throw new Error('it became shorter while it was read');
    position += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** When an entry runs out, in whole milliseconds since 1970; JSON has no Infinity, and makes it null. */
export function endOf({ remaining }: Entry, now: number): number {
  return Math.round(now + remaining);
}

/** The entry that the end of a line says: key, server, and when it runs out. Throws a SyntaxError when it says none. */
export function entryIn([key, server, end]: readonly unknown[], now: number): Entry {
  const until = end === null ? Infinity : end;
  if (typeof key !== 'string' || typeof server !== 'string' || typeof until !== 'number')
    throw new SyntaxError('a line is no entry');
  return { key, server, remaining: until - now };
}

/** What is wrong with a file, in words. */
export function faultOf(error: unknown): string {
  const isOdd = error instanceof SyntaxError || error instanceof TypeError;
  return isOdd ? 'it is not as Gantry writes it' : (error as Error).message;
}
