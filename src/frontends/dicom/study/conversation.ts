/**
 * An open association in study routing, message by message: what the client asks goes to the server where it belongs,
 * what servers answer comes back as it is. A server may come and go; the client sees one association.
 *
 * Nothing is acknowledged that a server did not acknowledge: a status of success is only ever a server's own.
 */
import { COMMAND, type Command, isResponse, RESPONSE_BIT } from '../../../../protocols/dicom/command-set.ts';
import { createOperations, type Operations } from '../../../../protocols/dicom/operations.ts';
import { PDU } from '../../../../protocols/dicom/pdu.ts';
import { writeAbort, writeReleaseRp } from '../../../../protocols/dicom/small-pdus.ts';
import { isPending } from '../../../../protocols/dicom/status.ts';
import type { GantryError } from '../../../errors.ts';
import type { Server } from '../../../pools/server.ts';
import type { ChannelHandler } from '../../../relay/channel.ts';
import type { Deadline } from '../../../relay/deadlines.ts';
import { dismiss } from '../../../relay/dismiss.ts';
import { LARGEST_COMMITMENT } from '../affinity/commitment-data.ts';
import { ClientSide } from './client-side.ts';
import type { StudyConversationOptions } from './conversation-options.ts';
import type { Leg } from './leg.ts';
import type { Message } from './message.ts';
import { type MessageListener, MessageReader } from './message-reader.ts';
import type { Operation } from './operation.ts';
import { Placement } from './placement.ts';
import type { PlacementListener } from './placement-options.ts';
import { Requests } from './requests.ts';

/** The client is not read while so many bytes of its message wait for a server. */
const MOST_AHEAD = 1024 * 1024;
const ABORT_PROVIDER = writeAbort(2, 0);

type Phase = 'open' | 'releasing' | 'over';

export class StudyConversation implements ChannelHandler, MessageListener, PlacementListener {
  readonly #options: StudyConversationOptions;
  readonly #placement: Placement;
  readonly #reader: MessageReader;
  readonly #clientSide: ClientSide;
  readonly #counts: Operations;
  readonly #requests: Requests;
  readonly #watch: Deadline;
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
    const { contexts } = this.#placement.legs;
    this.#reader = new MessageReader(this, { contexts, budget: settings.budget });
    const moved = () => this.moved();
    const { maxLength = 0 } = request.userInformation;
    this.#clientSide = new ClientSide(client, maxLength, { moved });
    this.#counts = createOperations({ now: settings.now });
    this.#requests = new Requests({
      placement: this.#placement,
      clientSide: this.#clientSide,
      counts: this.#counts,
      record,
      facts,
      maxLength,
      tags: settings.tags,
      isUrgentOrder: settings.isUrgentOrder,
      affinity: settings.affinity,
      serverAt: settings.serverAt,
      now: settings.now,
    });
    this.#lastMoved = settings.now();
    const { stall, idle } = settings.timeouts;
    const watchEvery = Math.max(50, Math.min(stall, idle) / 4);
    this.#watch = settings.deadlines.after(watchEvery, () => this.#look());
    client.handler = this;
  }

  /** Takes up what came early, and reads on. */
  start(): void {
    const { early, client } = this.#options;
    const lead = this.#placement.legs.lead!;
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
    return this.#placement.legs.bytesWritten;
  }

  /** The server was halted: the association goes on without it. */
  leave(server: Server): void {
    this.#placement.leave(server);
  }

  /** A server that does not answer its check holds on to nothing that another one can do. */
  foundDown(server: Server): void {
    this.#placement.foundDown(server);
  }

  makeRoom(): void {
    this.#placement.makeRoom();
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
    this.#requests.handOn();
    this.#holdBack();
  }

  ended(): void {
    // Who has asked for release may say so that nothing else comes, and waits for the answer.
    if (this.#phase !== 'releasing') this.closed(undefined);
  }

  closed(error: GantryError | undefined): void {
    if (this.#phase === 'over') return;
    const how = error ? 'was lost' : 'closed its connection';
    this.#options.record.ends('abort', '2/0', `the client ${how} while the association was open`);
    this.#finish(ABORT_PROVIDER);
  }

  messageBegan(message: Message): void {
    const { commandField } = message.command;
    if (this.#phase !== 'open') {
      message.over();
      this.broken(2, 'a message came after its request for release');
    } else if (commandField === COMMAND.C_CANCEL) this.#requests.cancel(message);
    else if (!isResponse(commandField)) this.#requests.began(message);
    else if (!this.#clientSide.answered(message)) {
      message.over();
      this.abort('the client answered what nobody asked', 6);
    }
  }

  messageArrived(message: Message, bytes: Uint8Array, start: number, end: number): void {
    this.#requests.arrived(message, bytes, start, end);
  }

  messageEnded(message: Message): void {
    if (!isResponse(message.command.commandField)) {
      this.#requests.ended(message);
    } else {
      this.#counts.command(message.command, 'toServer');
      this.#counts.dataEnd('toServer');
      this.#placement.pumpAll();
      this.#clientSide.askNext(message.command);
      this.moved();
    }
  }

  otherPdu(type: number, source: number, reason: number): void {
    if (type === PDU.A_RELEASE_RQ && this.#phase === 'open') {
      this.#release();
    } else if (type === PDU.A_ABORT) {
      this.#options.record.ends('abort', `${source}/${reason}`, 'the client aborted');
      const isTaken = this.#options.client.pending === 0;
      this.#finish(isTaken ? 'fin' : 'reset', writeAbort(source, reason));
    } else {
      this.broken(2, 'a release PDU came out of turn');
    }
  }

  broken(reason: number, what: string): void {
    this.abort(`the client broke the standard: ${what}`, reason);
  }

  failed(operation: Operation, status: number, why: string): void {
    this.#requests.failed(operation, status, why);
    this.#holdBack();
  }

  // What servers send.

  serverBegan(leg: Leg, message: Message): void {
    this.#chunks++;
    const { command } = message;
    const incoming = { message, isStreamed: false, isHeld: false };
    leg.incoming = incoming;
    if (!isResponse(command.commandField)) {
      incoming.isHeld = this.#requests.commitments?.holds(command) ?? false;
      return;
    }
    const operation = leg.operations.get(command.messageIdRespondedTo ?? -1);
    if (!operation || command.commandField !== (operation.command.commandField | RESPONSE_BIT))
      leg.broken(6, 'it answered what nobody asked');
    else operation.isAnswered ||= isPending(command.status ?? 0);
    if (!operation?.isPart) return;
    // The client gets one answer for all parts.
    incoming.isHeld = true;
    message.isUnwanted = true;
  }

  serverWentOn(leg: Leg, message: Message): void {
    this.#chunks++;
    if (leg.incoming?.isHeld && message.length > LARGEST_COMMITMENT) leg.incoming.isHeld = false;
    if (leg.isOpen) this.#clientSide.receive(leg, message);
    if (this.#clientSide.isFullOf(leg)) leg.pause();
  }

  serverEnded(leg: Leg, message: Message): void {
    if (!leg.isOpen) return;
    const { command } = message;
    if (!leg.incoming!.isHeld) this.#clientSide.receive(leg, message);
    else if (isResponse(command.commandField) || !this.#report(leg, message)) {
      this.#serverAnswered(leg, command);
      return;
    }
    leg.incoming = undefined;
    this.#counts.command(command, 'toClient');
    if (command.hasDataSet) this.#counts.dataEnd('toClient');
    if (!isPending(command.status ?? 0)) this.#serverAnswered(leg, command);
  }

  #serverAnswered(leg: Leg, command: Command): void {
    leg.incoming = undefined;
    if (!isResponse(command.commandField)) return;
    const operation = leg.operations.get(command.messageIdRespondedTo ?? -1);
    if (operation) this.#requests.answered(operation, command);
  }

  /** Passes on what a server reports of a commitment. False: the server has its answer, the client gets nothing. */
  #report(leg: Leg, held: Message): boolean {
    const report = this.#requests.commitments!.report(leg, held);
    if (!report) return false;
    const { message, heard } = report;
    leg.incoming = { message, isStreamed: false, isHeld: false };
    this.#clientSide.receive(leg, message, heard);
    return true;
  }

  moved(): void {
    if (this.#phase === 'over') return;
    this.#chunks++;
    for (const leg of this.#placement.legs.all) if (!this.#clientSide.isFullOf(leg)) leg.resume();
    this.#holdBack();
  }

  legOver(leg: Leg): void {
    const isCut = this.#clientSide.forget(leg);
    if (this.#phase === 'releasing' && this.#placement.legs.all.size === 0) this.#releaseIsOver();
    else if (this.#phase === 'over') this.#isGone();
    else if (isCut) this.abort(`the server ${leg.server.name} was lost inside a message to the client`);
  }

  /** Does not read the client while a server does not take what is there, once it is known where that goes. */
  #holdBack(): void {
    if (this.#isOver) return;
    const { client } = this.#options;
    const isAhead = this.#requests.bytesAhead > MOST_AHEAD;
    if (isAhead === this.#isPaused) return;
    this.#isPaused = isAhead;
    if (isAhead) client.pause();
    else client.resume();
  }

  // How it ends.

  #release(): void {
    this.#phase = 'releasing';
    this.#options.record.ends('release', undefined);
    const { settings } = this.#options;
    // The client has its answer within the time of a release, whoever of the servers has answered.
    this.#leaving = settings.deadlines.after(settings.timeouts.release, () => this.#placement.abortAll());
    this.#requests.drop();
    this.#placement.releaseAll();
    if (this.#placement.legs.all.size === 0) this.#releaseIsOver();
  }

  #releaseIsOver(): void {
    if (this.#phase !== 'releasing') return;
    const { client } = this.#options;
    const canSpeak = this.#clientSide.atBoundary && client.open;
    if (canSpeak) client.write(writeReleaseRp());
    this.#finish(canSpeak ? 'fin' : 'reset');
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
    const isIdle = this.#requests.isEmpty && !this.#clientSide.isAsking;
    if (isIdle && quiet >= idle) this.abort('the association was idle too long');
    else this.#watch.restart();
  }

  get #isOver(): boolean {
    return this.#phase === 'over';
  }

  /** Whoever keeps a message from getting on is lost: a server to the client's operation, or the client. */
  #endStalled(): void {
    const { client } = this.#options;
    // A client that takes nothing keeps servers from getting on.
    const isDeaf = client.pending > 0;
    const legs = isDeaf ? [] : [...this.#placement.legs.all];
    const stalling = legs.filter((leg) => leg.isOpen && leg.isMidway);
    for (const leg of stalling) this.#placement.cut(leg.server, 'stalled inside a message');
    if (stalling.length > 0) return;
    if (isDeaf || (this.#reader.insideMessage && !this.#isPaused)) {
      this.abort('the client stalled inside a message');
    }
  }

  /** The client gets an A-ABORT where one may follow, or, when it is owed none, a FIN or a reset. */
  #finish(toClient: Buffer | 'fin' | 'reset', toServers: Buffer = ABORT_PROVIDER): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    const { client, record, settings } = this.#options;
    this.#reader.stop();
    this.#watch.cancel();
    this.#leaving?.cancel();
    this.#requests.drop();
    const lastWords = typeof toClient === 'string' ? undefined : toClient;
    const canSpeak = toClient === 'fin' || (lastWords && this.#clientSide.atBoundary && client.pending === 0);
    this.#clientSide.drop();
    record.operations = this.#counts.counts;
    this.#counts.abandon();
    this.#placement.abortAll(toServers);
    const gone = () => {
      this.#channelsOpen--;
      this.#isGone();
    };
    if (canSpeak && client.open) {
      dismiss(client, settings.deadlines, settings.timeouts.release, lastWords, gone);
    } else if (client.open) {
      client.handler = { read() {}, ended() {}, closed: gone };
      client.reset();
    } else {
      gone();
    }
  }

  #isGone(): void {
    if (this.#channelsOpen === 0 && this.#placement.legs.all.size === 0) {
      this.#channelsOpen = -1;
      this.#options.over();
    }
  }
}
