/** A file that a command was given. */
import { readFileSync } from 'node:fs';
import { usageFailure } from './failure.ts';

/** The bytes of `file`, `-` for standard input. Fails with a sentence. */
export function readInput(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : message;
    throw usageFailure(`${file} cannot be read: ${reason}`);
  }
}
