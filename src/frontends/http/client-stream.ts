/** One request of a client that speaks HTTP/2: a stream (RFC 9113 8). */
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Framing } from '../../../protocols/http/body-reader.ts';
import { type Fields, fieldValue } from '../../../protocols/http/fields.ts';
import { requestFault } from '../../../protocols/http/strictness.ts';
import type { Server } from '../../pools/server.ts';
import type { Deadline } from '../../relay/deadlines.ts';
import type { ConnectionView } from '../front-end.ts';
import type { Answer, Client, Origin, Tunnelled } from './client.ts';
import type { ClientHost } from './client-connection.ts';
import type { Exchange } from './exchange.ts';

const EMPTY = Buffer.alloc(0);
const NO_FIELDS: Fields = [];

export class ClientStream implements Client {
  readonly origin: Origin;
  readonly #id: string;
  readonly #host: ClientHost;
  readonly #stream: ServerHttp2Stream;
  readonly #over: () => void;
  readonly #stall: number;
  readonly #deadline: Deadline;
  #exchange: Exchange | undefined;
  #wantsBody = false;
  #isBodyDone = false;
  #trailers: Fields = NO_FIELDS;
  /** What was waiting for the client when the deadline was set. */
  #waiting = 0;

  /** `over`: called once, when the stream is closed. `begin` follows. */
  constructor(stream: ServerHttp2Stream, origin: Origin, host: ClientHost, id: string, over: () => void) {
    const { deadlines, timeouts } = host.settings;
    this.origin = origin;
    this.#id = id;
    this.#host = host;
    this.#stream = stream;
    this.#over = over;
    this.#stall = timeouts.stall;
    this.#deadline = deadlines.after(timeouts.stall, () => this.#timeIsUp());
    this.#deadline.cancel();
  }

  *views(): Iterable<ConnectionView> {
    if (this.#exchange !== undefined) yield this.#exchange.view(this.#id);
  }

  begin(rawHeaders: Fields): void {
    const stream = this.#stream;
    stream.on('error', ignore);
    stream.on('close', () => this.#closed());
    stream.on('drain', () => this.#drained());
    stream.on('trailers', (trailers: IncomingHttpHeaders) => {
      this.#trailers = fieldsOf(trailers);
    });
    const request = {
      method: pseudo(rawHeaders, ':method'),
      target: pseudo(rawHeaders, ':path'),
      version: '2.0',
      rawHeaders,
    };
    this.#isBodyDone = stream.endAfterHeaders;
    const framing: Framing = stream.endAfterHeaders ? 0 : framingOf(rawHeaders);
    this.#exchange = this.#host.serve(this, request, framing, requestFault(request));
    this.#exchange.begin();
  }

  readBody(): void {
    if (this.#wantsBody || this.#isBodyDone) return;
    this.#wantsBody = true;
    this.#rearm();
    if (this.#stream.listenerCount('data') === 0) {
      this.#stream.on('data', (chunk: Buffer) => this.#read(chunk, false));
      // A stream that was reset ends too: what came of it is not the body.
      this.#stream.on('end', () => {
        if (!this.#stream.aborted) this.#read(EMPTY, true);
      });
    }
    this.#stream.resume();
  }

  holdBody(): void {
    this.#wantsBody = false;
    this.#stream.pause();
    this.#rearm();
  }

  inform(status: number, _reason: string, fields: Fields): void {
    if (this.#stream.headersSent || this.#stream.destroyed) return;
    try {
      this.#stream.additionalHeaders({ ...headersOf(fields), ':status': status });
    } catch {
      // Fields that HTTP/2 has once only, several times: the client can do without the hint.
    }
  }

  respond(answer: Answer, content: Buffer, isLast: boolean, trailers: Fields): boolean {
    if (this.#stream.destroyed) return true;
    const endStream = isLast && content.length === 0 && trailers.length === 0;
    // Of an answer that comes before the body, the end must not wait for trailers: `finish` closes the stream.
    const mayTrail = !endStream && answer.framing === 'chunked' && this.#isBodyDone;
    const headers = { ...headersOf(answer.fields), ':status': answer.status };
    try {
      this.#stream.respond(headers, { endStream, waitForTrailers: mayTrail });
    } catch {
      // Fields that HTTP/2 has once only, several times.
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return true;
    }
    if (mayTrail) this.#stream.once('wantTrailers', () => this.#trail());
    return endStream || this.write(content, isLast, trailers);
  }

  write(content: Buffer, isLast: boolean, trailers: Fields): boolean {
    if (this.#stream.destroyed) return true;
    this.#trailers = trailers;
    const copy = content.length === 0 ? EMPTY : Buffer.from(content);
    if (isLast) this.#stream.end(copy);
    else if (copy.length > 0) this.#stream.write(copy);
    this.#rearm();
    return isLast || !this.#stream.writableNeedDrain;
  }

  finish(): void {
    this.#exchange = undefined;
    // RFC 9113 8.1: a client that still sends is told that nobody listens.
    if (!this.#isBodyDone) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    else this.#rearm();
  }

  abort(): void {
    this.#exchange = undefined;
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  /** Extended CONNECT (RFC 8441) is not offered. */
  upgrade(): Tunnelled {
    throw new Error('HTTP/2 has no upgrade');
  }

  leaveServer(server: Server, why: string): void {
    this.#exchange?.leaveServer(server, why);
  }

  lose(why: string): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#deadline.cancel();
    exchange?.gone(why);
  }

  #read(chunk: Buffer, isLast: boolean): void {
    if (isLast) this.#isBodyDone = true;
    if (this.#exchange === undefined) return;
    this.#wantsBody = this.#exchange.body(chunk, isLast, isLast ? this.#trailers : NO_FIELDS);
    if (!this.#wantsBody) this.#stream.pause();
    this.#rearm();
  }

  #drained(): void {
    this.#rearm();
    this.#exchange?.taken();
  }

  #trail(): void {
    try {
      this.#stream.sendTrailers(headersOf(this.#trailers));
    } catch {
      // As above, for what comes behind an answer.
      this.#stream.sendTrailers({});
    }
  }

  /** Whom the exchange waits for: a client that takes its answer, or that sends its body. */
  #rearm(): void {
    this.#waiting = this.#stream.writableLength;
    const waits = this.#waiting > 0 || (this.#wantsBody && !this.#isBodyDone);
    if (waits && !this.#stream.destroyed) this.#deadline.restart(this.#stall);
    else this.#deadline.cancel();
  }

  #timeIsUp(): void {
    const { writableLength } = this.#stream;
    if (writableLength > 0 && writableLength < this.#waiting) this.#rearm();
    else if (writableLength > 0) this.#stream.close(constants.NGHTTP2_CANCEL);
    else this.#exchange?.bodyFailed(408, 'The body of the request stopped coming.');
  }

  #closed(): void {
    this.lose('the client cancelled the request');
    this.#over();
  }
}

function ignore(): void {}

function pseudo(fields: Fields, name: string): string {
  return fieldValue(fields, name) ?? '';
}

/** The length that the client names is the one it keeps: HTTP/2 checks that (RFC 9113 8.1.1). */
function framingOf(fields: Fields): Framing {
  const length = fieldValue(fields, 'content-length');
  return length === undefined ? 'chunked' : Number(length);
}

function fieldsOf(headers: IncomingHttpHeaders): Fields {
  const fields: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const each of [value].flat()) if (each !== undefined) fields.push(name, each);
  }
  return fields;
}

/** Names in lower case (RFC 9113 8.2), several fields of one name as a list. */
function headersOf(fields: Fields): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase();
    const known = headers[name];
    if (known === undefined) headers[name] = fields[at + 1]!;
    else headers[name] = [known, fields[at + 1]!].flat();
  }
  return headers;
}
