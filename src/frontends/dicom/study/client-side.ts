/**
 * What goes to the client: the responses of all servers, each whole before the next begins, and what servers ask of the
 * client themselves (C-GET sub-operations, N-EVENT-REPORT), one at a time, so that message ids of two servers never meet.
 */
import { COMMAND, type Command, isResponse, RESPONSE_BIT } from '../../../../protocols/dicom/command-set.ts';
import { isPending } from '../../../../protocols/dicom/status.ts';
import type { Channel } from '../../../relay/channel.ts';
import type { Leg } from './leg.ts';
import type { Message } from './message.ts';
import { Outbox, type OutboxListener } from './outbox.ts';

/** A message of a server that has more bytes is passed on before it is whole. */
const STREAMED_FROM = 256 * 1024;
/** Servers are not read while so many bytes wait for the client. */
const MOST_WAITING = 1024 * 1024;

/** A request of a server, and where its response goes; undefined: nobody waits for it any more. */
interface ServerRequest {
  leg: Leg | undefined;
  readonly message: Message;
  /** Hears the status of the response. */
  readonly heard: ((status: number) => void) | undefined;
}

export class ClientSide {
  readonly #outbox: Outbox;
  readonly #waiting: ServerRequest[] = [];
  #current: ServerRequest | undefined;

  /** `maxLength`: what the client announced. */
  constructor(channel: Channel, maxLength: number, listener: OutboxListener) {
    this.#outbox = new Outbox(channel, maxLength, listener);
  }

  get atBoundary(): boolean {
    return this.#outbox.atBoundary;
  }

  /**
   * Is enough of this leg's here, so that no more is read of it for the moment? What waits behind a message does not keep
   * the rest of that message from coming.
   */
  isFullOf(leg: Leg): boolean {
    if (this.#outbox.bytesUnsentTo(leg.incoming?.message) > MOST_WAITING) return true;
    return this.#waiting.some((request) => request.leg === leg && request.message.length > MOST_WAITING);
  }

  /** A server waits for a response of the client's. */
  get isAsking(): boolean {
    return this.#current !== undefined;
  }

  send(message: Message): void {
    this.#outbox.push(message);
    message.over();
  }

  /** More of the message that a server sends is there: passed on when it is whole, or too long to wait for that. */
  receive(leg: Leg, message: Message, heard?: (status: number) => void): void {
    const incoming = leg.incoming!;
    if (incoming.isHeld) return;
    if (incoming.isStreamed) this.#outbox.pump();
    else if (message.isComplete || message.length > STREAMED_FROM) {
      incoming.isStreamed = true;
      if (!isAnswered(message.command)) this.send(message);
      else this.#ask({ leg, message, heard });
    }
  }

  /** The client's response to what a server asked; false: nobody asked that. */
  answered(message: Message): boolean {
    const current = this.#current;
    if (!current) return false;
    const { commandField, messageId } = current.message.command;
    const { command } = message;
    if (command.messageIdRespondedTo !== messageId || command.commandField !== (commandField | RESPONSE_BIT))
      return false;
    current.leg?.outbox?.push(message);
    current.heard?.(command.status ?? 0);
    message.over();
    return true;
  }

  /** A response is whole: if it is the last one to its request, the next request may go. */
  askNext({ status = 0 }: Command): void {
    if (isPending(status)) return;
    this.#current = undefined;
    const next = this.#waiting.shift();
    if (next) this.#ask(next);
  }

  /** A leg is gone. True: the client has got only a part of a message of its, so that nothing can follow. */
  forget(leg: Leg): boolean {
    const { message, isStreamed } = leg.incoming ?? {};
    const isUnasked = this.#waiting.some((request) => request.message === message);
    for (const request of this.#waiting.filter((one) => one.leg === leg)) {
      request.message.over();
      this.#waiting.splice(this.#waiting.indexOf(request), 1);
    }
    if (this.#current?.leg === leg) this.#current.leg = undefined;
    return isStreamed === true && message?.isComplete === false && !isUnasked;
  }

  drop(): void {
    this.#outbox.drop();
  }

  #ask(request: ServerRequest): void {
    if (this.#current) {
      this.#waiting.push(request);
    } else {
      this.#current = request;
      this.send(request.message);
    }
  }
}

/** Is it a request that has a response? */
function isAnswered({ commandField }: Command): boolean {
  return !isResponse(commandField) && commandField !== COMMAND.C_CANCEL;
}
