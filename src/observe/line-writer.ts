/**
 * Writes lines to a file descriptor without waiting for it: 64 KiB and more at once, what is less within 100 ms. A
 * reader that is slow costs memory up to a cap and then lines; a reader that is gone costs nothing.
 */
import { write, writeSync } from 'node:fs';

export interface LineWriter {
  /** Takes a line, its line feed included. */
  write(line: string): void;
  /** Resolves when everything is written, or cannot be. */
  flush(): Promise<void>;
  /** Writes what is left, as far as the reader takes it at once: for a process that exits. */
  flushSync(): void;
}

const ENOUGH = 65_536;
const CAP = 16 * 1024 * 1024;
const FLUSH_AFTER_MS = 100;
const RETRY_AFTER_MS = 20;

/** `descriptor`: an open file descriptor, such as 1. */
export function createLineWriter(descriptor: number): LineWriter {
  let text = '';
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing = false;
  let broken = false;
  const waiting: (() => void)[] = [];

  function send(): void {
    clearTimeout(timer);
    timer = undefined;
    if (writing) return;
    if (broken || text === '') {
      for (const resolve of waiting.splice(0)) resolve();
      return;
    }
    writing = true;
    const bytes = Buffer.from(text);
    text = dropped > 0 ? `{"level":"warn","msg":"log lines dropped","lines":${dropped}}\n` : '';
    dropped = 0;
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
        if (text.length >= ENOUGH || waiting.length > 0) send();
      }
    });
  }

  return {
    write(line) {
      if (broken) return;
      if (text.length + line.length > CAP) {
        dropped++;
        return;
      }
      text += line;
      if (text.length >= ENOUGH) send();
      else timer ??= setTimeout(send, FLUSH_AFTER_MS).unref();
    },
    flush() {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      send();
      return promise;
    },
    flushSync() {
      if (broken || text === '') return;
      const bytes = Buffer.from(text);
      text = '';
      try {
        let at = 0;
        while (at < bytes.length) at += writeSync(descriptor, bytes, at);
      } catch {
        // A full pipe or no reader: nobody can be told.
      }
    },
  };
}
