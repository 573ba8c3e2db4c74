/**
 * Where the operations of one client's association go: the lead, the server where the director has a study, the next
 * one when a server is lost in the middle of it.
 */
import { outcomeOf } from '../../../../protocols/dicom/operations.ts';
import { isTransient, type Reject } from '../../../../protocols/dicom/small-pdus.ts';
import type { Facts } from '../../../../protocols/facts.ts';
import type { Choice } from '../../../director/director.ts';
import { GantryError } from '../../../errors.ts';
import { notice } from '../../../observe/events.ts';
import type { Server } from '../../../pools/server.ts';
import type { Channel } from '../../../relay/channel.ts';
import { suspectOf } from '../../../relay/source.ts';
import { noticeDrift } from '../server-search.ts';
import { destinationOf } from './destination.ts';
import type { Leg, LegListener } from './leg.ts';
import { Legs } from './legs.ts';
import type { Message } from './message.ts';
import { type Operation, STATUS, unavailableStatus } from './operation.ts';
import type { PlacementOptions } from './placement-options.ts';
import { Waits } from './waits.ts';

/** So often an operation may find its study moved by others before it was sent. */
const MOST_CHANGES = 5;

export class Placement implements LegListener {
  readonly legs: Legs;
  readonly #options: PlacementOptions;
  /** The lead, for the first study that is not anywhere yet: most associations bring one only. */
  #fresh: Server | undefined;
  readonly #waits: Waits;
  #isOver = false;

  /** Takes over the association of the lead. */
  constructor(options: PlacementOptions, lead: Server, channel: Channel, accept: Buffer) {
    this.#options = options;
    this.#waits = new Waits(options.host, options.settings);
    this.legs = new Legs(options, this, lead, channel, accept);
    this.#fresh = lead;
  }

  // Where an operation goes.

  /** It is known what decides. */
  place(operation: Operation): void {
    const { settings, record } = this.#options;
    const { director, storage, affinity, serverAt } = settings;
    operation.isPlaced = true;
    const destination = destinationOf(operation.command, operation.facts, {
      director,
      storage,
      leadPool: record.pool,
      choose: (facts) => this.#choose(facts),
      placeOf: (command) => affinity?.placeOf(command),
      serverAt,
    });
    switch (destination.to) {
      case 'lead':
        this.#toLead(operation);
        break;
      case 'server':
        if (this.#canHave(destination.server)) this.toServer(operation, destination.server);
        else if (!this.#isSeparate) this.#toLead(operation);
        else this.#fail(operation, unavailableStatus(operation.command), 'its server has no free slot');
        break;
      case 'choice':
        operation.choice = destination.choice;
        this.#seek(operation);
        break;
      case 'nobody':
        this.#fail(operation, destination.status, destination.why);
    }
  }

  /** To this server and no other. */
  toServer(operation: Operation, server: Server): void {
    operation.isPlaced = true;
    this.#assign(operation, server);
  }

  // What operations go through.

  /** Hands on to servers what is there for them. */
  pumpAll(): void {
    for (const leg of this.legs.all) leg.outbox?.pump();
  }

  /** It has its final response, from its leg. */
  answered(operation: Operation, status: number): void {
    const { leg } = operation;
    if (!leg) return;
    leg.end(operation, outcomeOf(status), this.#options.settings.now());
    this.#options.record.answeredBy(leg.server.name);
    this.#over(operation);
    this.#restIfIdle(leg);
  }

  /** It is answered by us, or by nobody. */
  drop(operation: Operation): void {
    const { leg, choice } = operation;
    leg?.drop(operation);
    choice?.abandon();
    this.#waits.leave(operation);
    this.#over(operation);
  }

  tryAgain(operation: Operation): void {
    if (operation.isOver || operation.leg || this.#isOver) return;
    if (operation.isForLead) {
      this.#toLead(operation);
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
    const leg = this.legs.at(server);
    if (!leg) return;
    leg.isLeaving = true;
    this.#restIfIdle(leg);
  }

  /** It hangs, perhaps: what can be asked of another server is not waited for. A retrieval may be slow, and is. */
  foundDown(server: Server): void {
    const leg = this.legs.at(server);
    if (!leg?.isOpen) return;
    const isHeld = [...leg.operations.values()].some((operation) => !operation.isRepeatable);
    if (!isHeld) this.cut(server, 'does not answer its check');
  }

  /** Somebody waits for a slot: what is open with nothing to do ends where there is none. */
  makeRoom(): void {
    for (const leg of [...this.legs.all]) this.#restIfIdle(leg);
  }

  /** What is open there goes on elsewhere, as if the server were lost. */
  cut(server: Server, why: string): void {
    const leg = this.legs.at(server);
    if (!leg) return;
    const operations = this.#clear(leg);
    this.legs.forget(leg);
    leg.abort();
    this.#goOn(operations, leg, why);
  }

  /** Releases every leg; `legOver` follows for each. */
  releaseAll(): void {
    this.#isOver = true;
    for (const leg of [...this.legs.all]) {
      this.#clear(leg);
      leg.release();
    }
  }

  abortAll(lastWords?: Buffer): void {
    this.#isOver = true;
    for (const leg of [...this.legs.all]) {
      this.#clear(leg);
      leg.abort(lastWords);
    }
  }

  // What becomes of legs.

  opened(leg: Leg): void {
    leg.server.dialAnswered(this.#options.settings.now());
    this.legs.opened(leg);
    for (const operation of [...leg.waiting]) {
      leg.waiting.delete(operation);
      if (operation.leg === leg) this.#send(operation, leg);
    }
    this.#restIfIdle(leg);
  }

  refused(leg: Leg, error: GantryError | Reject): void {
    const { client, settings } = this.#options;
    const { now, links } = settings;
    if (error instanceof GantryError) {
      const suspect = suspectOf(links.get(leg.server.pool)?.source, client.remote.host, error);
      if (error.source !== 'internal') leg.server.dialFailed(error.message, now(), suspect);
    } else {
      leg.server.dialAnswered(now());
      if (!isTransient(error)) noticeDrift(leg.server, this.legs.lead?.server.name ?? '');
    }
    this.legs.forget(leg);
    this.#goOn(this.#clear(leg), leg, 'could not be had');
  }

  lost(leg: Leg, why: string): void {
    this.legs.forget(leg);
    this.#goOn(this.#clear(leg), leg, why);
  }

  over(leg: Leg): void {
    this.legs.over(leg);
    const { host, listener } = this.#options;
    listener.legOver(leg);
    host.free(leg.server);
  }

  rested(leg: Leg): void {
    if (leg !== this.legs.lead) this.#part(leg);
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

  moved(leg: Leg): void {
    this.#restIfIdle(leg);
    this.#options.listener.moved();
  }

  /** Is there an association with this server, or room for one? */
  #canHave(server: Server): boolean {
    return this.legs.at(server) !== undefined || (server.hasRoom && this.#options.host.hasRoom(server));
  }

  get #isSeparate(): boolean {
    return this.#options.settings.storage === 'separate';
  }

  #choose(facts: Facts): Choice {
    const { settings, host } = this.#options;
    return settings.director.choose(facts, {
      prefer: this.#fresh,
      kind: 'study',
      isOpen: (server) => this.legs.at(server) !== undefined,
      isFit: (server) => !this.legs.lacks(server),
      hasRoom: (server) => host.hasRoom(server),
    });
  }

  #toLead(operation: Operation): void {
    operation.isForLead = true;
    const { lead } = this.legs;
    if (lead?.isOpen && !lead.isLeaving) {
      operation.leg = lead;
      this.#send(operation, lead);
      return;
    }
    operation.choice = this.#choose(this.#options.facts);
    if (operation.choice.reject === undefined) this.#seek(operation);
    else this.#fail(operation, unavailableStatus(operation.command), 'no rule takes it');
  }

  #seek(operation: Operation, after?: 'lost'): void {
    const choice = operation.choice!;
    operation.isUrgent = choice.urgent;
    operation.leg = undefined;
    const candidate = choice.next(after);
    if (candidate) {
      this.#assign(operation, candidate.server);
      return;
    }
    const { exhausted } = choice;
    choice.abandon();
    const why = exhausted === 'away' ? 'the server that has the study is away' : 'no server could be had';
    if (!this.#waits.enter(operation, exhausted))
      this.#fail(operation, unavailableStatus(operation.command), why);
  }

  #assign(operation: Operation, server: Server): void {
    const leg = this.legs.at(server) ?? this.legs.open(server, operation.hasOneServer);
    operation.leg = leg;
    if (leg.isOpen) this.#send(operation, leg);
    else leg.waiting.add(operation);
  }

  /** Its leg is open. */
  #send(operation: Operation, leg: Leg): void {
    const { choice } = operation;
    if (choice && !choice.stands) {
      // Others lost that server meanwhile, and took the study elsewhere.
      choice.abandon();
      operation.leg = undefined;
      if (operation.changes++ < MOST_CHANGES) this.tryAgain(operation);
      else
        this.#fail(operation, unavailableStatus(operation.command), 'its study moves from server to server');
      return;
    }
    if (!this.#serves(leg, operation)) {
      if (choice && !choice.isConfirmed) this.#seek(operation, 'lost');
      else this.#fail(operation, STATUS.SOP_CLASS_NOT_SUPPORTED, 'its server does not accept this context');
      return;
    }
    if (operation.isStore) this.#fresh = undefined;
    // Where a query goes says nothing of where the study is.
    if (operation.isStore || operation.isForLead) choice?.settle();
    else choice?.abandon();
    this.#waits.leave(operation);
    if (operation.isForLead) this.legs.lead ??= leg;
    if (operation.sent++ > 0) this.#options.record.replays++;
    leg.begin(operation);
    this.#options.listener.moved();
  }

  #serves(leg: Leg, operation: Operation): boolean {
    if (!this.legs.lacks(leg.server)) return leg.contexts.has(operation.message.contextId);
    return !operation.isForLead && operation.choice?.isConfirmed !== false && this.#accepts(leg, operation);
  }

  #accepts(leg: Leg, { message: { contextId } }: Operation): boolean {
    return leg.contexts.get(contextId) === this.legs.contexts.get(contextId);
  }

  #over(operation: Operation): void {
    operation.isOver = true;
    operation.message.over();
  }

  /** Takes what is open or waits there off a leg that does no more. */
  #clear(leg: Leg): Operation[] {
    const sent = [...leg.operations.values()];
    for (const operation of sent) {
      leg.end(operation, 'failure', this.#options.settings.now());
      operation.outbox = undefined;
    }
    const waiting = [...leg.waiting];
    for (const operation of waiting) leg.drop(operation);
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
        notice('info', `a server ${why} in the middle of an operation`, {
          vip,
          client,
          pool,
          server: name,
          operation: operation.kind,
        });
      if (operation.choice) this.#seek(operation, 'lost');
      else if (operation.isPart || (this.#isSeparate && !operation.isForLead))
        this.#fail(operation, unavailableStatus(operation.command), `its server ${why}`);
      else this.#toLead(operation);
    }
  }

  #restIfIdle(leg: Leg): void {
    if (!leg.isOpen || !leg.isIdle) return;
    // The lead too: who holds one slot idle while waiting for another could wait for somebody who does the same.
    const isSpare = leg !== this.legs.lead || this.#waits.areForSlots;
    const isWanted = isSpare && !leg.isAwaited && this.#options.host.isWanted(leg.server);
    if (leg.isLeaving || isWanted) this.#part(leg);
    else if (leg !== this.legs.lead) leg.rest();
  }

  #part(leg: Leg): void {
    this.legs.forget(leg);
    leg.release();
  }

  #fail(operation: Operation, status: number, why: string): void {
    this.drop(operation);
    this.#options.listener.failed(operation, status, why);
  }
}
