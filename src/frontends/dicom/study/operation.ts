/** What the client has asked for and was not answered yet: one DIMSE request, and where it is. */
import { COMMAND, type Command, operationName } from '../../../../protocols/dicom/command-set.ts';
import type { DataSetPeek } from '../../../../protocols/dicom/data-set-peek.ts';
import type { Facts } from '../../../../protocols/facts.ts';
import type { Choice } from '../../../director/director.ts';
import type { Waiting } from '../../waiting-room.ts';
import type { Leg } from './leg.ts';
import type { Message } from './message.ts';
import type { Outbox } from './outbox.ts';

/** PS3.7 Annex C and PS3.4 B.2.3, C.4: what Gantry itself may answer. */
export const STATUS = {
  SUCCESS: 0x0000,
  PROCESSING_FAILURE: 0x0110,
  SOP_CLASS_NOT_SUPPORTED: 0x0122,
  DUPLICATE_INVOCATION: 0x0210,
  OUT_OF_RESOURCES: 0xa700,
  /** C-GET and C-MOVE: unable to perform sub-operations. */
  NO_SUB_OPERATIONS: 0xa702,
  UNABLE_TO_PROCESS: 0xc000,
} as const;

export class Operation implements Waiting {
  readonly message: Message;
  readonly command: Command;
  /** Reads what its data set says; undefined: nothing of it needs to be known. */
  readonly peek: DataSetPeek | undefined;
  facts: Facts | undefined;
  choice: Choice | undefined;
  /** Where it is, or waits to be. */
  leg: Leg | undefined;
  /** Where its message is being written. */
  outbox: Outbox | undefined;
  /** It must go to the lead, or to who becomes the lead. */
  isForLead = false;
  isUrgent = false;
  /** It was decided where it goes, so that its bytes need not be kept for that. */
  isPlaced = false;
  /** A response to it is on its way to the client. */
  isAnswered = false;
  /** It has its final answer. */
  isOver = false;
  /** One of several that together are what the client asked for: its answer is not for the client. */
  isPart = false;
  /** Hears the status of its final answer, whoever gave it. */
  heard: ((status: number) => void) | undefined;
  /** Status that it is answered with when its data set is over. */
  failure: number | undefined;
  /** Servers that it was sent to. */
  sent = 0;
  /** How often it found its study moved before it was sent, and how often it waited for a server that takes it. */
  changes = 0;
  pauses = 0;
  /** Of its bytes, how many count as on their way to its server. */
  bytesInFlight = 0;
  /** Milliseconds of the clock when its request was whole. */
  since = 0;
  readonly #host: OperationHost;

  constructor(message: Message, peek: DataSetPeek | undefined, host: OperationHost) {
    this.message = message;
    this.command = message.command;
    this.peek = peek;
    this.#host = host;
  }

  get id(): number {
    return this.command.messageId ?? 0;
  }

  get isStore(): boolean {
    return this.command.commandField === COMMAND.C_STORE;
  }

  get kind(): string {
    return operationName(this.command.commandField) ?? 'unknown';
  }

  /** May it be asked of another server after one that may have begun it? C-STORE and C-ECHO do the same twice. */
  get isRepeatable(): boolean {
    return REPEATABLE.has(this.command.commandField) && !this.isAnswered && this.message.isKept;
  }

  /** Could no other server of the pool do it? */
  get hasOneServer(): boolean {
    return (this.choice?.pool?.takers.length ?? 1) < 2;
  }

  tryAgain(): void {
    this.#host.tryAgain(this);
  }

  waitIsOver(): void {
    this.#host.waitIsOver(this);
  }
}

export interface OperationHost {
  tryAgain(operation: Operation): void;
  waitIsOver(operation: Operation): void;
}

/** A C-FIND that has no answer yet has changed nothing either. */
const REPEATABLE: ReadonlySet<number> = new Set([COMMAND.C_STORE, COMMAND.C_ECHO, COMMAND.C_FIND]);

/** What the client is told when nobody can do it now: a status that its service has, and that lets it try again. */
export function unavailableStatus({ commandField }: Command): number {
  switch (commandField) {
    case COMMAND.C_STORE:
    case COMMAND.C_FIND:
      return STATUS.OUT_OF_RESOURCES;
    case COMMAND.C_GET:
    case COMMAND.C_MOVE:
      return STATUS.NO_SUB_OPERATIONS;
    default:
      return STATUS.PROCESSING_FAILURE;
  }
}
