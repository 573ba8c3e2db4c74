/**
 * The search for a server that takes one request: the candidates of a choice, one after the other, until one accepts or
 * the time is over. The client sees nothing of it. Each try but the last has its own time; a refused connection, a
 * reset, silence or a rejection leads to the next candidate.
 */
import { withCalledAe } from '../../../protocols/dicom/associate-rewrite.ts';
import { isTransient, type Reject } from '../../../protocols/dicom/small-pdus.ts';
import type { Candidate, Choice } from '../../director/director.ts';
import type { GantryError } from '../../errors.ts';
import { notice } from '../../observe/events.ts';
import type { Server } from '../../pools/server.ts';
import type { Channel } from '../../relay/channel.ts';
import type { Deadline, Deadlines } from '../../relay/deadlines.ts';
import { preambleOf, type ServerLink } from '../../relay/dial.ts';
import { suspectOf } from '../../relay/source.ts';
import type { AssociationRecord } from './record.ts';
import { type Accept, type AttemptListener, ServerAttempt } from './server-attempt.ts';

/** A server's A-ASSOCIATE-RJ, as it came and as it reads. */
export interface ServerRejection {
  readonly pdu: Buffer;
  readonly reject: Reject;
}

export interface SearchListener {
  /** Throws PduFault when the association cannot be had with this A-ASSOCIATE-AC: the next candidate is asked. */
  check(pdu: Buffer): void;
  /** A server accepted. Its slot is taken and the choice settled; `rest` is valid during the call. */
  found(target: Server, server: Channel, accept: Accept, rest: Buffer): void;
  /** Somebody is up, but has no room; nobody else takes it. `asked`: who could not be had. */
  full(asked: readonly Server[]): void;
  /** Nobody takes it. `rejection`: what to relay, when a server's own words are the right answer. */
  nobody(rejection: ServerRejection | undefined, detail: string): void;
}

export interface SearchSettings {
  readonly deadlines: Deadlines;
  readonly now: () => number;
  readonly timeouts: { readonly connect: number; readonly accept: number; readonly release: number };
  /** How the servers of a pool are reached, by its name. */
  readonly links: ReadonlyMap<string, ServerLink>;
}

export interface SlotKeeper {
  /** Takes a slot of the server, and gives it back. */
  take(server: Server): void;
  free(server: Server): void;
}

/** Of a pool about which nothing is said. */
const PLAIN: ServerLink = {};

export class ServerSearch implements AttemptListener {
  readonly #choice: Choice;
  readonly #record: AssociationRecord;
  readonly #client: Channel;
  readonly #request: Buffer;
  readonly #settings: SearchSettings;
  readonly #link: ServerLink;
  readonly #slots: SlotKeeper;
  readonly #listener: SearchListener;
  readonly #timer: Deadline;
  readonly #tryTimer: Deadline;
  #candidate: Candidate | undefined;
  #attempt: ServerAttempt | undefined;
  /** The last rejection, but a transient one goes before a permanent one. */
  #rejection: ServerRejection | undefined;
  readonly #asked: Server[] = [];
  /** Servers that rejected for ever: drift, when another one accepts. */
  readonly #refusedBy: string[] = [];
  /** A server could not be had at all, so a permanent rejection by another is not the last word. */
  #someFailed = false;

  /** `request`: the A-ASSOCIATE-RQ that is made of `client`'s. `begin` follows. */
  constructor(
    choice: Choice,
    record: AssociationRecord,
    client: Channel,
    request: Buffer,
    settings: SearchSettings,
    slots: SlotKeeper,
    listener: SearchListener,
  ) {
    const { deadlines, timeouts, links } = settings;
    const link = links.get(choice.pool?.name ?? '') ?? PLAIN;
    this.#choice = choice;
    this.#record = record;
    this.#client = client;
    this.#request = request;
    this.#settings = settings;
    this.#link = link;
    this.#slots = slots;
    this.#listener = listener;
    this.#timer = deadlines.after(link.responseTimeout ?? timeouts.accept, () => this.#timeUp());
    this.#tryTimer = deadlines.after(link.connectTimeout ?? timeouts.connect, () => this.#tryIsSlow());
  }

  begin(): void {
    this.#try(this.#choice.next());
  }

  /** Nobody wants a server any more. */
  stop(): void {
    this.#timer.cancel();
    this.#tryTimer.cancel();
    if (!this.#candidate) return;
    this.#attempt!.giveUp();
    this.#leaveCandidate();
    this.#choice.abandon();
  }

  /** This server is not to have the association any more: the next one is asked. */
  leave(server: Server): void {
    if (this.#candidate?.server !== server) return;
    this.#attempt!.giveUp();
    this.#leaveCandidate();
    this.#try(this.#choice.next());
  }

  #try(candidate: Candidate | undefined): void {
    if (!candidate) {
      this.#give(this.#record.attempts > 0 ? 'no server could be had' : 'no server is up');
      return;
    }
    const { server } = candidate;
    this.#candidate = candidate;
    this.#asked.push(server);
    this.#slots.take(server);
    this.#record.tries(server.name, candidate.reason);
    const request = server.ae === undefined ? this.#request : withCalledAe(this.#request, server.ae);
    const client = this.#client;
    // Our own address costs a system call: asked for only where it is needed.
    const target = { host: server.host, port: server.port ?? client.local.port };
    const preamble = preambleOf(this.#link, client);
    const { deadlines, timeouts } = this.#settings;
    this.#tryTimer.restart();
    this.#attempt = new ServerAttempt(target, preamble, request, this, deadlines, timeouts.release);
  }

  /** Ends the try at the present candidate; its slot is free again. */
  #leaveCandidate(): Server {
    const { server } = this.#candidate!;
    this.#candidate = undefined;
    this.#attempt = undefined;
    this.#slots.free(server);
    return server;
  }

  #giveUpTry(): void {
    const attempt = this.#attempt!;
    attempt.giveUp();
    this.#someFailed = true;
    const reason = attempt.isConnected ? 'accepts connections but does not answer' : 'does not connect';
    const suspect = attempt.isConnected ? undefined : this.#suspect();
    this.#leaveCandidate().dialFailed(reason, this.#settings.now(), suspect);
  }

  #suspect(error?: GantryError): string | undefined {
    return suspectOf(this.#link.source, this.#client.remote.host, error);
  }

  /** The try has used its time. It goes on while there is nobody else to ask. */
  #tryIsSlow(): void {
    const next = this.#choice.next();
    if (!next) return;
    this.#giveUpTry();
    this.#try(next);
  }

  #timeUp(): void {
    this.#giveUpTry();
    this.#give('no server answered in time');
  }

  /** The end of the search. Where somebody is only full, waiting for that one is better than any answer. */
  #give(detail: string): void {
    const { exhausted } = this.#choice;
    this.#choice.abandon();
    this.stop();
    const last = this.#rejection;
    if (exhausted === 'full') this.#listener.full(this.#asked);
    else
      this.#listener.nobody(
        last && (isTransient(last.reject) || !this.#someFailed) ? last : undefined,
        detail,
      );
  }

  check(pdu: Buffer): void {
    this.#listener.check(pdu);
  }

  accepted(channel: Channel, accept: Accept, rest: Buffer): void {
    const { server } = this.#candidate!;
    this.#timer.cancel();
    this.#tryTimer.cancel();
    server.dialAnswered(this.#settings.now());
    this.#choice.settle();
    for (const name of this.#refusedBy) {
      noticeDrift({ pool: server.pool, name }, server.name);
    }
    this.#listener.found(server, channel, accept, rest);
  }

  rejected(pdu: Buffer, reject: Reject): void {
    const server = this.#leaveCandidate();
    server.dialAnswered(this.#settings.now());
    if (!isTransient(reject)) this.#refusedBy.push(server.name);
    const kept = this.#rejection;
    if (!kept || isTransient(reject) || !isTransient(kept.reject)) this.#rejection = { pdu, reject };
    this.#try(this.#choice.next(isTransient(reject) ? 'busy' : undefined));
  }

  failed(error: GantryError): void {
    this.#someFailed = true;
    const server = this.#leaveCandidate();
    if (error.source !== 'internal')
      server.dialFailed(error.message, this.#settings.now(), this.#suspect(error));
    this.#try(this.#choice.next());
  }
}

/** `server` rejects for ever what the one named `acceptedBy` accepts. */
export function noticeDrift(server: Pick<Server, 'pool' | 'name'>, acceptedBy: string): void {
  const what = 'a server rejects for ever what another accepts: are their AE titles configured alike?';
  notice('warn', what, { pool: server.pool, server: server.name, acceptedBy });
}
