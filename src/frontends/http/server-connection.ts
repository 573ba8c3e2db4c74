/** One HTTP/1.1 connection to a server: a request goes out, its response comes back, then it waits for the next. */
import { BodyReader, type Framing, responseFraming } from '../../../protocols/http/body-reader.ts';
import { isPersistent } from '../../../protocols/http/connection.ts';
import { type Fields, fieldValue, fieldValues } from '../../../protocols/http/fields.ts';
import { HeadCollector } from '../../../protocols/http/head-collector.ts';
import { MessageFault, type ResponseHead, readResponseHead } from '../../../protocols/http/message-head.ts';
import { isWithoutContent } from '../../../protocols/http/methods.ts';
import type { GantryError } from '../../errors.ts';
import type { Channel, ChannelHandler } from '../../relay/channel.ts';
import type { Deadline, Deadlines } from '../../relay/deadlines.ts';
import type { Tunnelled } from './client.ts';
import { writePiece } from './message-writer.ts';

/**
 * Why there is no response, or only a part of one. connect: no connection was had. closed: it ended before the first
 * byte of an answer. late: no answer in time, or none any more. garbage: what came is no HTTP.
 */
export interface ServerFailure {
  readonly kind: 'connect' | 'closed' | 'late' | 'garbage';
  /** For the log: a sentence about the server. */
  readonly detail: string;
}

export interface ResponseHandler {
  /** The request is on its way over a connection that stands. */
  connected(): void;
  informed(head: ResponseHead): void;
  /** The response begins; `content` is a view, valid until this returns, or until `resume` when this called `pause`. */
  responded(head: ResponseHead, framing: Framing, content: Buffer, isLast: boolean, trailers: Fields): void;
  content(content: Buffer, isLast: boolean, trailers: Fields): void;
  /** The server took the offer to upgrade: the connection is the handler's now. */
  upgraded(head: ResponseHead, tunnelled: Tunnelled): void;
  /** What `write` gave has been taken. */
  sent(): void;
  failed(failure: ServerFailure): void;
}

export interface Outgoing {
  /** The head, with its empty line. */
  readonly head: string;
  readonly method: string;
  readonly framing: Framing;
  /** The protocol that it offers to upgrade to, in lower case. */
  readonly upgrade: string | undefined;
  /** The body is sent only when the server has said so, or the client does not wait for it. */
  readonly expectsContinue: boolean;
  /** Milliseconds from the end of the request to the response. */
  readonly responseTimeout: number;
  /** Milliseconds of silence within the response, or within the sending. */
  readonly stallTimeout: number;
}

export interface ServerConnectionHome {
  readonly deadlines: Deadlines;
  /** It waits for its next request, for so many milliseconds at most. */
  isIdle(connection: ServerConnection, atMost: number | undefined): void;
  /** It is gone. */
  isOver(connection: ServerConnection): void;
}

/** What the deadline stands for. */
type Clock = 'connect' | 'response' | 'stall' | 'idle' | 'closing';

const NO_FIELDS: Fields = [];
const EMPTY = Buffer.alloc(0);

export class ServerConnection implements ChannelHandler {
  /** It has answered before. */
  isUsed = false;
  readonly #home: ServerConnectionHome;
  readonly #channel: Channel;
  readonly #heads: HeadCollector;
  readonly #body = new BodyReader();
  readonly #deadline: Deadline;
  readonly #sent = () => this.#written();
  #clock: Clock = 'connect';
  #isConnected = false;
  /** A head that is to go out with the first of its body. */
  #unsent = '';
  #user: ResponseHandler | undefined;
  #outgoing: Outgoing | undefined;
  #isRequestSent = true;
  #interims = 0;
  /** The server asked for the body. */
  #isContinued = false;
  #head: ResponseHead | undefined;
  #staysOpen = true;

  /** `dial`: begins to connect. `mostHead`: bytes of a response's head. */
  constructor(
    dial: (handler: ChannelHandler) => Channel,
    mostHead: number,
    connectTimeout: number,
    home: ServerConnectionHome,
  ) {
    this.#home = home;
    this.#heads = new HeadCollector(mostHead);
    this.#deadline = home.deadlines.after(connectTimeout, () => this.#timeIsUp(connectTimeout));
    this.#channel = dial(this);
  }

  /** Sends a request. Its body follows by `write`, once `connected` was called: at once, or later. */
  send(outgoing: Outgoing, user: ResponseHandler): void {
    this.#user = user;
    this.#outgoing = outgoing;
    this.#interims = 0;
    this.#isContinued = false;
    this.#head = undefined;
    this.#isRequestSent = outgoing.framing === 0;
    if (this.#isConnected) {
      this.#unsent = outgoing.head;
      this.#begin();
    } else {
      this.#channel.write(Buffer.from(outgoing.head, 'latin1'));
    }
  }

  /** The next of the request's body: a view. True when it may be used again; else `sent` follows. */
  write(content: Buffer, isLast: boolean, trailers: Fields): boolean {
    const isChunked = this.#outgoing!.framing === 'chunked';
    const head = this.#unsent;
    this.#unsent = '';
    this.#isRequestSent = isLast;
    const isTaken = writePiece(this.#channel, { head, content, isChunked, isLast, trailers }, this.#sent);
    if (this.#head === undefined) this.#awaitResponse();
    return isTaken;
  }

  pause(): void {
    this.#channel.pause();
    this.#deadline.cancel();
  }

  resume(): void {
    if (this.#user !== undefined) this.#restart('stall', this.#outgoing!.stallTimeout);
    this.#channel.resume();
  }

  /** Nobody waits for the response any more. */
  abort(): void {
    this.#user = undefined;
    this.#channel.reset();
  }

  /** It has been idle for long enough, or the server no longer wants it. */
  close(): void {
    this.#home.isOver(this);
    this.#channel.end();
    this.#restart('closing', CLOSING_MS);
  }

  /** From now on it is idle, for so long. */
  waitIdle(ms: number): void {
    this.#restart('idle', ms);
  }

  connected(): void {
    this.#isConnected = true;
    this.#deadline.cancel();
    if (this.#user !== undefined) this.#begin();
  }

  read(bytes: Buffer): void {
    let rest = bytes;
    try {
      while (this.#user !== undefined && this.#head === undefined) {
        const text = this.#heads.push(rest);
        if (text === undefined) return;
        rest = this.#heads.used === rest.length ? EMPTY : rest.subarray(this.#heads.used);
        const head = readResponseHead(text);
        if (head.status === 101) {
          this.#upgrade(head, rest);
          return;
        }
        if (head.status >= 200) {
          this.#respond(head, rest);
          return;
        }
        // RFC 9110 15.2: interim responses come first. Nobody holds them back while the client does not read.
        if (++this.#interims > MOST_INTERIMS) throw new MessageFault(400, 'interim responses without an end');
        if (head.status === 100) this.#isContinued = true;
        this.#user.informed(head);
        if (this.#user !== undefined) this.#awaitResponse();
        if (rest.length === 0) return;
      }
      this.#readBody(rest);
    } catch (fault) {
      if (!(fault instanceof MessageFault)) throw fault;
      this.#fail('garbage', `the server's answer is no HTTP: ${fault.message}`);
    }
  }

  ended(): void {
    if (this.#head !== undefined && this.#user !== undefined && this.#body.end()) {
      this.#deliver(EMPTY, true);
      return;
    }
    if (this.#user === undefined) this.close();
    else this.#fail(this.#closedHow(), CLOSED);
  }

  closed(error: GantryError | undefined): void {
    this.#deadline.cancel();
    this.#home.isOver(this);
    const user = this.#user;
    this.#user = undefined;
    const kind = this.#isConnected ? this.#closedHow() : 'connect';
    user?.failed({ kind, detail: error?.message ?? CLOSED });
  }

  /** With the first byte of an answer gone by, it is no question any more whether the server had the request. */
  #closedHow(): ServerFailure['kind'] {
    return this.#heads.isEmpty && this.#interims === 0 ? 'closed' : 'garbage';
  }

  /** The head goes out together with what is there of the body. */
  #begin(): void {
    if (this.#isRequestSent) this.#sendHead();
    this.#user!.connected();
    if (this.#user !== undefined && !this.#isRequestSent) this.#sendHead();
  }

  #sendHead(): void {
    const head = this.#unsent;
    this.#unsent = '';
    if (head !== '') writePiece(this.#channel, { ...HEAD_ALONE, head }, nothing);
    this.#awaitResponse();
  }

  #upgrade(head: ResponseHead, rest: Buffer): void {
    const { upgrade } = this.#outgoing!;
    const [protocol, ...more] = fieldValues(head.rawHeaders, 'upgrade');
    // RFC 9110 7.8. A 101 that is somebody else's, and passed on, names no protocol.
    if (upgrade === undefined || protocol?.toLowerCase() !== upgrade || more.length > 0) {
      throw new MessageFault(400, 'it upgrades to what nobody offered');
    }
    const user = this.#user!;
    this.#user = undefined;
    this.#deadline.cancel();
    this.#home.isOver(this);
    user.upgraded(head, { channel: this.#channel, rest });
  }

  #respond(head: ResponseHead, rest: Buffer): void {
    const { method, stallTimeout } = this.#outgoing!;
    const isBodiless = method === 'HEAD' || head.status === 204 || head.status === 304;
    const named = responseFraming(head.rawHeaders);
    if (named === undefined) throw new MessageFault(400, 'nobody can tell where it ends');
    const framing = isBodiless ? 0 : named;
    this.#head = head;
    this.#staysOpen = framing !== 'until-close' && this.#isClear(head, named);
    this.#body.begin(framing);
    const content = this.#body.isDone ? EMPTY : this.#body.read(rest);
    const { isDone, trailers } = this.#body;
    const used = framing === 0 ? 0 : this.#body.used;
    if (used < rest.length) this.#staysOpen = false;
    const user = this.#user!;
    if (isDone) this.#finish();
    else this.#restart('stall', stallTimeout);
    user.responded(head, framing, content, isDone, trailers);
  }

  /**
   * Do both sides mean the same by what comes next on this connection? Else nothing comes: it could be taken for, or
   * answered as, something that it is not.
   */
  #isClear({ version, status, rawHeaders }: ResponseHead, named: Framing): boolean {
    const { method, framing, expectsContinue } = this.#outgoing!;
    // What the server answers before it has all of the request, it may have taken for all of it (RFC 9110 10.1.1).
    const hadAll = this.#isRequestSent && this.#channel.pending === 0;
    const wasRead = framing === 0 || (!isWithoutContent(method) && (!expectsContinue || this.#isContinued));
    // RFC 9112 6.1, 6.3: a 204 ends with its head, and HTTP/1.0 has no chunks, but who sends them may not know.
    const isEnding = status === 204 && named !== 0 && named !== 'until-close';
    const isOld = version === '1.0' && named === 'chunked';
    return hadAll && wasRead && !isEnding && !isOld && isPersistent(version, rawHeaders);
  }

  #readBody(bytes: Buffer): void {
    if (this.#user === undefined || this.#head === undefined) {
      // Nobody asked: what follows on this connection would be taken for the answer to something else.
      this.#leave();
      return;
    }
    const content = this.#body.read(bytes);
    if (this.#body.used < bytes.length) this.#staysOpen = false;
    this.#deliver(content, this.#body.isDone);
  }

  #deliver(content: Buffer, isLast: boolean): void {
    const user = this.#user!;
    const { trailers } = this.#body;
    if (isLast) this.#finish();
    else this.#restart('stall', this.#outgoing!.stallTimeout);
    user.content(content, isLast, trailers);
  }

  /** The response is whole. */
  #finish(): void {
    this.#user = undefined;
    this.isUsed = true;
    this.#deadline.cancel();
    if (this.#staysOpen) this.#home.isIdle(this, keepAlive(this.#head!.rawHeaders));
    else if (this.#isRequestSent) this.close();
    // What the server still gets of a request that was not sent whole is worth nothing to it.
    else this.#leave();
  }

  #written(): void {
    if (this.#user === undefined) return;
    if (this.#head === undefined) this.#awaitResponse();
    this.#user.sent();
  }

  /** The clock for the response runs from the end of the request; before that, the client's silence is what counts. */
  #awaitResponse(): void {
    const { responseTimeout, stallTimeout, expectsContinue } = this.#outgoing!;
    if (this.#isRequestSent || expectsContinue) this.#restart('response', responseTimeout);
    else if (this.#channel.pending > 0) this.#restart('stall', stallTimeout);
    else this.#deadline.cancel();
  }

  #restart(clock: Clock, ms: number): void {
    this.#clock = clock;
    this.#deadline.restart(ms);
  }

  #timeIsUp(connectTimeout: number): void {
    if (this.#clock === 'idle') {
      this.close();
    } else if (this.#clock === 'closing') {
      this.#leave();
    } else if (this.#clock === 'connect') {
      this.#fail('connect', `the server did not take a connection within ${connectTimeout} ms`);
    } else if (this.#clock === 'response') {
      this.#fail('late', `the server did not answer within ${this.#outgoing!.responseTimeout} ms`);
    } else {
      this.#fail('late', `the server did not go on for ${this.#outgoing!.stallTimeout} ms`);
    }
  }

  #leave(): void {
    this.#home.isOver(this);
    this.#channel.reset();
  }

  #fail(kind: ServerFailure['kind'], detail: string): void {
    const user = this.#user;
    this.#user = undefined;
    this.#deadline.cancel();
    this.#home.isOver(this);
    this.#channel.reset();
    user?.failed({ kind, detail });
  }
}

const CLOSED = 'the server closed the connection before its answer was complete';

/** Interim responses to one request: a server that says every 20 seconds that it is at work has half an hour. */
const MOST_INTERIMS = 100;
/** How long a server may take to close its side of a connection that we have closed. */
const CLOSING_MS = 5000;

const HEAD_ALONE = { content: EMPTY, isChunked: false, isLast: false, trailers: NO_FIELDS };

function nothing(): void {}

/** How long the server keeps an idle connection, by its own word (RFC 2068 19.7.1.1), in milliseconds. */
function keepAlive(fields: Fields): number | undefined {
  const value = fieldValue(fields, 'keep-alive');
  const seconds = value === undefined ? undefined : /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
