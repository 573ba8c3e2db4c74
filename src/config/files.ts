/** `file:PATH`: the content of a file in the place of a value. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Fault } from './fault.ts';
import type { Place, Plain, Source } from './source.ts';

/** Where a file may be named, by the keys that lead there; `*` is any key, or any place of a list. */
interface Places {
  readonly [key: string]: Places | typeof SECRET | typeof CONTENT;
}

/** White space round it is dropped, and nothing is not allowed. */
const SECRET = 'secret';
/** As it is. */
const CONTENT = 'content';

const HEALTH: Places = {
  ca: SECRET,
  message: CONTENT,
  get all() {
    return { '*': HEALTH };
  },
  get any() {
    return { '*': HEALTH };
  },
};

const PLACES: Places = {
  admin: { token: SECRET },
  pools: {
    '*': { tls: { ca: SECRET, cert: SECRET, key: SECRET }, health: HEALTH, persistence: { key: SECRET } },
  },
  vips: {
    '*': {
      tls: {
        cert: SECRET,
        key: SECRET,
        clientCa: SECRET,
        // A single record is a list of one.
        certificates: { cert: SECRET, key: SECRET, '*': { cert: SECRET, key: SECRET } },
      },
      persistence: { key: SECRET },
      routes: { '*': { respond: { body: CONTENT } } },
    },
  },
};

/** Puts the content of each file that `source` names in its place; paths are relative to `folder`. */
export function readFiles(source: Source, folder: string): Fault[] {
  const faults: Fault[] = [];
  const read = (written: string, kind: typeof SECRET | typeof CONTENT, place: Place): string => {
    if (!written.startsWith('file:')) return written;
    const wrong = (message: string): string => {
      faults.push(source.fault(place, message));
      return written;
    };
    try {
      const content = readText(resolve(folder, written.slice('file:'.length)));
      const value = kind === SECRET ? content.trim() : content;
      return value === '' ? wrong('the file is empty') : value;
    } catch (error) {
      return wrong(`the file cannot be read: ${unreadable(error)}`);
    }
  };
  const walk = (value: Plain, places: Places[string], place: Place): Plain => {
    if (typeof value === 'string') return typeof places === 'string' ? read(value, places, place) : value;
    if (typeof places === 'string' || value === null) return value;
    if (Array.isArray(value)) {
      const each = places['*'];
      return each ? value.map((item, index) => walk(item, each, place.list[index]!)) : value;
    }
    for (const [key, inner] of Object.entries(value)) {
      const next = places[key] ?? places['*'];
      const at = place.record.get(key);
      if (next !== undefined && at) value[key] = walk(inner, next, at);
    }
    return value;
  };
  walk(source.value, PLACES, source.place);
  return faults;
}

/** Throws when it cannot be read, or is not UTF-8. */
export function readText(path: string): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'there is no such folder',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8 text',
};

/** Why `readText` threw. */
export function unreadable(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message;
}
