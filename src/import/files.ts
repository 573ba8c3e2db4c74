/** Files that a foreign configuration names: certificates, lists of patterns. Only looked at, never changed. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';

export interface Files {
  /** The absolute path of `written`, which is relative to `base`, or to the folder of the configuration. */
  resolve(written: string, base: string | undefined): string;
  /** undefined: it cannot be read, or is larger than any list or certificate. */
  read(path: string): string | undefined;
  /** The names in a folder; undefined: it is none. */
  list(path: string): string[] | undefined;
}

const LARGEST = 4 * 1024 * 1024;

/** `folder`: of the configuration. */
export function filesBeside(folder: string): Files {
  return {
    resolve: (written, base) => {
      return isAbsolute(written) ? written : resolve(folder, base ?? '', written);
    },
    read(path) {
      try {
        return statSync(path).size > LARGEST ? undefined : readFileSync(path, 'utf8');
      } catch {
        return undefined;
      }
    },
    list(path) {
      try {
        return readdirSync(path);
      } catch {
        return undefined;
      }
    },
  };
}
