/**
 * What the client asks, message by message: what must be known of each before it is decided where it goes, and how it is
 * answered when no server does.
 */
import { COMMAND, type Command, RESPONSE_BIT } from '../../../../protocols/dicom/command-set.ts';
import { createDataSetPeek } from '../../../../protocols/dicom/data-set-peek.ts';
import { type IsUrgentOrder, messageFacts } from '../../../../protocols/dicom/message-facts.ts';
import type { Operations } from '../../../../protocols/dicom/operations.ts';
import type { Facts } from '../../../../protocols/facts.ts';
import type { Server } from '../../../pools/server.ts';
import type { Affinity } from '../affinity/affinity.ts';
import { createInflate } from '../inflate.ts';
import type { AssociationRecord } from '../record.ts';
import type { ClientSide } from './client-side.ts';
import { Commitments, type CommitmentsHost } from './commitments.ts';
import { Message } from './message.ts';
import { Operation, STATUS, unavailableStatus } from './operation.ts';
import type { Placement } from './placement.ts';

export interface RequestsOptions {
  readonly placement: Placement;
  readonly clientSide: ClientSide;
  readonly counts: Operations;
  readonly record: AssociationRecord;
  /** Facts of the association. */
  readonly facts: Facts;
  /** Longest variable field of a P-DATA-TF that the client takes, in bytes; 0 is unlimited. */
  readonly maxLength: number;
  /** Tags that decide where a message goes, ascending. */
  readonly tags: readonly number[];
  /** Is there a STAT order for this accession number or study? */
  readonly isUrgentOrder: IsUrgentOrder | undefined;
  /** What is remembered over associations. */
  readonly affinity: Affinity | undefined;
  /** The server of a place, `POOL/SERVER`, unless it may not have work now. */
  readonly serverAt: (place: string) => Server | undefined;
  readonly now: () => number;
}

/** It keeps nothing from one data set to the next. */
const inflate = createInflate();

/** A study is looked for at least this far, whatever the replay budget. */
const LEAST_PEEK = 1024 * 1024;

export class Requests implements CommitmentsHost {
  readonly #options: RequestsOptions;
  readonly commitments: Commitments | undefined;
  readonly #open = new Map<number, Operation>();
  /** The one whose message is under way. */
  #current: Operation | undefined;
  #isOver = false;

  constructor(options: RequestsOptions) {
    this.#options = options;
    const { affinity } = options;
    this.commitments = affinity && new Commitments({ ...options, affinity, host: this });
  }

  /** Nothing that was asked waits for its answer. */
  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** Bytes that wait for servers which are known, or being looked for. */
  get bytesAhead(): number {
    let bytes = 0;
    for (const { outbox } of this.#options.placement.legs.all) bytes += outbox?.bytesUnsent ?? 0;
    for (const { isPlaced, failure, outbox, message } of this.#open.values())
      if (isPlaced && failure === undefined && !outbox) bytes += message.length;
    return bytes;
  }

  /** A request has begun; its command set is whole. */
  began(message: Message): void {
    const { placement, counts, now } = this.#options;
    counts.command(message.command, 'toServer');
    const operation = new Operation(message, this.#peekFor(message), this);
    this.#current = operation;
    operation.since = now();
    if (this.#open.has(operation.id)) {
      this.failed(operation, STATUS.DUPLICATE_INVOCATION, 'its message id is in use');
      return;
    }
    this.#open.set(operation.id, operation);
    if (!operation.peek && !this.commitments?.wants(operation.command)) placement.place(operation);
  }

  /** Bytes of its data set, from `start` to `end`. */
  arrived(message: Message, bytes: Uint8Array, start: number, end: number): void {
    const operation = this.#current;
    if (operation?.message !== message || operation.isPlaced || operation.failure !== undefined) return;
    if (!operation.peek) {
      if (this.commitments!.isTooMuch(message)) this.#options.placement.place(operation);
      return;
    }
    operation.peek.push(bytes.subarray(start, end));
    if (operation.peek.state !== 'reading') this.#place(operation);
    else if (isTooFar(message)) this.failed(operation, unavailableStatus(operation.command), TOO_FAR);
  }

  ended(message: Message): void {
    const { counts, now } = this.#options;
    const operation = this.#current;
    if (operation?.message !== message) return;
    this.#current = undefined;
    counts.dataEnd('toServer');
    operation.since = now();
    if (operation.failure !== undefined) {
      this.respond(operation, operation.failure);
    } else if (operation.isPlaced) {
      this.#handOn(operation);
    } else if (operation.peek) {
      operation.peek.end();
      this.#place(operation);
    } else {
      this.commitments!.place(operation);
    }
  }

  /** Hands on what came of the message under way. */
  handOn(): void {
    if (this.#current) this.#handOn(this.#current);
  }

  /** C-CANCEL follows the message that it cancels, at once. */
  cancel(message: Message): void {
    const operation = this.#open.get(message.command.messageIdRespondedTo ?? -1);
    if (operation?.outbox) operation.leg?.outbox?.push(message);
    message.over();
  }

  /** A server gave its final answer. */
  answered(operation: Operation, response: Command): void {
    const { placement, affinity } = this.#options;
    if (this.#open.get(operation.id) === operation) this.#open.delete(operation.id);
    const { leg, command } = operation;
    if (leg) {
      affinity?.answered(command, response, leg.place);
      // The report of a commitment may come on the same association.
      leg.isAwaited ||= this.commitments?.wants(command) ?? false;
    }
    placement.answered(operation, response.status ?? 0);
    operation.heard?.(response.status ?? 0);
  }

  /** Nobody does it: it is answered with this status once its message is whole. */
  failed(operation: Operation, status: number, why: string): void {
    if (this.#isOver) return;
    this.#options.record.detail ??= why;
    operation.failure = status;
    operation.message.isUnwanted = true;
    operation.message.over();
    if (operation.isPart) operation.heard!(status);
    else if (operation !== this.#current) this.respond(operation, status);
  }

  replace(operation: Operation, other: Operation): void {
    this.#open.set(operation.id, other);
  }

  tryAgain(operation: Operation): void {
    this.#options.placement.tryAgain(operation);
  }

  waitIsOver(operation: Operation): void {
    this.#options.placement.waitIsOver(operation);
  }

  /** Nobody waits for an answer any more. */
  drop(): void {
    this.#isOver = true;
    for (const operation of this.#open.values()) this.#options.placement.drop(operation);
    this.#open.clear();
  }

  /** What has to be known of a message before it is decided where it goes; undefined: nothing. */
  #peekFor({ command, contextId }: Message) {
    const tags = this.#tagsFor(command);
    if (!tags || !command.hasDataSet) return undefined;
    const transferSyntax = this.#options.placement.legs.contexts.get(contextId)!;
    return createDataSetPeek({ transferSyntax, tags, inflate });
  }

  #tagsFor({ commandField }: Command): readonly number[] | undefined {
    switch (commandField) {
      case COMMAND.C_STORE:
      case COMMAND.C_FIND:
      case COMMAND.C_MOVE:
      case COMMAND.C_GET:
        return this.#options.tags;
      default:
        return undefined;
    }
  }

  /** All that decides is known of it. */
  #place(operation: Operation): void {
    const { facts, placement, isUrgentOrder } = this.#options;
    const peek = operation.peek!;
    const value = (tag: number) => peek.value(tag);
    operation.facts = messageFacts(facts, operation.command, value, isUrgentOrder);
    placement.place(operation);
  }

  /** More bytes of its message are there. */
  #handOn(operation: Operation): void {
    operation.leg?.grew(operation);
    operation.outbox?.pump();
  }

  respond(operation: Operation, status: number): void {
    const { command, message } = operation;
    operation.heard?.(status);
    if (this.#open.get(operation.id) === operation) this.#open.delete(operation.id);
    const response = {
      commandField: command.commandField | RESPONSE_BIT,
      messageIdRespondedTo: command.messageId,
      affectedSopClass: command.affectedSopClass ?? command.requestedSopClass,
      affectedSopInstance: command.affectedSopInstance ?? command.requestedSopInstance,
      status,
    };
    const { clientSide, counts, maxLength } = this.#options;
    const own = Message.of(message.contextId, response, undefined, maxLength);
    counts.command({ ...command, ...response, hasDataSet: false }, 'toClient');
    clientSide.send(own);
  }
}

const TOO_FAR = 'no study UID came within the replay budget';

/** So much of it has come without its study that the rest cannot be kept until that comes. */
function isTooFar(message: Message): boolean {
  return !message.isKept && message.length > LEAST_PEEK;
}
