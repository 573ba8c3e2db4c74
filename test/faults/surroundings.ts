/** What the balancer of a faults run stands between: servers of four protocols, and certificates. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { startStorescp } from '../peers/dcmtk.ts';
import { startNginx } from '../peers/nginx.ts';
import { freePort, startProgram, waitForPort } from '../peers/processes.ts';

/** Pool → the endpoints of its servers. */
export type Endpoints = Readonly<Record<'archive' | 'ris' | 'web' | 'chat' | 'raw', readonly string[]>>;

export interface Servers {
  readonly endpoints: Endpoints;
  /** The files in which the HL7 receivers wrote what they got. */
  readonly ledgers: readonly string[];
  stop(): Promise<void>;
}

export async function startServers(folder: string): Promise<Servers> {
  const archive = await Promise.all(
    ['a', 'b', 'c'].map((name) => startStorescp(join(folder, `archive-${name}`), { ae: 'ARCHIVE' })),
  );
  const web = await Promise.all(['web-a', 'web-b', 'web-c'].map((name) => startNginx(name)));
  const ledgers = ['one', 'two'].map((name) => join(folder, `ledger-${name}`));
  const receivers = await Promise.all(ledgers.map(startReceiver));
  const chat = await Promise.all([startChat(), startChat()]);
  const raw = await Promise.all([startEcho(), startEcho()]);
  return {
    endpoints: {
      archive: archive.map(({ endpoint }) => endpoint),
      ris: receivers.map(({ port }) => `127.0.0.1:${port}`),
      web: web.map(({ endpoint }) => endpoint),
      chat: chat.map(({ endpoint }) => endpoint),
      raw: raw.map(({ endpoint }) => endpoint),
    },
    ledgers,
    async stop() {
      for (const server of [...chat, ...raw]) server.close();
      await Promise.all(
        [...archive, ...web, ...receivers.map(({ process }) => process)].map((one) => one.stop()),
      );
    },
  };
}

async function startReceiver(ledger: string) {
  const port = await freePort();
  const program = new URL('../peers/hl7-receiver-process.ts', import.meta.url).pathname;
  const receiver = startProgram(process.execPath, [program, String(port), ledger]);
  await waitForPort(port, receiver);
  return { port, process: receiver };
}

/** A WebSocket server that sends back what it gets. */
export async function startChat(): Promise<{ readonly endpoint: string; close(): void }> {
  const server = createServer();
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  return { endpoint: await listening(server), close: () => closed(server) };
}

async function startEcho() {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  return { endpoint: await listening(server), close: () => closed(server) };
}

function closed(server: Server): void {
  server.close();
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Writes PEM files that a configuration names. */
export function writeCertificate(folder: string, { cert, key }: { cert: string; key: string }): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'server.pem'), cert);
  writeFileSync(join(folder, 'server.key'), key);
}
