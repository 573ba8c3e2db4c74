/** A small MLLP client for the command line: messages out, answers in. */
import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { encodeFrame } from '../../protocols/hl7/mllp.ts';
import { MllpDecoder } from '../../protocols/hl7/mllp-decoder.ts';
import { connectTls, type TlsClientOptions } from '../relay/tls-client.ts';
import { tlsError } from '../relay/tls-error.ts';
import type { Endpoint } from './endpoint.ts';
import { runFailure } from './failure.ts';

/** For the last bytes to leave. */
const LINGER_MS = 1000;

export class MllpClient {
  /** `host:port`. */
  readonly target: string;
  readonly #socket: Socket;
  readonly #answers: Buffer[] = [];
  #lost: string | undefined;
  #wake: () => void = () => {};

  /** `timeout`: milliseconds for the connection, with TLS if `tls` says how. Fails with a sentence. */
  static async connect(endpoint: Endpoint, timeout: number, tls?: TlsClientOptions): Promise<MllpClient> {
    const target = `${endpoint.host}:${endpoint.port}`;
    const socket = connect({ ...endpoint, noDelay: true });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.setTimeout(timeout, () =>
          reject(runFailure(`${target} cannot be reached: no answer in time`)),
        );
        socket.once('connect', resolve);
        socket.once('error', (error: NodeJS.ErrnoException) => {
          reject(runFailure(`${target} cannot be reached: ${error.code ?? error.message}`));
        });
      });
      socket.removeAllListeners('timeout').removeAllListeners('error');
      const spoken = tls ? await secure(socket, endpoint, tls) : socket;
      return new MllpClient(spoken.setTimeout(0), target);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  private constructor(socket: Socket, target: string) {
    this.target = target;
    this.#socket = socket;
    const decoder = new MllpDecoder({
      frame: (content) => {
        this.#answers.push(Buffer.from(content));
        this.#wake();
      },
      dropped: () => {},
      garbage: () => {},
      overlong: () => this.#lose('its answer is too long'),
    });
    socket.on('data', (chunk: Buffer) => decoder.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#lose(error.code ?? error.message));
    socket.on('close', () => this.#lose('it closed the connection'));
  }

  /** Why there will be no more answers. */
  get lost(): string | undefined {
    return this.#lost;
  }

  send(message: Buffer): void {
    this.#socket.write(encodeFrame(message));
  }

  /** The content of the next frame; undefined: none came within `timeout` milliseconds, or none ever will. */
  async answer(timeout: number): Promise<Buffer | undefined> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, timeout);
    while (this.#answers.length === 0 && this.#lost === undefined && !isLate) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(timer);
    return this.#answers.shift();
  }

  /** Resolves when all that was sent is on its way, or the other side does not take it. */
  async close(): Promise<void> {
    const socket = this.#socket;
    const late = setTimeout(() => socket.destroy(), LINGER_MS);
    if (!socket.destroyed) await new Promise<void>((resolve) => socket.end(() => resolve()));
    clearTimeout(late);
    socket.destroy();
  }

  #lose(reason: string): void {
    this.#lost ??= reason;
    this.#wake();
  }
}

function secure(socket: Socket, endpoint: Endpoint, tls: TlsClientOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // Of the time that is left to connect.
    socket.once('timeout', () =>
      socket.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })),
    );
    connectTls(socket, endpoint, tls, (error, secured) => {
      if (secured) resolve(secured);
      else reject(tlsError(error, endpoint));
    });
  });
}
