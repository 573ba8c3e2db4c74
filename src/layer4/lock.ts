/**
 * Which process has the layer 4 tables of this machine, or of this network namespace: two would take each other's rules
 * for those of a run before. It holds an abstract Unix socket (unix(7)), which belongs to the network namespace as the
 * tables do, and which the kernel takes back whenever the process ends.
 */
import { createServer, type Server } from 'node:net';

export interface Lock {
  /** false: another process has it. */
  take(): Promise<boolean>;
  release(): Promise<void>;
}

const NAME = '\0gantry-layer4';

export function createLock(name = NAME): Lock {
  let held: Server | undefined;
  return {
    async take() {
      if (held) return true;
      const server = createServer((socket) => socket.destroy());
      const isOurs = await new Promise<boolean>((resolve) => {
        server.once('error', () => resolve(false));
        server.listen(name, () => resolve(true));
      });
      if (isOurs) held = server.unref();
      return isOurs;
    },
    async release() {
      const server = held;
      held = undefined;
      if (server) await new Promise((resolve) => server.close(resolve));
    },
  };
}
