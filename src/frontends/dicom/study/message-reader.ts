/**
 * Reads the DIMSE messages of one direction of an association while their bytes arrive. What breaks PS3.7 or PS3.8 is a
 * fault: a message that others have to understand is not guessed at.
 */
import { COMMAND, type Command, isResponse } from '../../../../protocols/dicom/command-set.ts';
import { PDU, pduName } from '../../../../protocols/dicom/pdu.ts';
import { ABORT_REASON } from '../../../../protocols/dicom/pdu-fault.ts';
import {
  createPduFollower,
  type PduFollower,
  type PduSink,
} from '../../../../protocols/dicom/pdu-follower.ts';
import { Message } from './message.ts';
import type { ReplayBudget } from './replay-budget.ts';

/** Hears what arrives, during `push`, in the order of the bytes. */
export interface MessageListener {
  /** Its command set is whole. A data set follows when the command says so. */
  messageBegan(message: Message): void;
  /** The bytes of its data set from `start` to `end`, which are appended already; valid during the call. */
  messageArrived(message: Message, bytes: Uint8Array, start: number, end: number): void;
  messageEnded(message: Message): void;
  /** A PDU that is not P-DATA-TF: A-RELEASE-RQ, A-RELEASE-RP or A-ABORT with its source and reason. */
  otherPdu(type: number, source: number, reason: number): void;
  /** The bytes break the standard, an A-ABORT of this reason (PS3.8 Table 9-26) is due. Nothing else follows. */
  broken(reason: number, what: string): void;
}

/** What may come once an association is open. */
const EXPECTED: ReadonlySet<number> = new Set([
  PDU.P_DATA_TF,
  PDU.A_RELEASE_RQ,
  PDU.A_RELEASE_RP,
  PDU.A_ABORT,
]);

export interface MessageReaderOptions {
  /** Presentation contexts that were accepted. */
  readonly contexts: ReadonlyMap<number, string>;
  /** For what may have to be written again. */
  readonly budget?: ReplayBudget | undefined;
}

export class MessageReader implements PduSink {
  readonly #listener: MessageListener;
  readonly #options: MessageReaderOptions;
  readonly #follower: PduFollower;
  #message: Message | undefined;
  #isOver = false;

  constructor(listener: MessageListener, options: MessageReaderOptions) {
    this.#listener = listener;
    this.#options = options;
    this.#follower = createPduFollower(this, { strict: true });
  }

  /** Takes the next bytes, in pieces of any size; keeps nothing of them. */
  push(bytes: Uint8Array): void {
    if (!this.#isOver) this.#follower.push(bytes);
  }

  /** Nothing that arrives from now on counts; what came of a message is not kept. */
  stop(): void {
    this.#isOver = true;
    this.#message?.over();
    this.#message = undefined;
  }

  /** A PDU has begun and is not whole. */
  get insidePdu(): boolean {
    return this.#follower.insidePdu;
  }

  /** A message has begun and is not whole. */
  get insideMessage(): boolean {
    return this.#message !== undefined;
  }

  pduStart(type: number): void {
    if (!EXPECTED.has(type)) this.#fail(ABORT_REASON.UNEXPECTED_PDU, `${pduName(type)} came out of turn`);
    else if (type !== PDU.P_DATA_TF && this.#message && type !== PDU.A_ABORT)
      this.#fail(ABORT_REASON.UNEXPECTED_PDU, `${pduName(type)} came inside a message`);
  }

  pduEnd(type: number, source: number, reason: number): void {
    if (!this.#isOver && type !== PDU.P_DATA_TF) this.#listener.otherPdu(type, source, reason);
  }

  fragmentStart(contextId: number, isCommand: boolean, isLast: boolean, length: number): void {
    if (this.#isOver) return;
    const wrong = this.#wrongAbout(contextId, isCommand, length);
    if (wrong !== undefined) {
      this.#fail(ABORT_REASON.INVALID_PARAMETER_VALUE, wrong);
      return;
    }
    this.#message ??= new Message(contextId, this.#options.budget);
    if (!this.#message.isUnwanted) this.#message.appendHeader(isCommand, isLast, length);
  }

  #wrongAbout(contextId: number, isCommand: boolean, length: number): string | undefined {
    const message = this.#message;
    if (!this.#options.contexts.has(contextId)) return 'a presentation context that was not accepted is used';
    if (length % 2 !== 0) return 'a fragment has an odd length';
    if (!message) return isCommand ? undefined : 'a data set comes without its command';
    if (message.contextId !== contextId) return 'a message changes its presentation context';
    return isCommand && message.hasCommand ? 'another message begins inside a data set' : undefined;
  }

  fragmentBytes(bytes: Uint8Array, start: number, end: number): void {
    const message = this.#message;
    if (this.#isOver || !message) return;
    if (!message.isUnwanted) message.append(bytes, start, end);
    if (message.hasCommand) this.#listener.messageArrived(message, bytes, start, end);
  }

  command(command: Command): void {
    const message = this.#message;
    if (this.#isOver || !message) return;
    const wrong = senseless(command);
    if (wrong !== undefined) {
      this.#fail(ABORT_REASON.INVALID_PARAMETER_VALUE, wrong);
      return;
    }
    message.command = command;
    if (!command.hasDataSet) {
      message.isComplete = true;
      this.#message = undefined;
    }
    this.#listener.messageBegan(message);
    if (message.isComplete && !this.#isOver) this.#listener.messageEnded(message);
  }

  dataEnd(): void {
    const message = this.#message;
    if (this.#isOver || !message) return;
    this.#message = undefined;
    message.isComplete = true;
    this.#listener.messageEnded(message);
  }

  fault(what: string): void {
    this.#fail(ABORT_REASON.INVALID_PARAMETER_VALUE, what);
  }

  #fail(reason: number, what: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.broken(reason, what);
  }
}

/** What is wrong with a command set that nobody can tell the meaning of (PS3.7 9.3, 10.3). */
function senseless(command: Command): string | undefined {
  const { commandField, messageId, messageIdRespondedTo, status, hasDataSet } = command;
  if (!isResponse(commandField) && commandField !== COMMAND.C_CANCEL)
    return messageId === undefined ? 'a request has no message id' : undefined;
  if (messageIdRespondedTo === undefined) return 'a message does not say which request it is about';
  if (!isResponse(commandField)) return hasDataSet ? 'a C-CANCEL has a data set' : undefined;
  return status === undefined ? 'a response has no status' : undefined;
}
