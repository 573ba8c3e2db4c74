/**
 * An open association in study routing, message by message: what the client asks goes to the server where it belongs,
 * what servers answer comes back as it is. A server may come and go; the client sees one association.
 *
 * Nothing is acknowledged that a server did not acknowledge: a status of success is only ever a server's own.
 */
import type { Associate } from '../../../../protocols/dicom/associate.ts';
import { COMMAND, type Command, isResponse, RESPONSE_BIT } from '../../../../protocols/dicom/command-set.ts';
import { createDataSetPeek } from '../../../../protocols/dicom/data-set-peek.ts';
import { messageFacts, WANTED_TAGS } from '../../../../protocols/dicom/message-facts.ts';
import { createOperations, type Operations } from '../../../../protocols/dicom/operations.ts';
import { PDU } from '../../../../protocols/dicom/pdu.ts';
import { writeAbort, writeReleaseRp } from '../../../../protocols/dicom/small-pdus.ts';
import { isPending } from '../../../../protocols/dicom/status.ts';
import { TAG } from '../../../../protocols/dicom/tags.ts';
import type { Facts } from '../../../../protocols/facts.ts';
import type { GantryError } from '../../../errors.ts';
import type { Server } from '../../../pools/server.ts';
import type { Channel, ChannelHandler } from '../../../relay/channel.ts';
import type { Deadline } from '../../../relay/deadlines.ts';
import { dismiss } from '../../../relay/dismiss.ts';
import { createInflate } from '../inflate.ts';
import type { AssociationRecord } from '../record.ts';
import { ClientSide } from './client-side.ts';
import type { Leg } from './leg.ts';
import { Message } from './message.ts';
import { type MessageListener, MessageReader } from './message-reader.ts';
import { Operation, type OperationHost, STATUS, unavailableStatus } from './operation.ts';
import {
  Placement,
  type PlacementHost,
  type PlacementListener,
  type PlacementSettings,
} from './placement.ts';
import type { ReplayBudget } from './replay-budget.ts';

export interface StudySettings extends PlacementSettings {
  readonly timeouts: {
    readonly connect: number;
    /** Milliseconds without a byte inside a message. */
    readonly stall: number;
    /** Milliseconds without a byte while nothing is open. */
    readonly idle: number;
    readonly release: number;
  };
  /** Tags that rules ask for beside the facts that have names, ascending. */
  readonly tags: readonly number[];
  readonly budget: ReplayBudget;
  /** Is there a STAT order for this accession number or study? */
  readonly isUrgentOrder: ((accession: string | undefined, study: string | undefined) => boolean) | undefined;
}

export interface StudyConversationOptions {
  readonly settings: StudySettings;
  readonly host: PlacementHost;
  readonly client: Channel;
  readonly record: AssociationRecord;
  readonly request: Associate;
  /** Facts of the association. */
  readonly facts: Facts;
  /** The server that leads, its connection, and its A-ASSOCIATE-AC. */
  readonly lead: { readonly server: Server; readonly channel: Channel; readonly accept: Buffer };
  /** Bytes that came before this began. */
  readonly early: { readonly toServer: Buffer; readonly toClient: Buffer };
  /** Every connection is gone. */
  readonly over: () => void;
}

/** The client is not read while so many bytes of its message wait for a server. */
const MOST_AHEAD = 1024 * 1024;
/** A study is looked for at least this far, whatever the replay budget. */
const LEAST_PEEK = 1024 * 1024;
const QUERY_TAGS: readonly number[] = [TAG.STUDY_INSTANCE_UID];
const ABORT_PROVIDER = writeAbort(2, 0);

type Phase = 'open' | 'releasing' | 'over';

export class StudyConversation implements ChannelHandler, MessageListener, PlacementListener, OperationHost {
  readonly #options: StudyConversationOptions;
  readonly #placement: Placement;
  readonly #reader: MessageReader;
  readonly #clientSide: ClientSide;
  readonly #counts: Operations;
  readonly #storeTags: readonly number[];
  readonly #open = new Map<number, Operation>();
  readonly #watch: Deadline;
  /** The message of the client that is under way. */
  #current: Operation | undefined;
  #phase: Phase = 'open';
  #isPaused = false;
  #leaving: Deadline | undefined;
  /** Chunks seen, now and at the last look. */
  #chunks = 0;
  #chunksAtLastLook = 0;
  #lastMoved: number;
  #channelsOpen = 1;

  /** `start` follows. */
  constructor(options: StudyConversationOptions) {
    const { settings, client, request, lead } = options;
    this.#options = options;
    const { host, record, facts } = options;
    const placing = { settings, host, listener: this, client, record, facts, request };
    this.#placement = new Placement(placing, lead.server, lead.channel, lead.accept);
    this.#reader = new MessageReader(this, { contexts: this.#placement.contexts, budget: settings.budget });
    const moved = () => this.moved();
    this.#clientSide = new ClientSide(client, request.userInformation.maxLength ?? 0, { moved });
    this.#counts = createOperations({ now: settings.now });
    this.#storeTags = merged(WANTED_TAGS, settings.tags);
    this.#lastMoved = settings.now();
    const { stall, idle } = settings.timeouts;
    const watchEvery = Math.max(50, Math.min(stall, idle) / 4);
    this.#watch = settings.deadlines.after(watchEvery, () => this.#look());
    client.handler = this;
  }

  /** Takes up what came early, and reads on. */
  start(): void {
    const { early, client } = this.#options;
    const lead = this.#placement.lead!;
    if (early.toServer.length > 0) this.read(early.toServer);
    if (early.toClient.length > 0 && lead.isOpen) lead.read(early.toClient);
    lead.resume();
    if (this.#phase !== 'over' && !this.#isPaused) client.resume();
  }

  /** Operation → status → count, so far. */
  get counts(): Operations['counts'] {
    return this.#counts.counts;
  }

  get bytesToServers(): number {
    return this.#placement.bytesWritten;
  }

  /** The server was halted: the association goes on without it. */
  leave(server: Server): void {
    this.#placement.leave(server);
  }

  cut(server: Server, why: string): void {
    this.#placement.cut(server, why);
  }

  /** Ends the association from the balancer's side (shutdown): an abort or a reset to all. */
  abort(detail: string, reason = 0): void {
    this.#options.record.ends('abort', `2/${reason}`, detail);
    this.#finish(writeAbort(2, reason));
  }

  // What the client sends.

  read(bytes: Buffer): void {
    this.#chunks++;
    this.#reader.push(bytes);
    if (this.#phase === 'over') return;
    const operation = this.#current;
    if (operation) this.#advance(operation);
    this.#holdBack();
  }

  ended(): void {
    this.closed(undefined);
  }

  closed(error: GantryError | undefined): void {
    if (this.#phase === 'over') return;
    const how = error ? 'was lost' : 'closed its connection';
    this.#options.record.ends('abort', '2/0', `the client ${how} while the association was open`);
    this.#finish(ABORT_PROVIDER);
  }

  messageBegan(message: Message): void {
    const { command } = message;
    if (isResponse(command.commandField)) {
      if (!this.#clientSide.answered(message)) this.abort('the client answered what nobody asked', 6);
      return;
    }
    if (command.commandField === COMMAND.C_CANCEL) {
      this.#cancel(message);
      return;
    }
    this.#counts.command(command, 'toServer');
    const operation = new Operation(message, this.#peekFor(message), this);
    this.#current = operation;
    operation.since = this.#options.settings.now();
    if (this.#open.has(operation.id)) {
      this.failed(operation, STATUS.DUPLICATE_INVOCATION, 'its message id is in use');
      return;
    }
    this.#open.set(operation.id, operation);
    if (!operation.peek) this.#placement.toLead(operation);
  }

  messageArrived(message: Message, bytes: Uint8Array, start: number, end: number): void {
    const operation = this.#current;
    if (operation?.message !== message || operation.isPlaced || operation.failure !== undefined) return;
    operation.peek!.push(bytes.subarray(start, end));
    if (operation.peek!.state !== 'reading') this.#place(operation);
    else if (isTooFar(message)) this.failed(operation, unavailableStatus(operation.command), TOO_FAR);
  }

  messageEnded(message: Message): void {
    if (isResponse(message.command.commandField)) {
      this.#placement.pumpAll();
      this.#clientSide.askNext();
      return;
    }
    const operation = this.#current;
    if (operation?.message !== message) return;
    this.#current = undefined;
    this.#counts.dataEnd('toServer');
    operation.since = this.#options.settings.now();
    if (operation.failure !== undefined) {
      this.#respond(operation, operation.failure);
    } else if (operation.isPlaced) {
      this.#advance(operation);
    } else {
      operation.peek!.end();
      this.#place(operation);
    }
  }

  otherPdu(type: number, source: number, reason: number): void {
    if (type === PDU.A_RELEASE_RQ && this.#phase === 'open') {
      this.#release();
    } else if (type === PDU.A_ABORT) {
      this.#options.record.ends('abort', `${source}/${reason}`, 'the client aborted');
      this.#finish(writeAbort(source, reason), true);
    } else {
      this.broken(2, 'a release PDU came out of turn');
    }
  }

  broken(reason: number, what: string): void {
    this.abort(`the client broke the standard: ${what}`, reason);
  }

  // What becomes of operations.

  failed(operation: Operation, status: number, why: string): void {
    if (this.#phase !== 'open') return;
    this.#options.record.detail ??= why;
    operation.failure = status;
    operation.message.isUnwanted = true;
    operation.message.over();
    if (operation.message.isComplete) this.#respond(operation, status);
  }

  tryAgain(operation: Operation): void {
    this.#placement.tryAgain(operation);
  }

  waitIsOver(operation: Operation): void {
    this.#placement.waitIsOver(operation);
  }

  // What servers send.

  serverBegan(leg: Leg, message: Message): void {
    this.#chunks++;
    leg.incoming = { message, isStreamed: false };
    const { command } = message;
    if (!isResponse(command.commandField)) return;
    const operation = leg.operations.get(command.messageIdRespondedTo ?? -1);
    if (!operation || command.commandField !== (operation.command.commandField | RESPONSE_BIT))
      leg.broken(6, 'it answered what nobody asked');
    else operation.isAnswered ||= isPending(command.status ?? 0);
  }

  serverWentOn(leg: Leg, message: Message): void {
    this.#chunks++;
    if (leg.isOpen) this.#clientSide.receive(leg, message);
    if (this.#clientSide.isFull) leg.pause();
  }

  serverEnded(leg: Leg, message: Message): void {
    if (!leg.isOpen) return;
    this.#clientSide.receive(leg, message);
    leg.incoming = undefined;
    const { command } = message;
    this.#counts.command(command, 'toClient');
    if (command.hasDataSet) this.#counts.dataEnd('toClient');
    const status = command.status ?? 0;
    if (!isResponse(command.commandField) || isPending(status)) return;
    const operation = leg.operations.get(command.messageIdRespondedTo ?? -1);
    if (!operation) return;
    this.#open.delete(operation.id);
    this.#placement.answered(operation, status);
  }

  moved(): void {
    if (this.#phase === 'over') return;
    this.#chunks++;
    if (!this.#clientSide.isFull) for (const leg of this.#placement.legs) leg.resume();
    this.#holdBack();
  }

  legOver(leg: Leg): void {
    const isCut = this.#clientSide.forget(leg);
    if (this.#phase === 'releasing' && this.#placement.isEmpty) this.#releaseIsOver();
    else if (this.#phase === 'over') this.#isGone();
    else if (isCut) this.abort(`the server ${leg.server.name} was lost inside a message to the client`);
  }

  /** What has to be known of a message before it is decided where it goes; undefined: nothing. */
  #peekFor({ command, contextId }: Message) {
    const tags = this.#tagsFor(command);
    if (!tags || !command.hasDataSet) return undefined;
    const transferSyntax = this.#placement.contexts.get(contextId)!;
    return createDataSetPeek({ transferSyntax, tags, inflate: createInflate() });
  }

  #tagsFor({ commandField }: Command): readonly number[] | undefined {
    switch (commandField) {
      case COMMAND.C_STORE:
        return this.#storeTags;
      case COMMAND.C_FIND:
      case COMMAND.C_MOVE:
      case COMMAND.C_GET:
        return merged(QUERY_TAGS, this.#options.settings.tags);
      default:
        return undefined;
    }
  }

  /** All that decides is known of it. */
  #place(operation: Operation): void {
    const { facts, settings } = this.#options;
    const peek = operation.peek!;
    const value = (tag: number) => peek.value(tag);
    operation.facts = messageFacts(facts, operation.command, value, settings.isUrgentOrder);
    if (operation.isStore) this.#placement.byFacts(operation);
    else this.#placement.byStudy(operation);
  }

  /** More bytes of its message are there. */
  #advance(operation: Operation): void {
    this.#placement.grew(operation);
    operation.outbox?.pump();
  }

  #cancel(message: Message): void {
    const operation = this.#open.get(message.command.messageIdRespondedTo ?? -1);
    if (operation?.outbox) operation.leg?.outbox?.push(message);
    message.over();
  }

  /** Does not read the client while a server does not take what is there, once it is known where that goes. */
  #holdBack(): void {
    const operation = this.#current;
    const { client } = this.#options;
    const ahead = operation?.isPlaced && operation.failure === undefined ? this.#ahead(operation) : 0;
    const isAhead = ahead > MOST_AHEAD;
    if (isAhead === this.#isPaused) return;
    this.#isPaused = isAhead;
    if (isAhead) client.pause();
    else client.resume();
  }

  #ahead({ message, outbox }: Operation): number {
    return outbox ? outbox.bytesUnsent : message.length;
  }

  #respond(operation: Operation, status: number): void {
    const { command, message } = operation;
    if (this.#open.get(operation.id) === operation) this.#open.delete(operation.id);
    const response = {
      commandField: command.commandField | RESPONSE_BIT,
      messageIdRespondedTo: command.messageId,
      affectedSopClass: command.affectedSopClass ?? command.requestedSopClass,
      affectedSopInstance: command.affectedSopInstance ?? command.requestedSopInstance,
      status,
    };
    const { maxLength = 0 } = this.#options.request.userInformation;
    const own = Message.of(message.contextId, response, undefined, maxLength);
    this.#counts.command({ ...command, ...response, hasDataSet: false }, 'toClient');
    this.#clientSide.send(own);
  }

  // How it ends.

  #release(): void {
    this.#phase = 'releasing';
    this.#options.record.ends('release', undefined);
    const { settings } = this.#options;
    // The client has its answer within the time of a release, whoever of the servers has answered.
    this.#leaving = settings.deadlines.after(settings.timeouts.release, () => this.#placement.abortAll());
    for (const operation of this.#open.values()) this.#placement.drop(operation);
    this.#placement.releaseAll();
    if (this.#placement.isEmpty) this.#releaseIsOver();
  }

  #releaseIsOver(): void {
    if (this.#phase !== 'releasing') return;
    const { client } = this.#options;
    const canSpeak = this.#clientSide.atBoundary && client.open;
    if (canSpeak) client.write(writeReleaseRp());
    this.#finish(undefined, canSpeak);
  }

  #look(): void {
    if (this.#phase === 'over') return;
    const now = this.#options.settings.now();
    if (this.#chunks !== this.#chunksAtLastLook) {
      this.#chunksAtLastLook = this.#chunks;
      this.#lastMoved = now;
    }
    const quiet = now - this.#lastMoved;
    const { stall, idle } = this.#options.settings.timeouts;
    if (quiet >= stall) this.#endStalled();
    if (this.#isOver) return;
    const isIdle = this.#open.size === 0 && !this.#clientSide.isAsking;
    if (isIdle && quiet >= idle) this.abort('the association was idle too long');
    else this.#watch.restart();
  }

  get #isOver(): boolean {
    return this.#phase === 'over';
  }

  /** Whoever keeps a message from getting on is lost: a server to the client's operation, or the client. */
  #endStalled(): void {
    const { client } = this.#options;
    const stalling = [...this.#placement.legs].filter((leg) => leg.isOpen && leg.isMidway);
    for (const leg of stalling) this.#placement.cut(leg.server, 'stalled inside a message');
    if (stalling.length > 0) return;
    if (client.pending > 0 || (this.#reader.insideMessage && !this.#isPaused)) {
      this.abort('the client stalled inside a message');
    }
  }

  /** `isOrderly`: the client is owed no abort. */
  #finish(lastWords: Buffer | undefined, isOrderly = false): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    const { client, record, settings } = this.#options;
    this.#reader.stop();
    this.#watch.cancel();
    this.#leaving?.cancel();
    for (const operation of this.#open.values()) this.#placement.drop(operation);
    const canSpeak = isOrderly || (this.#clientSide.atBoundary && client.pending === 0);
    this.#clientSide.drop();
    record.operations = this.#counts.counts;
    this.#counts.abandon();
    this.#placement.abortAll(lastWords);
    const gone = () => {
      this.#channelsOpen--;
      this.#isGone();
    };
    if (canSpeak && client.open) {
      dismiss(client, settings.deadlines, settings.timeouts.release, isOrderly ? undefined : lastWords, gone);
    } else if (client.open) {
      client.handler = { read() {}, ended() {}, closed: gone };
      client.reset();
    } else {
      gone();
    }
  }

  #isGone(): void {
    if (this.#channelsOpen === 0 && this.#placement.isEmpty) {
      this.#channelsOpen = -1;
      this.#options.over();
    }
  }
}

const TOO_FAR = 'no study UID came within the replay budget';

/** So much of it has come without its study that the rest cannot be kept until that comes. */
function isTooFar(message: Message): boolean {
  return !message.isKept && message.length > LEAST_PEEK;
}

function merged(tags: readonly number[], more: readonly number[]): readonly number[] {
  return [...new Set([...tags, ...more])].sort((one, other) => one - other);
}
