/** Node's HTTP server with `requestFault` behind it, as a front-end has them: what becomes of bytes that knock there. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { requestFault } from '../../../protocols/http/strictness.ts';
import { within } from '../../peers/waiting.ts';

/** A request that would have gone on to a server. */
export interface Served {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** `parser`: Node refused it itself. A number: the status of `requestFault`. */
export type Verdict = 'parser' | number | Served;

export interface FrontDoor {
  /** Sends the bytes (as Latin-1) on a connection of their own, and nothing after them. */
  knock(raw: string): Promise<Verdict>;
  close(): Promise<void>;
}

export async function openFrontDoor(): Promise<FrontDoor> {
  const server = createServer({ requireHostHeader: false, maxHeaderSize: 65_536 });
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
