/** Incoming connections. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { notice } from '../observe/events.ts';
import type { Channel, Endpoint } from './channel.ts';
import { describeEndpoint, listenError } from './connection-error.ts';
import { createDescriptorWatch } from './descriptors.ts';
import { acceptDirect, DEFAULT_READS, directAcceptWorks, type ReadMode } from './read-mode.ts';
import { KEEP_ALIVE_MS, SOCKET_OPTIONS, TcpChannel } from './tcp-channel.ts';

/** Connections the system may keep waiting for us: a department's modalities coming back all at once. */
const BACKLOG = 4096;

/** One for all listeners, made with the first. */
let watchDescriptors: ((descriptor: number) => void) | undefined;

export interface ListenOptions {
  /** How accepted channels read; direct, if this Node can, unless asked otherwise. */
  readonly reads?: ReadMode;
}

export interface Listener {
  /** Where it listens: the port the system chose when 0 was asked for. */
  readonly endpoint: Endpoint;
  /** Takes no more connections; those that were accepted live on. Resolves when the port is free. */
  close(): Promise<void>;
}

/**
 * Listens, and hands every connection to `accept`, which sets the channel's handler before it returns.
 * Rejects with GTY_LISTEN, whose message names the address and the remedy.
 */
export async function listen(
  endpoint: Endpoint,
  accept: (channel: Channel) => void,
  { reads = DEFAULT_READS }: ListenOptions = {},
): Promise<Listener> {
  const server = createServer({
    allowHalfOpen: true,
    highWaterMark: SOCKET_OPTIONS.writableHighWaterMark,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  });
  const direct = reads === 'direct' && (await directAcceptWorks());
  try {
    server.listen({ host: endpoint.host, port: endpoint.port, backlog: BACKLOG });
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error, endpoint);
  }
  const { address, port } = server.address() as AddressInfo;
  const bound = { host: address, port };
  server.on('error', (error) => {
    notice('error', 'a connection could not be accepted', {
      listen: describeEndpoint(bound),
      reason: error.message,
    });
  });
  server.on('connection', (socket) => accept(new TcpChannel(false).attach(socket)));
  if (direct) {
    watchDescriptors ??= createDescriptorWatch();
    const watch = watchDescriptors;
    acceptDirect(server, KEEP_ALIVE_MS, (channel, descriptor) => {
      watch(descriptor);
      accept(channel);
    });
  }
  return {
    endpoint: bound,
    async close() {
      // Its own callback waits for connections as well; the port is free as soon as this returns.
      server.close();
    },
  };
}
