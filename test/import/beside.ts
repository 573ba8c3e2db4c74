/**
 * One configuration of HAProxy, run twice: by HAProxy itself, and by Gantry after `gantry import`. Both have the same
 * servers behind them and listen on ports of their own, which the file takes from the environment.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../cli/run-cli.ts';
import { type GantryProcess, startGantry } from '../peers/gantry-process.ts';
import { freePort, type PeerProcess, startProgram, waitForPort } from '../peers/processes.ts';
import { within } from '../peers/waiting.ts';

export interface Beside {
  /** By the names that the file has for them. */
  readonly haproxy: Readonly<Record<string, number>>;
  readonly gantry: Readonly<Record<string, number>>;
  /** What the command wrote to standard error. */
  readonly told: string;
  readonly yaml: string;
  stop(): Promise<void>;
}

export interface BesideOptions {
  /** Names of the variables that hold ports to listen on. */
  readonly listen: readonly string[];
  /** Other variables: ports of servers, paths. */
  readonly environment: Readonly<Record<string, string>>;
  readonly importOptions?: readonly string[];
}

/** Starts both on `file`. Gantry runs nothing that `gantry check` would not accept. */
export async function startBeside(
  file: string,
  { listen, environment, importOptions = [] }: BesideOptions,
): Promise<Beside> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-import-'));
  const ports = async () =>
    Object.fromEntries(await Promise.all(listen.map(async (name) => [name, await freePort()] as const)));
  const [ours, theirs] = [await ports(), await ports()];
  const variables = (own: Record<string, number>) => ({
    ...environment,
    ...Object.fromEntries(Object.entries(own).map(([name, port]) => [name, String(port)])),
  });
  const imported = await runCli(['import', 'haproxy', ...importOptions, file], variables(ours));
  if (imported.code !== 0) throw new Error(imported.stderr);
  const yaml = imported.stdout.replace(/127\.0\.0\.1:9090/, '127.0.0.1:0');
  const path = join(folder, 'gantry.yaml');
  writeFileSync(path, yaml);
  const haproxy: PeerProcess = startProgram('haproxy', ['-db', '-f', file], {
    env: variables(theirs),
  });
  await waitForPort(Object.values(theirs)[0]!, haproxy);
  const gantry: GantryProcess = await startGantry(path);
  return {
    haproxy: theirs,
    gantry: ours,
    told: imported.stderr,
    yaml,
    async stop() {
      await gantry.kill();
      await haproxy.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface NamedServer {
  readonly name: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** A web server that answers with its name and what it was asked. */
export async function startWebServer(name: string): Promise<NamedServer> {
  const server = createServer((request, response) => {
    const { method, url, headers } = request;
    request.resume();
    response.setHeader('Server', 'invented/1.0');
    response.end(JSON.stringify({ name, method, url, headers }));
  });
  return listening(name, server, () => server.closeAllConnections());
}

/** A TCP server that greets with its name, and tells what came first when it was told to wait for that. */
export async function startGreeter(name: string, answer?: (bytes: Buffer) => string): Promise<NamedServer> {
  const open = new Set<Socket>();
  const server = createTcpServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    if (!answer) socket.end(`${name}\n`);
    else socket.once('data', (bytes) => socket.end(`${name} ${answer(bytes)}\n`));
  });
  return listening(name, server, () => {
    for (const socket of open) socket.destroy();
  });
}

/** Listens on a port that is nobody else's, also when it has stopped. `cut`: ends what is open. */
async function listening(name: string, server: Server, cut: () => void): Promise<NamedServer> {
  server.listen(await freePort(), '127.0.0.1');
  await once(server, 'listening');
  return {
    name,
    port: (server.address() as AddressInfo).port,
    stop: () => {
      cut();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
}

/** What a TCP connection to `port` says until it ends; '' when it ends without a word. */
export function greeting(port: number, localAddress = '127.0.0.1', says = ''): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  socket.on('error', () => {}).on('close', () => resolve(text.trim()));
  if (says !== '') socket.write(says);
  return within(promise, `a greeting on ${port}`);
}

export interface Asked {
  readonly path: string;
  readonly host: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The client's address. */
  readonly from?: string;
  readonly tls?: boolean;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** What the server was asked; undefined: the answer is none of a server. */
  readonly seen: { name: string; method: string; url: string; headers: Record<string, string> } | undefined;
}

export function ask(
  port: number,
  { path, host, method = 'GET', headers = {}, from = '127.0.0.1', tls = false }: Asked,
): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const send = tls ? httpsRequest : httpRequest;
  const request = send(
    {
      port,
      host: '127.0.0.1',
      localAddress: from,
      path,
      method,
      headers: { ...headers, Host: host },
      agent: false,
      rejectUnauthorized: false,
    },
    (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        body += part;
      });
      response.on('end', () => {
        resolve({ status: response.statusCode!, headers: response.headers, body, seen: seenIn(body) });
      });
    },
  );
  request.on('error', reject).end();
  return within(promise, `${method} ${path} on ${port}`);
}

function seenIn(body: string): Answered['seen'] {
  return body.startsWith('{') ? (JSON.parse(body) as Answered['seen']) : undefined;
}
