/** A client's HTTP/1 connection: one request after the other, each answered before the next is looked at (RFC 9112 9.3). */
import { BodyReader, type Framing, requestFraming } from '../../../protocols/http/body-reader.ts';
import { isPersistent } from '../../../protocols/http/connection.ts';
import type { Fields } from '../../../protocols/http/fields.ts';
import { HeadCollector } from '../../../protocols/http/head-collector.ts';
import { MessageFault, readRequestHead } from '../../../protocols/http/message-head.ts';
import { type RequestHead, requestFault } from '../../../protocols/http/strictness.ts';
import type { Server } from '../../pools/server.ts';
import type { Channel, ChannelHandler } from '../../relay/channel.ts';
import type { Deadline } from '../../relay/deadlines.ts';
import { dismiss } from '../../relay/dismiss.ts';
import type { ConnectionView } from '../front-end.ts';
import type { Answer, Client, Origin, Tunnelled } from './client.ts';
import type { Exchange, Refusal } from './exchange.ts';
import { fieldLines, writePiece } from './message-writer.ts';
import type { HttpSettings } from './settings.ts';

/** A client's connection, whatever is spoken on it. */
export interface ClientLink {
  readonly origin: Origin;
  /** One for each request under way, or one for none. */
  views(): Iterable<ConnectionView>;
  /** No more requests; those under way are answered. */
  drain(): void;
  /** Ends at once. */
  close(why: string): void;
  /** The server must have none of the requests under way any more. */
  leaveServer(server: Server, why: string): void;
}

export interface ClientHost {
  /** As they are now: each request begins with those of its moment. */
  readonly settings: HttpSettings;
  /** No connection is kept for another request. */
  readonly isLeaving: boolean;
  serve(client: Client, request: RequestHead, framing: Framing, refused?: Refusal): Exchange;
  clientIsOver(connection: ClientLink): void;
}

/** How long a client may take to close its side after the last answer. */
const LINGER_MS = 5000;

/** So many requests that are answered at once are dealt with before others get their turn. */
const REQUESTS_A_TURN = 50;

/** What the deadline stands for. */
type Clock = 'head' | 'idle' | 'body' | 'taking';

const EMPTY = Buffer.alloc(0);
const NO_FIELDS: Fields = [];
/** Stands for a request that could not be read. */
const UNREADABLE: RequestHead = { method: '', target: '', version: '1.1', rawHeaders: NO_FIELDS };

export class ClientConnection implements ChannelHandler, Client, ClientLink {
  readonly origin: Origin;
  readonly #id: string;
  readonly #started: number;
  readonly #channel: Channel;
  readonly #host: ClientHost;
  readonly #heads: HeadCollector;
  readonly #body = new BodyReader();
  readonly #deadline: Deadline;
  readonly #taken = () => this.#wasTaken();
  #clock: Clock = 'head';
  #exchange: Exchange | undefined;
  /** Read and not dealt with yet: a view that stays while the channel is paused. */
  #rest: Buffer = EMPTY;
  #isProceeding = false;
  #wantsBody = false;
  /** Content that came with the head: it is looked at before anybody is asked. */
  #first: Buffer | undefined;
  /** Of the request in hand. */
  #version = '1.1';
  #persists = true;
  #isAnswered = false;
  /** The answer in hand is sent in chunks. */
  #isChunked = false;
  #hasEnded = false;

  /** `id`: unique while the process lives. */
  constructor(channel: Channel, host: ClientHost, id: string) {
    const { deadlines, limits, timeouts, now } = host.settings;
    this.#id = id;
    this.#started = now();
    this.#channel = channel;
    this.origin = channel;
    this.#host = host;
    this.#heads = new HeadCollector(limits.headers);
    this.#deadline = deadlines.after(timeouts.request, () => this.#timeIsUp());
    channel.handler = this;
  }

  *views(): Iterable<ConnectionView> {
    yield this.#exchange?.view(this.#id) ?? idleView(this.#id, this.origin, this.#started);
  }

  /** Idle: closed now. Else behind the answer in hand, or the one request that is on its way for all we know. */
  drain(): void {
    if (this.#exchange !== undefined) this.#persists = false;
    else if (this.#clock === 'idle') this.#leave();
    else this.#restart('head', Math.min(LINGER_MS, this.#host.settings.timeouts.request));
  }

  /** Ends at once. */
  close(why: string): void {
    this.#channel.reset();
    this.#lose(why);
  }

  leaveServer(server: Server, why: string): void {
    this.#exchange?.leaveServer(server, why);
  }

  read(bytes: Buffer): void {
    this.#rest = bytes;
    this.#proceed();
  }

  ended(): void {
    this.#hasEnded = true;
    const exchange = this.#exchange;
    // A client may close its side and wait for the answer, but only behind a whole request.
    if (exchange !== undefined && this.#body.isDone) this.#persists = false;
    else if (exchange !== undefined) {
      this.#channel.reset();
      this.#lose('the client closed the connection within the request');
    } else this.#leave();
  }

  closed(error: Error | undefined): void {
    this.#lose(error ? 'the client reset the connection' : 'the client closed the connection');
  }

  readBody(): void {
    this.#wantsBody = true;
    this.#rearm();
    this.#proceed();
  }

  holdBody(): void {
    this.#wantsBody = false;
    this.#rearm();
    this.#proceed();
  }

  inform(status: number, reason: string, fields: Fields): void {
    if (this.#version !== '1.1') return;
    this.#channel.write(Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${fieldLines(fields)}\r\n`, 'latin1'));
  }

  respond(answer: Answer, content: Buffer, isLast: boolean, trailers: Fields): boolean {
    const { framing, status, reason, fields } = answer;
    const hasLength = typeof framing === 'number';
    this.#isAnswered = true;
    this.#isChunked = !hasLength && this.#version === '1.1';
    // With a request that is not whole, what follows in its place could be taken for the next one.
    const canPersist = (hasLength || this.#isChunked) && this.#body.isDone && !this.#host.isLeaving;
    this.#persists &&= canPersist;
    let head = `HTTP/1.1 ${status} ${reason}\r\n${fieldLines(fields)}`;
    if (this.#isChunked) head += 'Transfer-Encoding: chunked\r\n';
    if (!this.#persists) head += 'Connection: close\r\n';
    else if (this.#version === '1.0') head += 'Connection: keep-alive\r\n';
    return this.#write(`${head}\r\n`, content, isLast, trailers);
  }

  write(content: Buffer, isLast: boolean, trailers: Fields): boolean {
    return this.#write('', content, isLast, trailers);
  }

  finish(): void {
    this.#exchange = undefined;
    this.#first = undefined;
    if (!this.#persists) {
      this.#leave();
      return;
    }
    this.#restart('idle', this.#host.settings.timeouts.idle);
    this.#proceed();
  }

  abort(): void {
    this.#exchange = undefined;
    this.#channel.reset();
  }

  upgrade(reason: string, fields: Fields): Tunnelled {
    this.#deadline.cancel();
    this.#exchange = undefined;
    const head = `HTTP/1.1 101 ${reason}\r\n${fieldLines(fields)}\r\n`;
    this.#channel.write(Buffer.from(head, 'latin1'));
    this.#host.clientIsOver(this);
    const rest = this.#rest;
    this.#forget();
    return { channel: this.#channel, rest };
  }

  #write(head: string, content: Buffer, isLast: boolean, trailers: Fields): boolean {
    const piece = { head, content, isChunked: this.#isChunked, isLast, trailers };
    const isTaken = writePiece(this.#channel, piece, this.#taken);
    if (!isTaken) this.#rearm();
    return isTaken;
  }

  #wasTaken(): void {
    this.#rearm();
    this.#exchange?.taken();
  }

  /** Deals with what was read, as far as can be now; what has to wait holds the reading back. */
  #proceed(): void {
    if (this.#isProceeding) return;
    this.#isProceeding = true;
    let requests = 0;
    while ((this.#rest.length > 0 || this.#first !== undefined) && this.#step()) {
      // Each step takes something of what was read. Others get their turn between requests that come at once.
      if (this.#exchange === undefined && ++requests === REQUESTS_A_TURN) {
        setImmediate(() => this.#proceed());
        break;
      }
    }
    this.#isProceeding = false;
    const isHeld = this.#exchange !== undefined && !this.#isBodyRead && !this.#wantsBody;
    if (isHeld || this.#rest.length > 0) this.#channel.pause();
    else this.#channel.resume();
  }

  #step(): boolean {
    if (this.#exchange === undefined) return this.#readHead();
    if (this.#isBodyRead || !this.#wantsBody) return false;
    this.#readContent(this.#exchange);
    return true;
  }

  /** All of the body went to the exchange. */
  get #isBodyRead(): boolean {
    return this.#body.isDone && this.#first === undefined;
  }

  #readHead(): boolean {
    const { timeouts } = this.#host.settings;
    let text: string | undefined;
    try {
      const isFirst = this.#heads.isEmpty;
      text = this.#heads.push(this.#rest);
      this.#use(this.#heads.used);
      if (text === undefined) {
        if (isFirst && this.#clock !== 'head') this.#restart('head', timeouts.request);
        return true;
      }
      this.#deadline.cancel();
      this.#begin(readRequestHead(text));
    } catch (fault) {
      if (!(fault instanceof MessageFault)) throw fault;
      this.#refuseUnread(fault.status, fault.message);
    }
    return true;
  }

  #begin(request: RequestHead): void {
    let fault: Refusal | undefined = requestFault(request);
    const framing = fault ? 0 : requestFraming(request.rawHeaders);
    this.#version = request.version;
    this.#isAnswered = false;
    this.#wantsBody = false;
    this.#body.begin(framing);
    if (framing !== 0) fault = this.#readFirst();
    this.#persists = !fault && !this.#hasEnded && isPersistent(request.version, request.rawHeaders);
    const exchange = this.#host.serve(this, request, framing, fault);
    this.#exchange = exchange;
    exchange.begin();
  }

  #refuseUnread(status: Refusal['status'], reason: string): void {
    this.#rest = EMPTY;
    this.#version = '1.1';
    this.#persists = false;
    this.#body.begin(0);
    this.#exchange = this.#host.serve(this, UNREADABLE, 0, { status, reason });
    this.#exchange.begin();
  }

  /** Returns what is wrong with it. */
  #readFirst(): Refusal | undefined {
    if (this.#rest.length === 0) return undefined;
    try {
      this.#first = this.#body.read(this.#rest);
      this.#use(this.#body.used);
      return undefined;
    } catch (fault) {
      if (!(fault instanceof MessageFault)) throw fault;
      this.#rest = EMPTY;
      return { status: fault.status, reason: fault.message };
    }
  }

  #readContent(exchange: Exchange): void {
    try {
      let content = this.#first;
      this.#first = undefined;
      if (content === undefined) {
        content = this.#body.read(this.#rest);
        this.#use(this.#body.used);
      }
      const { isDone, trailers } = this.#body;
      this.#wantsBody = exchange.body(content, isDone, trailers);
      this.#rearm();
    } catch (fault) {
      if (!(fault instanceof MessageFault)) throw fault;
      this.#rest = EMPTY;
      exchange.bodyFailed(fault.status, fault.message);
    }
  }

  #use(count: number): void {
    this.#rest = count === this.#rest.length ? EMPTY : this.#rest.subarray(count);
  }

  /** Whom the exchange in hand waits for: a client that takes its answer, or that sends its body. */
  #rearm(): void {
    const { stall } = this.#host.settings.timeouts;
    if (this.#exchange === undefined) return;
    if (this.#isAnswered && this.#channel.pending > 0) this.#restart('taking', stall);
    else if (!this.#isBodyRead && this.#wantsBody) this.#restart('body', stall);
    else this.#deadline.cancel();
  }

  #restart(clock: Clock, ms: number): void {
    this.#clock = clock;
    this.#deadline.restart(ms);
  }

  #timeIsUp(): void {
    const exchange = this.#exchange;
    if (this.#clock === 'idle' || (exchange === undefined && this.#heads.isEmpty)) this.#leave();
    else if (exchange === undefined) this.#refuseUnread(408, 'The request did not arrive in time.');
    else if (this.#clock === 'body') exchange.bodyFailed(408, 'The body of the request stopped coming.');
    else {
      this.#channel.reset();
      this.#lose('the client stopped reading its answer');
    }
  }

  /** Closes in order: what was written is delivered first. */
  #leave(): void {
    this.#deadline.cancel();
    this.#forget();
    this.#host.clientIsOver(this);
    dismiss(this.#channel, this.#host.settings.deadlines, LINGER_MS);
  }

  #forget(): void {
    this.#rest = EMPTY;
    this.#first = undefined;
  }

  #lose(why: string): void {
    this.#deadline.cancel();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#forget();
    exchange?.gone(why);
    this.#host.clientIsOver(this);
  }
}

export function idleView(id: string, { remote }: Origin, started: number): ConnectionView {
  const nobody = { pool: undefined, server: undefined, reason: undefined };
  return { id, client: remote.host, facts: {}, ...nobody, bytes: NO_BYTES, messages: 0, started };
}

const NO_BYTES = { toServer: 0, toClient: 0 };
