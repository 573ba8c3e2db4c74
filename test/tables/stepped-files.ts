/** `node:fs/promises` with a look at every step: what a disk may do, and what a kill may leave. */
import type * as promises from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

export const disk = {
  /** Called before and after everything that is done to a file; may throw as the disk would. */
  step: (_what: string, _bytes?: unknown): void => {},
  /** What is being done to files at this moment. */
  busy: 0,
};

/** To be given to `vi.mock`. */
export function steppedFiles(real: typeof promises): typeof promises {
  const openStepped = async (...args: Parameters<typeof real.open>) =>
    steppedHandle(await real.open(...args));
  return {
    ...real,
    open: stepped('open', openStepped),
    rename: stepped('rename', real.rename),
    rm: stepped('rm', real.rm),
  };
}

function steppedHandle(handle: FileHandle): FileHandle {
  return new Proxy(handle, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? stepped(String(name), value.bind(target)) : value;
    },
  });
}

function stepped<Args extends unknown[], Result>(what: string, run: (...args: Args) => Promise<Result>) {
  return async (...args: Args): Promise<Result> => {
    disk.step(what, args[0]);
    disk.busy++;
    const result = await run(...args).finally(() => disk.busy--);
    disk.step(`${what} done`, args[0]);
    return result;
  };
}
