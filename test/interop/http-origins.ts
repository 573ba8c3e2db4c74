/**
 * Real web servers that tell what they were asked. nginx and HAProxy have the answers from a server of Node's behind them:
 * what it is asked is what they read.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startNginx } from '../peers/nginx.ts';
import { freePort, startProgram, waitForPort } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';

/** A request as the server read it. */
export interface Seen {
  /** The port of the server's peer: which connection it was. */
  readonly port: number;
  /** Method and target. */
  readonly start: string;
  /** Latin-1. */
  readonly body: string;
}

export interface HttpOrigin {
  readonly address: Address;
  /** What it was asked, in order. Its answers are the same as JSON. */
  readonly seen: readonly Seen[];
  stop(): Promise<void>;
}

/** The packages are Debian's, and so is the Python. */
const PYTHON = '/usr/bin/python3';
const ECHO = new URL('../peers/http-echo.py', import.meta.url).pathname;
const PEER_PORT = 'x-peer-port';

/** Node's own server. */
async function startNode(): Promise<HttpOrigin> {
  const seen: Seen[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    request.setEncoding('latin1').on('data', (part: string) => {
      body += part;
    });
    request.on('end', () => {
      const told = request.headers[PEER_PORT];
      const port = told === undefined ? request.socket.remotePort! : Number(told);
      const asked = { port, start: `${request.method} ${request.url}`, body };
      seen.push(asked);
      const content = Buffer.from(JSON.stringify(asked), 'latin1');
      response.setHeader('Content-Length', content.length);
      response.end(content);
    });
  };
  const server = createServer({ keepAliveTimeout: 60_000 }, answer);
  server.listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  return {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    seen,
    async stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function startBehindNginx(): Promise<HttpOrigin> {
  const node = await startNode();
  const nginx = await startNginx('front', {
    server: `location / {
      proxy_pass http://127.0.0.1:${node.address.port};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header ${PEER_PORT} $remote_port;
    }`,
  });
  return {
    address: nginx.address,
    seen: node.seen,
    async stop() {
      await nginx.stop();
      await node.stop();
    },
  };
}

async function startBehindHaproxy(): Promise<HttpOrigin> {
  const node = await startNode();
  const folder = mkdtempSync(join(tmpdir(), 'gantry-haproxy-'));
  const port = await freePort();
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port}
  http-request set-header ${PEER_PORT} %[src_port]
  default_backend out
backend out
  server one 127.0.0.1:${node.address.port}
`,
  );
  const haproxy = startProgram('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
  await waitForPort(port, haproxy);
  return {
    address: { host: '127.0.0.1', port },
    seen: node.seen,
    async stop() {
      await haproxy.stop();
      await node.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

async function startPython(): Promise<HttpOrigin> {
  const port = await freePort();
  const python = startProgram(PYTHON, [ECHO, String(port)]);
  await waitForPort(port, python);
  const seen: Seen[] = [];
  let read = 0;
  return {
    address: { host: '127.0.0.1', port },
    get seen() {
      const { output } = python;
      for (let end = output.indexOf('\n', read); end !== -1; end = output.indexOf('\n', read)) {
        const line = output.slice(read, end);
        if (line.startsWith('{')) seen.push(JSON.parse(line) as Seen);
        read = end + 1;
      }
      return seen;
    },
    stop: () => python.stop(),
  };
}

export const ORIGINS: Readonly<Record<string, () => Promise<HttpOrigin>>> = {
  nginx: startBehindNginx,
  HAProxy: startBehindHaproxy,
  "Node's http": startNode,
  "Python's http.server": startPython,
};

export interface FileServer {
  readonly address: Address;
  /** Its access log so far. */
  readonly log: string;
  stop(): Promise<void>;
}

/** `python3 -m http.server` on an empty folder: it reads no body of GET, and keeps its connections. */
export async function startFileServer(): Promise<FileServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-files-'));
  const port = await freePort();
  const words = ['-m', 'http.server', String(port), '--bind', '127.0.0.1', '--protocol', 'HTTP/1.1'];
  const python = startProgram(PYTHON, ['-u', ...words, '--directory', folder]);
  await waitForPort(port, python);
  return {
    address: { host: '127.0.0.1', port },
    get log() {
      return python.output;
    },
    async stop() {
      await python.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
