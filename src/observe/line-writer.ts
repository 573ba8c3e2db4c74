/**
 * Writes lines to a file descriptor without waiting for it: 256 KiB at once, what is less within 100 ms. A reader that
 * is slow costs memory up to a cap and then lines; a reader that is gone costs nothing.
 */
import { fstatSync, write, writeSync } from 'node:fs';

/** A line of ASCII that is made where it is to be: in the bytes for the system. */
export interface Line {
  /** Bytes it takes at most. */
  readonly most: number;
  /** Puts it, its line feed included, at `start`. Returns where it ends. */
  put(target: Buffer, start: number): number;
}

export interface LineWriter {
  /** Takes a line, its line feed included. */
  write(line: string): void;
  /** The same, of a line without a character beyond ASCII. */
  writeAscii(line: string): void;
  put(line: Line): void;
  /** Resolves when everything is written, or cannot be. */
  flush(): Promise<void>;
  /**
   * Writes what is left now, as far as the reader takes it: what a process that is killed would take with it. `isEnd`: the
   * process ends, and there is no later.
   */
  flushSync(isEnd?: boolean): void;
}

const ENOUGH = 256 * 1024;
const CAP = 16 * 1024 * 1024;
const FLUSH_AFTER_MS = 100;
const RETRY_AFTER_MS = 20;

/** `descriptor`: an open file descriptor, such as 1. */
export function createLineWriter(descriptor: number): LineWriter {
  /** Each line becomes bytes at once, while it is in the processor's cache. */
  let buffer: Buffer = Buffer.allocUnsafeSlow(ENOUGH);
  let length = 0;
  /** Written, and to be filled again. */
  let spare: Buffer | undefined;
  /** Full, and not yet given to the system. */
  const full: Buffer[] = [];
  let fullBytes = 0;
  let dropped = 0;
  const isFile = fstatSync(descriptor).isFile();
  let timer: NodeJS.Timeout | undefined;
  let writing = false;
  let broken = false;
  const waiting: (() => void)[] = [];

  function take(line: string, encoding: 'utf8' | 'latin1'): void {
    if (!hasRoom(encoding === 'utf8' ? 3 * line.length : line.length)) return;
    length += buffer.write(line, length, encoding);
    timer ??= setTimeout(send, FLUSH_AFTER_MS).unref();
  }

  function put(line: Line): void {
    if (!hasRoom(line.most)) return;
    length = line.put(buffer, length);
    timer ??= setTimeout(send, FLUSH_AFTER_MS).unref();
  }

  /** Is there room for a line of `most` bytes now? If not, it is dropped. */
  function hasRoom(most: number): boolean {
    if (broken) return false;
    if (fullBytes + length + most > CAP) {
      dropped++;
      return false;
    }
    if (length + most > buffer.length) makeRoom(most);
    return true;
  }

  function makeRoom(needed: number): void {
    setAside();
    if (needed > buffer.length) buffer = Buffer.allocUnsafeSlow(needed);
    send();
  }

  function setAside(): void {
    if (length === 0) return;
    full.push(buffer.subarray(0, length));
    fullBytes += length;
    buffer = spare ?? Buffer.allocUnsafeSlow(ENOUGH);
    spare = undefined;
    length = 0;
  }

  function send(): void {
    clearTimeout(timer);
    timer = undefined;
    if (writing) return;
    if (full.length === 0) setAside();
    const bytes = full.shift();
    if (broken || bytes === undefined) {
      for (const resolve of waiting.splice(0)) resolve();
      return;
    }
    writing = true;
    fullBytes -= bytes.length;
    writeOut(bytes);
  }

  function writeOut(bytes: Buffer): void {
    write(descriptor, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(writeOut, RETRY_AFTER_MS, bytes);
      } else if (!error && written < bytes.length) {
        writeOut(bytes.subarray(written));
      } else {
        // A reader that is gone does not come back: the descriptor is ours for good.
        if (error) broken = true;
        writing = false;
        reuse(bytes);
        tellDropped();
        // What became due meanwhile has no timer any more.
        if (full.length > 0 || waiting.length > 0 || timer === undefined) send();
      }
    });
  }

  /** These bytes are written. */
  function reuse({ buffer: memory }: Buffer): void {
    if (memory.byteLength === ENOUGH) spare = Buffer.from(memory);
  }

  function tellDropped(): void {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    take(`{"level":"warn","msg":"log lines dropped","lines":${lines}}\n`, 'latin1');
  }

  return {
    write: (line) => take(line, 'utf8'),
    writeAscii: (line) => take(line, 'latin1'),
    put,
    flush() {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      send();
      return promise;
    },
    flushSync(isEnd = false) {
      if (broken) return;
      setAside();
      // What is under way in a pipe would be cut in two by what is written beside it: it is next, as soon as it may be. A
      // file takes each write whole.
      if (writing && !isFile && !isEnd) return;
      try {
        for (let bytes = full[0]; bytes; bytes = full[0]) {
          const written = writeSync(descriptor, bytes);
          fullBytes -= written;
          if (written === bytes.length) reuse(full.shift()!);
          else full[0] = bytes.subarray(written);
        }
      } catch {
        // A full pipe, which may take the rest later; or no reader, which nobody can be told.
        timer ??= setTimeout(send, FLUSH_AFTER_MS).unref();
      }
    },
  };
}
