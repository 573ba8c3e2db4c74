/**
 * What becomes of bytes that knock: at the front-end's own readers with `requestFault` behind them, and at Node's HTTP
 * server with the same behind it, which is the yardstick.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { BodyReader, requestFraming } from '../../../protocols/http/body-reader.ts';
import { HeadCollector } from '../../../protocols/http/head-collector.ts';
import { MessageFault, readRequestHead } from '../../../protocols/http/message-head.ts';
import { type RequestHead, requestFault } from '../../../protocols/http/strictness.ts';
import { within } from '../../peers/waiting.ts';

/** A request that would have gone on to a server. */
export interface Served extends RequestHead {
  readonly body: string;
}

/** A number: the status that it is refused with. `waits`: not before its sender gives up. `parser`: Node's own refused it. */
export type Verdict = number | 'waits' | 'parser' | Served;

const LONGEST_HEAD = 65_536;

/** The verdict of our own readers on bytes (as Latin-1) that come in these pieces. */
export function ownVerdict(pieces: readonly string[]): Verdict {
  const heads = new HeadCollector(LONGEST_HEAD);
  const reader = new BodyReader();
  let head: RequestHead | undefined;
  let body = '';
  try {
    for (const piece of pieces) {
      let bytes = Buffer.from(piece, 'latin1');
      if (!head) {
        const text = heads.push(bytes);
        bytes = bytes.subarray(heads.used);
        if (text === undefined) continue;
        head = readRequestHead(text);
        const fault = requestFault(head);
        if (fault) return fault.status;
        reader.begin(requestFraming(head.rawHeaders));
      }
      if (bytes.length > 0 && !reader.isDone) body += reader.read(bytes).toString('latin1');
      if (reader.isDone) return { ...head, body };
    }
  } catch (error) {
    if (error instanceof MessageFault) return error.status;
    throw error;
  }
  return 'waits';
}

export interface FrontDoor {
  /** Sends the bytes (as Latin-1) on a connection of their own, and nothing after them. */
  knock(raw: string): Promise<Verdict>;
  close(): Promise<void>;
}

export async function openFrontDoor(): Promise<FrontDoor> {
  const server = createServer({ requireHostHeader: false, maxHeaderSize: LONGEST_HEAD });
  const verdicts = new Map<number, (verdict: Verdict) => void>();

  const tell = (socket: Socket, verdict: Verdict) => {
    verdicts.get(socket.remotePort!)?.(verdict);
    socket.destroy();
  };
  const judge = (request: IncomingMessage) => {
    const { socket, method = '', url: target = '', httpVersion: version, rawHeaders } = request;
    const head = { method, target, version, rawHeaders };
    const fault = requestFault(head);
    if (fault) {
      tell(socket, fault.status);
      return;
    }
    let body = '';
    request.setEncoding('latin1');
    request.on('data', (part: string) => {
      body += part;
    });
    // A body that its sender breaks off is the parser's to refuse.
    request.on('error', () => {});
    request.on('end', () => tell(socket, { ...head, body }));
  };
  for (const event of ['request', 'upgrade', 'connect', 'checkContinue', 'checkExpectation'])
    server.on(event, judge);
  server.on('clientError', (_error, socket) => tell(socket as Socket, 'parser'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    async knock(raw) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      await once(socket, 'connect');
      const { promise, resolve } = Promise.withResolvers<Verdict>();
      verdicts.set(socket.localPort!, resolve);
      socket.end(Buffer.from(raw, 'latin1'));
      const verdict = await within(promise, 'a verdict on a request');
      verdicts.delete(socket.localPort!);
      socket.destroy();
      return verdict;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
