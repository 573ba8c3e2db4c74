/** The client of one request as the exchange sees it, whatever the HTTP version, and what the client tells in turn. */
import type { Framing } from '../../../protocols/http/body-reader.ts';
import type { Fields } from '../../../protocols/http/fields.ts';
import type { MessageFault } from '../../../protocols/http/message-head.ts';
import type { Channel, Endpoint, TlsClient } from '../../relay/channel.ts';

/** Who a connection is from. */
export interface Origin {
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly tls?: TlsClient | undefined;
}

/** The head of a response as it goes to the client. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** End-to-end, with Content-Length where there is one. */
  readonly fields: Fields;
  /** How the body that follows is framed: 0 where there is none, whatever Content-Length says (HEAD). */
  readonly framing: Framing;
}

/** A connection whose bytes are nobody's protocol any more, and what was read from it already. */
export interface Tunnelled {
  readonly channel: Channel;
  readonly rest: Buffer;
}

export interface Client {
  readonly origin: Origin;
  /** The body of the request is wanted from now on: `body` follows. */
  readBody(): void;
  /** Not yet, or not any more. */
  holdBody(): void;
  /** An interim response, 1xx. */
  inform(status: number, reason: string, fields: Fields): void;
  /**
   * Begins the response, with the first of its body. `content` is a view: true when it may be used again, else it must
   * stay until `taken`. So for `write`.
   */
  respond(answer: Answer, content: Buffer, isLast: boolean, trailers: Fields): boolean;
  write(content: Buffer, isLast: boolean, trailers: Fields): boolean;
  /** All of the response is taken: the next request may come. */
  finish(): void;
  /** The response cannot be completed, and must not look as if it were. */
  abort(): void;
  /** HTTP/1: sends the head of a 101 and hands over the connection. */
  upgrade(reason: string, fields: Fields): Tunnelled;
}

/** Hears what becomes of the client of a request. */
export interface RequestHandler {
  /** The next of the body: a view. True when it may be used again, else it stays until `readBody`. */
  body(content: Buffer, isLast: boolean, trailers: Fields): boolean;
  /** The body broke a rule, or stopped coming: it will not be whole. */
  bodyFailed(status: MessageFault['status'] | 408, why: string): void;
  /** What `respond` or `write` gave has been taken. */
  taken(): void;
  /** The client is gone. */
  gone(why: string): void;
}
