/**
 * How channels read: `direct` into buffers of ours, or `copying` through the socket's `data` events.
 *
 * Node offers direct reading (`onread`) for outgoing sockets only. Accepted connections need what is not public: the
 * listening handle's `onconnection`, and a `net.Socket` made from the accepted handle. So the shapes are checked at
 * every listener, one real connection is tried before the first, and when anything is not as expected, accepted
 * connections are read by copying.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, Socket } from 'node:net';
import { notice } from '../observe/events.ts';
import { SOCKET_OPTIONS, TcpChannel } from './tcp-channel.ts';

export type ReadMode = 'direct' | 'copying';

/** The way everything reads that was not told otherwise; `GANTRY_READS=copying` is for tests and for trouble. */
export const DEFAULT_READS: ReadMode = process.env.GANTRY_READS === 'copying' ? 'copying' : 'direct';

/** How long the trial connection may take: a process that stood still for a while is not to read by copying ever after. */
const TRIAL_MS = 10_000;

/** An accepted connection as the system's layer of Node hands it over. */
export interface AcceptedHandle {
  readonly fd: number;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
}

interface ListeningHandle {
  onconnection(status: number, accepted: AcceptedHandle | undefined): void;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, seconds: number): number;
}

/**
 * Has a listening server hand its connections to `accept`, which makes them channels or sockets, without a `connection`
 * event. False when this Node is not made as expected: then nothing was changed.
 */
export function acceptDirect(
  server: Server,
  keepAliveMs: number,
  accept: (handle: AcceptedHandle) => void,
): boolean {
  const listening = (server as unknown as { _handle?: Partial<ListeningHandle> | null })._handle;
  const original = listening?.onconnection;
  if (
    !listening ||
    typeof original !== 'function' ||
    typeof listening.setNoDelay !== 'function' ||
    typeof listening.setKeepAlive !== 'function'
  ) {
    return false;
  }
  // Accepted connections inherit these on Linux, which saves five system calls each.
  listening.setNoDelay(true);
  listening.setKeepAlive(true, keepAliveMs / 1000);
  listening.onconnection = function (status, accepted) {
    // Errors, and handles that are made otherwise, take the way they always took.
    if (status !== 0 || typeof accepted?.useUserBuffer !== 'function')
      original.call(this as ListeningHandle, status, accepted);
    else accept(accepted);
  };
  return true;
}

/** The accepted connection as a channel that reads directly. */
export function directChannel(handle: AcceptedHandle): TcpChannel {
  const channel = new TcpChannel(true);
  return channel.attach(new Socket({ ...SOCKET_OPTIONS, handle: handle as never, onread: channel.onread }));
}

/** The accepted connection as a socket as Node's own servers make them, from which nothing was read yet. */
export function pausedSocket(handle: AcceptedHandle): Socket {
  // Documented for servers only (`pauseOnConnect`), and the same thing.
  const options = { handle: handle as never, allowHalfOpen: true, pauseOnCreate: true };
  return new Socket(options);
}

let trial: Promise<boolean> | undefined;

/** Whether accepted connections can be read directly: tried once, with one connection to ourselves. */
export function directAcceptWorks(): Promise<boolean> {
  trial ??= tryDirectAccept()
    .catch(() => false)
    .then((works) => {
      if (!works) notice('warn', 'accepted connections are read by copying', { node: process.version });
      return works;
    });
  return trial;
}

/** A connection that sends five bytes, gets them back, and closes in order. */
async function tryDirectAccept(): Promise<boolean> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const works = await new Promise<boolean>((resolve) => {
    let echoed = '';
    const client = connect({ host: '127.0.0.1', port: (server.address() as { port: number }).port });
    const finish = (result: boolean) => {
      clearTimeout(timer);
      client.destroy();
      resolve(result);
    };
    const timer = setTimeout(finish, TRIAL_MS, false);
    server.on('connection', () => finish(false));
    const taken = acceptDirect(server, 60_000, (handle) => {
      const channel = directChannel(handle);
      channel.handler = {
        read: (bytes) => void channel.write(Buffer.from(bytes)),
        ended: () => channel.end(),
        closed: (error) => finish(error === undefined && echoed === 'trial' && channel.bytesRead === 5),
      };
    });
    client.on('data', (chunk) => {
      echoed += chunk.toString('latin1');
    });
    client.on('error', () => finish(false));
    client.end('trial');
    if (!taken) finish(false);
  });
  server.close();
  return works;
}
