/** A TCP relay that keeps every byte that passes: to see what really went over a connection. */
import { connect, createServer, type Socket } from 'node:net';
import { PDU_TYPE, type Pdu } from './pdus.ts';
import type { Address } from './test-connection.ts';
import { Journal, within } from './waiting.ts';

/** One connection through the relay. */
export class Recording {
  readonly #chunks: Record<'toServer' | 'toClient', Buffer[]> = { toServer: [], toClient: [] };
  /** Both sides are gone. */
  over = false;
  /** Ours on the connection to the server, once it stands: what the server sees of its peer. */
  port: number | undefined;

  add(direction: 'toServer' | 'toClient', chunk: Buffer): void {
    this.#chunks[direction].push(chunk);
  }

  /** What the client sent. */
  get toServer(): Buffer {
    return Buffer.concat(this.#chunks.toServer);
  }

  /** What the server sent. */
  get toClient(): Buffer {
    return Buffer.concat(this.#chunks.toClient);
  }

  get request(): Buffer {
    return firstPdu(this.toServer, PDU_TYPE.RQ);
  }

  get accept(): Buffer {
    return firstPdu(this.toClient, PDU_TYPE.AC);
  }
}

export interface RecordingRelay {
  readonly address: Address;
  /** `host:port`, as configurations want it. */
  readonly endpoint: string;
  /** In the order in which they came. */
  readonly recordings: Journal<Recording>;
  stop(): Promise<void>;
}

/** Passes every connection on to `to`: bytes, ends and resets. Listens on a port of the system's choosing. */
export async function startRecordingRelay(to: Address): Promise<RecordingRelay> {
  const recordings = new Journal<Recording>('recordings');
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const recording = new Recording();
    const upstream = connect({ ...to, allowHalfOpen: true });
    recordings.add(recording);
    upstream.once('connect', () => {
      recording.port = upstream.localPort;
    });
    const see = (direction: 'toServer' | 'toClient') => (chunk: Buffer) => {
      recording.add(direction, chunk);
      recordings.changed();
    };
    pass(client, upstream, see('toServer'));
    pass(upstream, client, see('toClient'));
    for (const socket of [client, upstream]) {
      open.add(socket.setNoDelay(true));
      socket.on('close', () => {
        open.delete(socket);
        if (!open.has(client) && !open.has(upstream)) {
          recording.over = true;
          recordings.changed();
        }
      });
    }
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', resolve);
  await within(promise, 'a listening port');
  const { port } = server.address() as { port: number };
  return {
    address: { host: '127.0.0.1', port },
    endpoint: `127.0.0.1:${port}`,
    recordings,
    async stop() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Whole PDUs at the beginning of `bytes`. */
export function splitPdus(bytes: Buffer): { readonly pdus: Pdu[]; readonly rest: Buffer } {
  const pdus: Pdu[] = [];
  let at = 0;
  while (at + 6 <= bytes.length) {
    const end = at + 6 + bytes.readUInt32BE(at + 2);
    if (end > bytes.length) break;
    pdus.push({ type: bytes[at]!, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return { pdus, rest: bytes.subarray(at) };
}

function firstPdu(bytes: Buffer, type: number): Buffer {
  const [first] = splitPdus(bytes).pdus;
  if (first?.type !== type) throw new Error(`the first PDU is of type ${first?.type}, not ${type}`);
  return first.bytes;
}

function pass(from: Socket, to: Socket, see: (chunk: Buffer) => void): void {
  from.on('data', (chunk: Buffer) => {
    see(chunk);
    if (to.write(chunk)) return;
    from.pause();
    to.once('drain', () => from.resume());
  });
  from.on('end', () => to.end());
  from.on('error', () => to.resetAndDestroy());
}
