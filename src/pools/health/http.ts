/**
 * http, https: one request on a connection of its own (`Connection: close`), and its answer: the status, and what the
 * body says. Redirects are not followed. Neither path nor body is ever shown: they may hold secrets.
 */
import { type ClientRequest, request as createRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { dialSocket } from '../../relay/dial.ts';
import type { CheckOutcome } from '../server.ts';
import { beginAttempt } from './attempt.ts';
import type { ExpiryWatch } from './certificate-expiry.ts';
import type { Cancel, CheckResult, CheckTarget } from './check.ts';
import { bodyFault, type HttpExpectation, statusFault } from './http-answer.ts';

export interface HttpOptions extends HttpExpectation {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** The Host header; undefined: the address. */
  readonly host: string | undefined;
}

/** What is read of a body, in bytes. */
const LONGEST_BODY = 65_536;
/** How long the server may go on with its answer once enough of it is known, in milliseconds. */
const LINGER_MS = 1000;
const HEADERS = { 'user-agent': 'gantry', accept: '*/*', connection: 'close' };

export function startHttp(
  target: CheckTarget,
  options: HttpOptions,
  watchExpiry: ExpiryWatch,
  done: (result: CheckResult) => void,
): Cancel {
  const { timeout, deadlines, link = {} } = target;
  let request: ClientRequest | undefined;
  let expiry: string | undefined;

  const attempt = beginAttempt(target, done, () => {
    const what = request ? 'takes connections, but does not answer in full' : 'does not take a connection';
    finish('down', `${what} within ${timeout} ms`);
    stop();
  });
  const finish = (outcome: CheckOutcome, reason: string) => {
    attempt.finish(outcome, expiry === undefined ? reason : `${reason}; ${expiry}`);
  };
  const dialling = dialSocket(target, link, (error, socket) => {
    if (!socket) {
      finish('down', error!.message);
      return;
    }
    expiry = watchExpiry(socket);
    // Until the request listens itself.
    socket.on('error', () => {});
    request = send(target, options, socket);
    request.on('response', (response) => receive(response));
    request.on('upgrade', (response, upgraded) => {
      upgraded.destroy();
      judge(response, '');
    });
    request.on('error', (fault) => finish('down', explain(fault)));
  });

  function receive(response: IncomingMessage): void {
    const fault = statusFault(response.statusCode!, options.status);
    const isEnough = fault !== undefined || (options.body === undefined && options.json.length === 0);
    if (isEnough) judge(response, '');
    let text = '';
    let length = 0;
    const decoder = new TextDecoder();
    response.on('data', (chunk: Buffer) => {
      const taken = chunk.subarray(0, LONGEST_BODY - length);
      length += taken.length;
      if (!isEnough) text += decoder.decode(taken, { stream: true });
      if (length < LONGEST_BODY) return;
      judge(response, text);
      stop();
    });
    response.on('end', () => judge(response, text));
    response.on('error', (error) => finish('down', explain(error)));
    // What is still to come is read so that the server sees an orderly end, but not for ever.
    const linger = isEnough ? deadlines.after(LINGER_MS, stop) : undefined;
    response.on('close', () => linger?.cancel());
  }

  function judge({ statusCode }: IncomingMessage, text: string): void {
    const fault = statusFault(statusCode!, options.status) ?? bodyFault(text, options);
    finish(fault === undefined ? 'up' : 'down', fault ?? `answers with status ${statusCode}`);
  }

  function stop(): void {
    dialling.cancel();
    request?.destroy();
  }

  return () => {
    attempt.cancel();
    stop();
  };
}

function send({ host, port, link }: CheckTarget, options: HttpOptions, socket: Socket): ClientRequest {
  const request = createRequest({
    method: options.method,
    path: options.path,
    host,
    port,
    defaultPort: link?.tls ? 443 : 80,
    headers: options.host === undefined ? HEADERS : { ...HEADERS, host: options.host },
    createConnection: () => socket,
  });
  return request.end();
}

function explain(error: Error): string {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  if (code.startsWith('HPE_')) return `answers with something that is not HTTP (${code})`;
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'breaks the connection instead of answering in full';
  return `cannot be asked: ${code}`;
}
