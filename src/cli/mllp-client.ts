/** A small MLLP client for the command line: one message, one answer. */
import { connect, type Socket } from 'node:net';
import { END_BLOCK, encodeFrame, START_BLOCK } from '../../protocols/hl7/mllp.ts';
import { MllpDecoder } from '../../protocols/hl7/mllp-decoder.ts';
import type { Endpoint } from './endpoint.ts';
import { runFailure } from './failure.ts';

const START = String.fromCharCode(START_BLOCK);
const END = String.fromCharCode(END_BLOCK);

/**
 * The messages of a file: each begins with an MSH segment. Framing, and the headers and trailers of a batch, are left
 * out; line ends become carriage returns. All other bytes stay as they are.
 */
export function messagesIn(file: Buffer): Buffer[] {
  const segments = file
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '')
    .replaceAll(`${START}MSH`, '\rMSH')
    .replaceAll(`${END}\r`, '\r')
    .split(/[\r\n]+/)
    .filter((segment) => segment !== '' && segment !== END && !/^\W?(FHS|BHS|BTS|FTS)\W/.test(segment));
  const messages: string[][] = [];
  for (const segment of segments) {
    if (segment.startsWith('MSH')) messages.push([segment]);
    else messages.at(-1)?.push(segment);
  }
  return messages.map((lines) => Buffer.from(`${lines.join('\r')}\r`, 'latin1'));
}

export class MllpClient {
  readonly #socket: Socket;
  readonly #target: string;
  readonly #timeout: number;
  readonly #answers: Buffer[] = [];
  #lost: string | undefined;
  #wake: () => void = () => {};

  /** `timeout` in milliseconds, for the connection and for each answer. */
  static async connect(endpoint: Endpoint, timeout: number): Promise<MllpClient> {
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
    } catch (error) {
      socket.destroy();
      throw error;
    }
    socket.setTimeout(0).removeAllListeners('timeout').removeAllListeners('error');
    return new MllpClient(socket, target, timeout);
  }

  private constructor(socket: Socket, target: string, timeout: number) {
    this.#socket = socket;
    this.#target = target;
    this.#timeout = timeout;
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

  /** Sends a message and resolves with the content of the next frame. `name` is for the sentence when it fails. */
  async exchange(message: Buffer, name: string): Promise<Buffer> {
    this.#socket.write(encodeFrame(message));
    let timer: NodeJS.Timeout | undefined;
    let late = false;
    try {
      while (this.#answers.length === 0 && this.#lost === undefined && !late) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          timer ??= setTimeout(() => {
            late = true;
            this.#wake();
          }, this.#timeout);
        });
      }
    } finally {
      clearTimeout(timer);
    }
    const answer = this.#answers.shift();
    if (answer) return answer;
    throw runFailure(
      `${name}: no acknowledgement from ${this.#target}: ${this.#lost ?? 'none came in time'}`,
    );
  }

  close(): void {
    this.#socket.destroy();
  }

  #lose(reason: string): void {
    this.#lost ??= reason;
    this.#wake();
  }
}
