/**
 * Storage commitment inside an association (PS3.4 J). A request goes to each server that has instances of it, and the
 * client gets one answer; what servers report of the parts comes together before whoever asked hears of it.
 */
import { COMMAND, type Command, RESPONSE_BIT } from '../../../../protocols/dicom/command-set.ts';
import { factsFrom } from '../../../../protocols/facts.ts';
import type { Server } from '../../../pools/server.ts';
import type { Affinity } from '../affinity/affinity.ts';
import {
  type CommitmentPart,
  REQUEST_COMMITMENT,
  type Report,
  STORAGE_COMMITMENT,
} from '../affinity/commitment.ts';
import { LARGEST_COMMITMENT } from '../affinity/commitment-data.ts';
import type { AssociationRecord } from '../record.ts';
import type { Leg } from './leg.ts';
import { Message } from './message.ts';
import { Operation, type OperationHost, STATUS } from './operation.ts';
import type { Placement } from './placement.ts';

/** What is asked of those who conduct the operations of the client. */
export interface CommitmentsHost extends OperationHost {
  /** Nobody does it. */
  failed(operation: Operation, status: number, why: string): void;
  /** It is answered here. */
  respond(operation: Operation, status: number): void;
  /** Another message goes on for it, under its id. */
  replace(operation: Operation, other: Operation): void;
}

export interface CommitmentsOptions {
  readonly affinity: Affinity;
  readonly placement: Placement;
  readonly record: AssociationRecord;
  readonly serverAt: (place: string) => Server | undefined;
  readonly host: CommitmentsHost;
}

/** A message for the client, and who hears how the client answered. */
export interface ServerReport {
  readonly message: Message;
  readonly heard: (status: number) => void;
}

export class Commitments {
  readonly #options: CommitmentsOptions;

  constructor(options: CommitmentsOptions) {
    this.#options = options;
  }

  /** Must this request of the client be whole before it is decided where it goes? */
  wants(command: Command): boolean {
    if (!command.hasDataSet) return false;
    return this.#options.affinity.side === 'servers' ? isReport(command) : isRequest(command);
  }

  /** So much of it has come, or so little may be kept, that it goes on as it is. */
  isTooMuch({ isKept, length }: Message): boolean {
    return !isKept || length > LARGEST_COMMITMENT;
  }

  /** A request that is whole. */
  place(operation: Operation): void {
    if (isReport(operation.command)) this.#passOn(operation);
    else this.#ask(operation);
  }

  /** Must this message of a server be whole before the client gets any of it? */
  holds(command: Command): boolean {
    return command.hasDataSet && this.#options.affinity.side === 'clients' && isReport(command);
  }

  /** What a server reports, as the client is to have it; undefined: the server has its answer. */
  report(leg: Leg, message: Message): ServerReport | undefined {
    const report = this.#reportIn(message, leg.contexts);
    const isOver = () => {
      leg.isAwaited = false;
      if (leg.isOpen) leg.rest();
    };
    if (report === 'answered') {
      leg.outbox!.push(acknowledgement(message));
      isOver();
      return undefined;
    }
    const told = heardBy(report);
    const heard = (status: number) => {
      told(status);
      isOver();
    };
    return { message: reported(message, report), heard };
  }

  #reportIn(message: Message, contexts: ReadonlyMap<number, string>): Report | 'answered' {
    const transferSyntax = contexts.get(message.contextId)!;
    return this.#options.affinity.commitment.report(message.dataSet(), transferSyntax);
  }

  /** The client asks for a commitment. */
  #ask(operation: Operation): void {
    const { affinity, placement, record, serverAt, host } = this.#options;
    const { message } = operation;
    const { legs } = placement;
    const requested = affinity.commitment.request(message.dataSet(), legs.contexts.get(message.contextId)!, {
      ae: record.request!.callingAe,
      lead: legs.lead?.place,
      canReach: (place) => serverAt(place) !== undefined,
    });
    if ('refuse' in requested) {
      host.failed(operation, requested.refuse, requested.why);
      return;
    }
    const { parts, withdraw } = requested;
    const answered = (status: number) => {
      if (status !== STATUS.SUCCESS) withdraw();
    };
    if (parts.length === 1) {
      operation.heard = answered;
      this.#send(operation, parts[0]!.place);
    } else {
      this.#split(operation, parts, answered);
    }
  }

  /** Each part is asked of its server; the client is told the worst of their answers, once all are there. */
  #split(operation: Operation, parts: readonly CommitmentPart[], answered: (status: number) => void): void {
    const { host } = this.#options;
    let left = parts.length;
    let worst: number = STATUS.SUCCESS;
    const heard = (status: number) => {
      if (worst === STATUS.SUCCESS) worst = status;
      if (--left > 0) return;
      answered(worst);
      host.respond(operation, worst);
    };
    for (const { place, dataSet } of parts) {
      const part = new Operation(rewritten(operation.message, operation.command, dataSet), undefined, host);
      part.since = operation.since;
      part.isPart = true;
      part.heard = heard;
      this.#send(part, place);
    }
    operation.message.over();
  }

  #send(operation: Operation, place: string | undefined): void {
    const { placement, serverAt, host } = this.#options;
    const server = place === undefined ? undefined : serverAt(place);
    if (server) placement.toServer(operation, server);
    // Two parts must not meet at one server, under one message id.
    else if (operation.isPart || place !== undefined)
      host.failed(operation, STATUS.PROCESSING_FAILURE, 'the server that has the instances is away');
    else placement.place(operation);
  }

  /** A server reports, through the egress: to the destination of whoever asked. */
  #passOn(operation: Operation): void {
    const { placement, record, host } = this.#options;
    const { message } = operation;
    const report = this.#reportIn(message, placement.legs.contexts);
    if (report === 'answered') {
      host.respond(operation, STATUS.SUCCESS);
      message.over();
      return;
    }
    const { toAe } = report;
    const next = reported(message, report);
    let passed = operation;
    if (next !== message) {
      passed = new Operation(next, undefined, host);
      passed.since = operation.since;
      host.replace(operation, passed);
      message.over();
    }
    passed.heard = heardBy(report);
    if (toAe !== undefined && toAe !== record.request!.calledAe) passed.facts = factsFrom({ called: toAe });
    placement.place(passed);
  }
}

/** An N-ACTION-RQ that asks for a commitment. */
function isRequest({ commandField, requestedSopClass, actionTypeId }: Command): boolean {
  const isOfClass = commandField === COMMAND.N_ACTION && requestedSopClass === STORAGE_COMMITMENT;
  return isOfClass && actionTypeId === REQUEST_COMMITMENT;
}

function isReport({ commandField, affectedSopClass }: Command): boolean {
  return commandField === COMMAND.N_EVENT_REPORT && affectedSopClass === STORAGE_COMMITMENT;
}

/** The message that carries the report: the server's own when nothing in it had to change. */
function reported(message: Message, { deliver, eventType }: Report): Message {
  if (eventType === undefined) return message;
  return rewritten(message, { ...message.command, eventTypeId: eventType }, deliver);
}

/** A message in place of another one, with its id. */
function rewritten({ contextId }: Message, command: Command, dataSet: Buffer): Message {
  const message = Message.of(contextId, command, dataSet, 0);
  message.command = command;
  return message;
}

function heardBy({ delivered }: Report): (status: number) => void {
  return (status) => {
    if (status === STATUS.SUCCESS) delivered();
  };
}

/** The N-EVENT-REPORT-RSP for a part of a report that is not whole yet. */
function acknowledgement({ contextId, command }: Message): Message {
  const { messageId, affectedSopClass, affectedSopInstance, eventTypeId } = command;
  const response = {
    commandField: COMMAND.N_EVENT_REPORT | RESPONSE_BIT,
    messageIdRespondedTo: messageId,
    affectedSopClass,
    affectedSopInstance,
    eventTypeId,
    status: STATUS.SUCCESS,
  };
  return Message.of(contextId, response, undefined, 0);
}
