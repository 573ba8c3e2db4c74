/**
 * The search for a server that answers one request: the candidates of a choice, one after the other. A connection that
 * cannot be had leads to the next in any case; a request that was sent only when repeating it does no harm, nothing of
 * its body was used and nothing was answered (RFC 9110 9.2.2).
 */
import type { Framing } from '../../../protocols/http/body-reader.ts';
import type { Fields } from '../../../protocols/http/fields.ts';
import type { ResponseHead } from '../../../protocols/http/message-head.ts';
import { isIdempotent } from '../../../protocols/http/methods.ts';
import type { Candidate, Choice } from '../../director/director.ts';
import type { OperationOutcome } from '../../pools/load.ts';
import type { Server } from '../../pools/server.ts';
import type { Endpoint } from '../../relay/channel.ts';
import type { ServerLink } from '../../relay/dial.ts';
import type { Waiting } from '../waiting-room.ts';
import type { Origin, Tunnelled } from './client.ts';
import type { RequestRecord } from './record.ts';
import type { ResponseHandler, ServerConnection, ServerFailure } from './server-connection.ts';
import type { ServerConnections } from './server-connections.ts';
import { type HttpSettings, linkOf } from './settings.ts';

/** What every candidate is sent. */
export interface Errand {
  readonly head: string;
  readonly method: string;
  readonly framing: Framing;
  /** The protocol that it offers to upgrade to, in lower case. */
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
  readonly origin: Origin;
}

/** The server that has the request, and how it is spoken to. */
export interface Asked {
  readonly server: Server;
  readonly link: ServerLink;
  readonly endpoint: Endpoint;
  readonly connection: ServerConnection;
  readonly sentAt: number;
}

export interface SearchListener {
  /** The body may be sent from now on; not yet; the next of it. */
  bodyIsWanted(): void;
  bodyMustWait(): void;
  informed(head: ResponseHead): void;
  /** A server answers. As in `ResponseHandler`; the content is the first of the body. */
  answered(
    asked: Asked,
    head: ResponseHead,
    framing: Framing,
    content: Buffer,
    isLast: boolean,
    trailers: Fields,
  ): void;
  content(content: Buffer, isLast: boolean, trailers: Fields): void;
  upgraded(asked: Asked, head: ResponseHead, tunnelled: Tunnelled): void;
  /** The answer has begun and will not be whole. */
  broken(detail: string): void;
  /** Nobody answers. `sentence` is for the client. */
  nobody(status: number, sentence: string, detail: string): void;
}

export interface SearchHost {
  readonly servers: ServerConnections;
  /** True when the search waits from now on for a server to have room. */
  wait(search: ServerSearch): boolean;
  waitNoMore(search: ServerSearch): void;
}

export class ServerSearch implements ResponseHandler, Waiting {
  readonly #host: SearchHost;
  readonly #settings: HttpSettings;
  readonly #choice: Choice;
  readonly #errand: Errand;
  readonly #record: RequestRecord;
  readonly #listener: SearchListener;
  #asked: Asked | undefined;
  /** Something of the body went to a server: the request cannot be sent again. */
  #isBodyUsed = false;
  #isAnswered = false;

  /** `choice` has a pool. `begin` follows. */
  constructor(
    host: SearchHost,
    settings: HttpSettings,
    choice: Choice,
    errand: Errand,
    record: RequestRecord,
    listener: SearchListener,
  ) {
    this.#host = host;
    this.#settings = settings;
    this.#choice = choice;
    this.#errand = errand;
    this.#record = record;
    this.#listener = listener;
  }

  get isUrgent(): boolean {
    return this.#choice.urgent;
  }

  /** Who has the request now. */
  get server(): Server | undefined {
    return this.#asked?.server;
  }

  begin(): void {
    this.#askNext();
  }

  /** The next of the request's body: a view. True when it may be used again; else `bodyIsWanted` says when. */
  write(content: Buffer, isLast: boolean, trailers: Fields): boolean {
    if (this.#asked === undefined) return true;
    this.#isBodyUsed = true;
    return this.#asked.connection.write(content, isLast, trailers);
  }

  pause(): void {
    this.#asked?.connection.pause();
  }

  resume(): void {
    this.#asked?.connection.resume();
  }

  /** Nobody wants an answer any more. */
  stop(): void {
    this.#host.waitNoMore(this);
    this.#giveUpServer();
    if (!this.#isAnswered) this.#choice.abandon();
  }

  /** The server must not have the request any more. */
  leaveServer(why: string): void {
    this.#giveUpServer();
    if (this.#isAnswered) this.#listener.broken(why);
    else if (this.#mayRepeat) this.#askNext();
    else this.#fail(502, 'The server was taken out of service.', why);
  }

  /** The tunnel that the server was asked for has ended. */
  tunnelEnded(): void {
    this.#free();
  }

  tryAgain(): void {
    const candidate = this.#choice.next();
    if (candidate === undefined && this.#choice.exhausted === 'full') return;
    this.#host.waitNoMore(this);
    this.#ask(candidate);
  }

  waitIsOver(): void {
    this.#fail(503, 'All servers are busy.', 'all servers were full for too long');
  }

  connected(): void {
    if (this.#errand.framing !== 0) this.#listener.bodyIsWanted();
  }

  sent(): void {
    this.#listener.bodyIsWanted();
  }

  informed(head: ResponseHead): void {
    this.#listener.informed(head);
  }

  responded(head: ResponseHead, framing: Framing, content: Buffer, isLast: boolean, trailers: Fields): void {
    const asked = this.#settle(head);
    if (isLast) this.#free();
    this.#listener.answered(asked, head, framing, content, isLast, trailers);
  }

  content(content: Buffer, isLast: boolean, trailers: Fields): void {
    if (isLast) this.#free();
    this.#listener.content(content, isLast, trailers);
  }

  upgraded(head: ResponseHead, tunnelled: Tunnelled): void {
    this.#listener.upgraded(this.#settle(head), head, tunnelled);
  }

  failed({ kind, detail }: ServerFailure): void {
    const { server, connection } = this.#asked!;
    const { isUsed } = connection;
    const now = this.#settings.now();
    this.#responded('failure', now);
    this.#free();
    this.#record.detail = detail;
    if (this.#isAnswered) {
      this.#listener.broken(detail);
      return;
    }
    // A connection that was closed while it was idle says nothing about the server.
    const isSilent = kind === 'connect' || kind === 'late' || (kind === 'closed' && !isUsed);
    if (isSilent) server.dialFailed(detail, now);
    if (kind === 'connect' || (kind === 'closed' && this.#mayRepeat)) {
      if (isUsed) this.#askServer(server, this.#record.reason!, true);
      else this.#askNext();
    } else if (kind === 'late') {
      this.#fail(504, 'The server did not answer in time.', detail);
    } else {
      this.#fail(502, 'The server did not answer as it should.', detail);
    }
  }

  get #mayRepeat(): boolean {
    return !this.#isBodyUsed && isIdempotent(this.#errand.method);
  }

  #askNext(): void {
    this.#ask(this.#choice.next());
  }

  #ask(candidate: Candidate | undefined): void {
    if (candidate !== undefined) this.#askServer(candidate.server, candidate.reason, false);
    else this.#giveUp();
  }

  /** `fresh`: over a connection of its own. */
  #askServer(server: Server, reason: string, fresh: boolean): void {
    const settings = this.#settings;
    const record = this.#record;
    const { head, method, framing, upgrade, expectsContinue, origin } = this.#errand;
    const { timeouts, limits } = settings;
    if (record.attempts > 0) this.#listener.bodyMustWait();
    record.attempts++;
    record.server = server.name;
    record.reason = reason;
    const link = linkOf(settings, record.pool!);
    const endpoint = { host: server.host, port: server.port ?? origin.local.port };
    server.acquire();
    const connection = this.#host.servers.take(
      { server, link, endpoint, origin },
      { fresh, mayRepeat: this.#mayRepeat && framing === 0 },
      { mostHead: limits.headers, connectTimeout: link.connectTimeout ?? timeouts.connect },
    );
    this.#asked = { server, link, endpoint, connection, sentAt: settings.now() };
    const responseTimeout = link.responseTimeout ?? timeouts.response;
    const stallTimeout = timeouts.stall;
    connection.send({ head, method, framing, upgrade, expectsContinue, responseTimeout, stallTimeout }, this);
  }

  /** There is no next candidate. */
  #giveUp(): void {
    const { exhausted } = this.#choice;
    const { attempts, detail } = this.#record;
    if (exhausted === 'full') {
      // Who was asked before may have wanted the body already: until the next one does, nobody takes it.
      this.#listener.bodyMustWait();
      if (!this.#host.wait(this)) this.#fail(503, 'All servers are busy.', 'all servers are full');
    } else if (attempts === 0) {
      this.#fail(503, 'No server is available.', 'no server is up');
    } else {
      this.#fail(502, 'No server could be reached.', detail ?? 'no server could be had');
    }
  }

  #fail(status: number, sentence: string, detail: string): void {
    this.#host.waitNoMore(this);
    this.#choice.abandon();
    this.#listener.nobody(status, sentence, detail);
  }

  #settle({ status }: ResponseHead): Asked {
    const asked = this.#asked!;
    const now = this.#settings.now();
    this.#responded(outcomeOf(status), now);
    this.#isAnswered = true;
    asked.server.dialAnswered(now);
    this.#choice.settle();
    return asked;
  }

  #giveUpServer(): void {
    if (this.#asked === undefined) return;
    this.#asked.connection.abort();
    this.#responded('failure', this.#settings.now());
    this.#free();
  }

  /** A request is the slot that it holds; how fast it is answered counts besides. */
  #responded(outcome: OperationOutcome, now: number): void {
    if (this.#isAnswered) return;
    const { server, sentAt } = this.#asked!;
    server.load.answered(now - sentAt, outcome);
  }

  #free(): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.server.release();
  }
}

/** What a server without room says fast must not bring it more work. */
function outcomeOf(status: number): OperationOutcome {
  if (status === 503 || status === 429) return 'refused';
  return status >= 500 ? 'failure' : 'success';
}
