/**
 * Where the operations of one client's association go: the lead, the server where the director has a study, the next
 * one when a server is lost in the middle of it. Legs are opened on demand, and closed when nobody needs them.
 */
import type { Associate } from '../../../../protocols/dicom/associate.ts';
import { proposalOf, withCalledAe } from '../../../../protocols/dicom/associate-rewrite.ts';
import { COMMAND } from '../../../../protocols/dicom/command-set.ts';
import { outcomeOf } from '../../../../protocols/dicom/operations.ts';
import { isTransient, type Reject } from '../../../../protocols/dicom/small-pdus.ts';
import type { Facts } from '../../../../protocols/facts.ts';
import type { Choice, Director } from '../../../director/director.ts';
import type { GantryError } from '../../../errors.ts';
import { notice } from '../../../observe/events.ts';
import type { Server } from '../../../pools/server.ts';
import type { Channel } from '../../../relay/channel.ts';
import { preambleOf, type ServerLink } from '../../../relay/dial.ts';
import type { Waiting } from '../../waiting-room.ts';
import type { AssociationRecord } from '../record.ts';
import { type AttemptListener, ServerAttempt } from '../server-attempt.ts';
import { Leg, type LegListener, type LegSettings } from './leg.ts';
import type { Message } from './message.ts';
import { type Operation, STATUS, unavailableStatus } from './operation.ts';

export interface PlacementSettings extends LegSettings {
  readonly vip: string;
  readonly director: Director;
  readonly now: () => number;
  /** How the servers of a pool are reached, by its name. */
  readonly links: ReadonlyMap<string, ServerLink>;
  readonly storage: 'shared' | 'separate';
  /** Milliseconds for which an operation may look for a server. */
  readonly wait: number;
}

/** What the front-end is to the operations of its associations. */
export interface PlacementHost {
  /** May this server get one more association of this VIP? */
  hasRoom(server: Server): boolean;
  /** Takes a slot of the server, and gives it back. */
  take(server: Server): void;
  free(server: Server): void;
  /** Puts the operation in the wait queue. False: its time is over. */
  wait(operation: Waiting): boolean;
  waitNoMore(operation: Waiting): void;
}

export interface PlacementListener {
  /** Nobody does it: it is to be answered with this status. */
  failed(operation: Operation, status: number, why: string): void;
  /** A message of a server has begun, goes on, is whole. */
  serverBegan(leg: Leg, message: Message): void;
  serverWentOn(leg: Leg, message: Message): void;
  serverEnded(leg: Leg, message: Message): void;
  /** A server took more of what it is sent. */
  moved(): void;
  /** A leg is gone. `wasLost`: not by our own wish. */
  legOver(leg: Leg): void;
}

export interface PlacementOptions {
  readonly settings: PlacementSettings;
  readonly host: PlacementHost;
  readonly listener: PlacementListener;
  readonly client: Channel;
  readonly record: AssociationRecord;
  /** Facts of the association. */
  readonly facts: Facts;
  /** What the client asked for. */
  readonly request: Associate;
}

/** Nobody took it, and nobody is known to be better: asked again after so many milliseconds. */
const PAUSE_MS = 500;
/** So often an operation may find its study moved by others before it was sent. */
const MOST_CHANGES = 5;

export class Placement implements LegListener {
  /** Legs that take operations, the lead among them. */
  readonly #legs = new Map<Server, Leg>();
  /** All that are not gone. */
  readonly #all = new Set<Leg>();
  readonly #options: PlacementOptions;
  readonly #proposals = new Map<string | undefined, Buffer>();
  /** Servers that do not accept all that the lead does. */
  readonly #lacking = new Set<Server>();
  /** What the client was promised: presentation context → transfer syntax. */
  readonly #contexts: ReadonlyMap<number, string>;
  #lead: Leg | undefined;
  #bytesWritten = 0;
  #isOver = false;

  /** Takes over the association of the lead. */
  constructor(options: PlacementOptions, lead: Server, channel: Channel, accept: Buffer) {
    this.#options = options;
    const leg = new Leg(lead, this, options.settings);
    this.#all.add(leg);
    this.#legs.set(lead, leg);
    this.#lead = leg;
    leg.adopt(channel, accept);
    this.#contexts = leg.contexts;
  }

  get contexts(): ReadonlyMap<number, string> {
    return this.#contexts;
  }

  get legs(): Iterable<Leg> {
    return this.#all;
  }

  get lead(): Leg | undefined {
    return this.#lead;
  }

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  get bytesWritten(): number {
    let sum = this.#bytesWritten;
    for (const leg of this.#all) sum += leg.bytesWritten;
    return sum;
  }

  /** The leg of a place, `POOL/SERVER`, if one is there. */
  legAt(place: string): Leg | undefined {
    for (const leg of this.#legs.values()) if (leg.place === place) return leg;
    return undefined;
  }

  // Where an operation goes.

  /** To where the director has the work of these facts; without a key that brings it back anywhere, to the lead. */
  byFacts(operation: Operation): void {
    operation.isPlaced = true;
    const choice = this.#choose(operation.facts!);
    operation.isUrgent = choice.urgent;
    if (choice.reject !== undefined) {
      this.#fail(operation, STATUS.SOP_CLASS_NOT_SUPPORTED, 'no rule takes it');
    } else if (!choice.persistence && !choice.urgent && this.#isOfLead(choice)) {
      this.toLead(operation);
    } else {
      operation.choice = choice;
      this.#seek(operation);
    }
  }

  /** To where the study of a query is, or where a rule sends it, or to the lead. */
  byStudy(operation: Operation): void {
    operation.isPlaced = true;
    const { director } = this.#options.settings;
    const facts = operation.facts!;
    const place = facts.get('study') === undefined ? undefined : director.whereabouts(facts);
    if (place?.server) {
      this.toServer(operation, place.server);
      return;
    }
    if (place && this.#isSeparate) {
      this.#fail(operation, unavailableStatus(operation.command), 'the server that has the study is away');
      return;
    }
    const choice = this.#choose(facts);
    if (choice.reject === undefined && !this.#isOfLead(choice)) {
      operation.choice = choice;
      this.#seek(operation);
    } else if (this.#isSeparate && facts.get('study') === undefined && needsAll(operation)) {
      this.#fail(operation, STATUS.UNABLE_TO_PROCESS, 'no rule says which pool sees all studies');
    } else {
      this.toLead(operation);
    }
  }

  toLead(operation: Operation): void {
    operation.isPlaced = true;
    operation.isForLead = true;
    const lead = this.#lead;
    if (lead?.isOpen && !lead.isLeaving) {
      operation.leg = lead;
      this.#send(operation, lead);
      return;
    }
    operation.choice = this.#choose(this.#options.facts);
    if (operation.choice.reject === undefined) this.#seek(operation);
    else this.#fail(operation, unavailableStatus(operation.command), 'no rule takes it');
  }

  /** To this server and no other. */
  toServer(operation: Operation, server: Server): void {
    operation.isPlaced = true;
    this.#assign(operation, server);
  }

  // What operations go through.

  /** More of its bytes are there. */
  grew(operation: Operation): void {
    const { leg } = operation;
    if (!leg?.operations.has(operation.id)) return;
    const { length } = operation.message;
    leg.server.load.bytesInFlight += length - operation.bytesInFlight;
    operation.bytesInFlight = length;
  }

  /** Hands on to servers what is there for them. */
  pumpAll(): void {
    for (const leg of this.#all) leg.outbox?.pump();
  }

  /** It has its final response, from its leg. */
  answered(operation: Operation, status: number): void {
    const { leg } = operation;
    if (!leg) return;
    const ms = this.#options.settings.now() - operation.since;
    this.#recall(operation, leg);
    leg.server.load.operationEnded(Math.max(ms, 0), outcomeOf(status));
    this.#over(operation);
    this.#restIfIdle(leg);
  }

  /** It is answered by us, or by nobody. */
  drop(operation: Operation): void {
    const { leg, choice } = operation;
    if (leg?.operations.has(operation.id)) {
      this.#recall(operation, leg);
      leg.server.load.operations--;
    }
    leg?.waiting.delete(operation);
    choice?.abandon();
    this.#options.host.waitNoMore(operation);
    this.#over(operation);
  }

  tryAgain(operation: Operation): void {
    if (operation.isOver || operation.leg || this.#isOver) return;
    if (operation.isForLead) {
      this.toLead(operation);
    } else {
      operation.choice = this.#choose(operation.facts!);
      this.#seek(operation);
    }
  }

  waitIsOver(operation: Operation): void {
    if (!operation.isOver && !operation.leg)
      this.#fail(operation, unavailableStatus(operation.command), 'no slot got free in time');
  }

  // What an operator or the client does.

  /** The server was halted: it is left as soon as nothing is open there. */
  leave(server: Server): void {
    const leg = this.#legs.get(server);
    if (!leg) return;
    leg.isLeaving = true;
    this.#restIfIdle(leg);
  }

  /** What is open there goes on elsewhere, as if the server were lost. */
  cut(server: Server, why: string): void {
    const leg = this.#legs.get(server);
    if (!leg) return;
    const operations = this.#clear(leg);
    this.#forget(leg);
    leg.abort();
    this.#goOn(operations, leg, why);
  }

  /** Releases every leg; `legOver` follows for each. */
  releaseAll(): void {
    this.#isOver = true;
    for (const leg of [...this.#all]) {
      this.#clear(leg);
      leg.release();
    }
  }

  abortAll(lastWords?: Buffer): void {
    this.#isOver = true;
    for (const leg of [...this.#all]) {
      this.#clear(leg);
      leg.abort(lastWords);
    }
  }

  // What becomes of legs.

  opened(leg: Leg): void {
    leg.server.dialAnswered(this.#options.settings.now());
    for (const [id, syntax] of this.#contexts) {
      if (leg.contexts.get(id) !== syntax) this.#lacking.add(leg.server);
    }
    for (const operation of [...leg.waiting]) {
      leg.waiting.delete(operation);
      if (operation.leg === leg) this.#send(operation, leg);
    }
    this.#restIfIdle(leg);
  }

  refused(leg: Leg, error: GantryError | Reject): void {
    const { now } = this.#options.settings;
    if (error instanceof Error) leg.server.dialFailed(error.message, now());
    else leg.server.dialAnswered(now());
    if (!(error instanceof Error) && !isTransient(error)) {
      const { pool, name } = leg.server;
      notice(
        'warn',
        'a server rejects for ever what another accepts: are their AE titles configured alike?',
        {
          pool,
          server: name,
          acceptedBy: this.#lead?.server.name ?? '',
        },
      );
    }
    this.#forget(leg);
    this.#goOn(this.#clear(leg), leg, 'could not be had');
  }

  lost(leg: Leg, why: string): void {
    this.#forget(leg);
    this.#goOn(this.#clear(leg), leg, why);
  }

  over(leg: Leg): void {
    this.#forget(leg);
    if (!this.#all.delete(leg)) return;
    this.#bytesWritten += leg.bytesWritten;
    const { host, listener } = this.#options;
    listener.legOver(leg);
    host.free(leg.server);
  }

  rested(leg: Leg): void {
    if (leg !== this.#lead) this.#part(leg);
  }

  began(leg: Leg, message: Message): void {
    this.#options.listener.serverBegan(leg, message);
  }

  arrived(leg: Leg, message: Message): void {
    this.#options.listener.serverWentOn(leg, message);
  }

  ended(leg: Leg, message: Message): void {
    this.#options.listener.serverEnded(leg, message);
  }

  moved(): void {
    this.#options.listener.moved();
  }

  get #isSeparate(): boolean {
    return this.#options.settings.storage === 'separate';
  }

  #isOfLead({ pool }: Choice): boolean {
    return pool?.name === this.#options.record.pool;
  }

  #choose(facts: Facts): Choice {
    const { settings, host } = this.#options;
    return settings.director.choose(facts, {
      isOpen: (server) => this.#legs.has(server) && !this.#lacking.has(server),
      hasRoom: (server) => host.hasRoom(server) && !this.#lacking.has(server),
    });
  }

  #seek(operation: Operation, after?: 'lost'): void {
    const choice = operation.choice!;
    operation.leg = undefined;
    const candidate = choice.next(after);
    if (candidate) {
      this.#assign(operation, candidate.server);
      return;
    }
    const { exhausted } = choice;
    choice.abandon();
    const why = exhausted === 'away' ? 'the server that has the study is away' : 'no server could be had';
    if (!this.#waits(operation, exhausted)) this.#fail(operation, unavailableStatus(operation.command), why);
  }

  /** Is it worth while to wait for a server? */
  #waits(operation: Operation, exhausted: Choice['exhausted']): boolean {
    const { host, settings } = this.#options;
    if (exhausted === 'full') return host.wait(operation);
    if (exhausted !== 'all-tried') return false;
    operation.pauses++;
    if (operation.pauses * PAUSE_MS > settings.wait) return false;
    settings.deadlines.after(PAUSE_MS, () => this.tryAgain(operation));
    return true;
  }

  #assign(operation: Operation, server: Server): void {
    const leg = this.#legs.get(server) ?? this.#open(server);
    operation.leg = leg;
    if (leg.isOpen) this.#send(operation, leg);
    else leg.waiting.add(operation);
  }

  #open(server: Server): Leg {
    const { settings, host, client, record } = this.#options;
    const leg = new Leg(server, this, settings);
    this.#all.add(leg);
    this.#legs.set(server, leg);
    host.take(server);
    record.attempts++;
    const target = { host: server.host, port: server.port ?? client.local.port };
    const link = settings.links.get(server.pool);
    const { deadlines, timeouts } = settings;
    const attempt = (listener: AttemptListener) => {
      const request = this.#proposalFor(server.ae);
      return new ServerAttempt(
        target,
        preambleOf(link, client),
        request,
        listener,
        deadlines,
        timeouts.release,
      );
    };
    leg.open(attempt);
    return leg;
  }

  #proposalFor(ae: string | undefined): Buffer {
    let proposal = this.#proposals.get(ae);
    if (!proposal) {
      proposal = proposalOf(this.#options.request, this.#contexts);
      if (ae !== undefined) proposal = withCalledAe(proposal, ae);
      this.#proposals.set(ae, proposal);
    }
    return proposal;
  }

  /** Its leg is open. */
  #send(operation: Operation, leg: Leg): void {
    const { choice, message } = operation;
    if (choice && !choice.stands && operation.changes < MOST_CHANGES) {
      // Others lost that server meanwhile, and took the study elsewhere.
      operation.changes++;
      choice.abandon();
      operation.leg = undefined;
      this.tryAgain(operation);
      return;
    }
    if (!this.#serves(leg, operation)) {
      if (choice && !choice.isConfirmed) this.#seek(operation, 'lost');
      else this.#fail(operation, STATUS.SOP_CLASS_NOT_SUPPORTED, 'its server does not accept this context');
      return;
    }
    choice?.settle();
    this.#options.host.waitNoMore(operation);
    if (operation.isForLead && !this.#lead) this.#leadBy(leg);
    if (operation.sent++ > 0) this.#options.record.replays++;
    leg.operations.set(operation.id, operation);
    leg.server.load.operationStarted();
    this.grew(operation);
    operation.outbox = leg.outbox;
    leg.outbox!.push(message);
  }

  #serves(leg: Leg, operation: Operation): boolean {
    if (!this.#lacking.has(leg.server)) return leg.contexts.has(operation.message.contextId);
    return !operation.isForLead && operation.choice?.isConfirmed !== false && this.#accepts(leg, operation);
  }

  #accepts(leg: Leg, { message: { contextId } }: Operation): boolean {
    return leg.contexts.get(contextId) === this.#contexts.get(contextId);
  }

  #leadBy(leg: Leg): void {
    this.#lead = leg;
    this.#options.record.server = leg.server.name;
  }

  /** It is no longer on its leg; its load is still counted there but for the bytes. */
  #recall(operation: Operation, leg: Leg): void {
    leg.operations.delete(operation.id);
    leg.server.load.bytesInFlight -= operation.bytesInFlight;
    operation.bytesInFlight = 0;
    operation.leg = undefined;
  }

  #over(operation: Operation): void {
    operation.isOver = true;
    operation.message.over();
  }

  /** Takes what is open or waits there off a leg that does no more. */
  #clear(leg: Leg): Operation[] {
    const sent = [...leg.operations.values()];
    for (const operation of sent) {
      this.#recall(operation, leg);
      const ms = Math.max(this.#options.settings.now() - operation.since, 0);
      leg.server.load.operationEnded(ms, 'failure');
    }
    const waiting = [...leg.waiting];
    leg.waiting.clear();
    for (const operation of waiting) operation.leg = undefined;
    return [...sent, ...waiting];
  }

  /** What was open on a leg that is gone. */
  #goOn(operations: readonly Operation[], leg: Leg, why: string): void {
    if (this.#isOver) return;
    const { name, pool } = leg.server;
    const { vip, client } = this.#options.record;
    for (const operation of operations) {
      if (operation.sent > 0 && !operation.isRepeatable) {
        this.#fail(operation, unavailableStatus(operation.command), `its server ${why}`);
        continue;
      }
      if (operation.sent > 0)
        notice('info', `a server ${why} in the middle of an operation: another one does it`, {
          vip,
          client,
          pool,
          server: name,
          operation: operation.kind,
        });
      if (operation.choice) this.#seek(operation, 'lost');
      else if (this.#isSeparate && !operation.isForLead)
        this.#fail(operation, unavailableStatus(operation.command), `its server ${why}`);
      else this.toLead(operation);
    }
  }

  #forget(leg: Leg): void {
    if (this.#legs.get(leg.server) === leg) this.#legs.delete(leg.server);
    if (this.#lead === leg) this.#lead = undefined;
  }

  #restIfIdle(leg: Leg): void {
    if (!leg.isOpen || !leg.isIdle) return;
    if (leg.isLeaving) this.#part(leg);
    else if (leg !== this.#lead) leg.rest();
  }

  #part(leg: Leg): void {
    this.#forget(leg);
    leg.release();
  }

  #fail(operation: Operation, status: number, why: string): void {
    this.drop(operation);
    this.#options.listener.failed(operation, status, why);
  }
}

/** Of independent archives, each one would answer for a part of the studies as if that were all. */
function needsAll({ command: { commandField, affectedSopClass } }: Operation): boolean {
  const isQuery =
    commandField === COMMAND.C_FIND || commandField === COMMAND.C_MOVE || commandField === COMMAND.C_GET;
  // Patient Root, Study Root and Patient/Study Only Query/Retrieve (PS3.4 C.6), not worklists.
  return isQuery && affectedSopClass?.startsWith('1.2.840.10008.5.1.4.1.2.') === true;
}
