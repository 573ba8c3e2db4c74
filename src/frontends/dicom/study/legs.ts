/** The legs of one client's association: who leads, which servers take part, and how further ones are asked. */
import type { Associate } from '../../../../protocols/dicom/associate.ts';
import { proposalOf, withCalledAe } from '../../../../protocols/dicom/associate-rewrite.ts';
import type { Server } from '../../../pools/server.ts';
import type { Channel } from '../../../relay/channel.ts';
import { preambleOf, type ServerLink } from '../../../relay/dial.ts';
import type { AssociationRecord } from '../record.ts';
import { type AttemptListener, ServerAttempt } from '../server-attempt.ts';
import { Leg, type LegListener, type LegSettings } from './leg.ts';

export interface LegsSettings extends LegSettings {
  readonly timeouts: {
    /** Milliseconds that a server may take, connect and answer, while there is another one. */
    readonly connect: number;
    /** The same when there is none. */
    readonly accept: number;
    readonly release: number;
  };
  /** How the servers of a pool are reached, by its name. */
  readonly links: ReadonlyMap<string, ServerLink>;
}

export interface LegsOptions {
  readonly settings: LegsSettings;
  /** Takes a slot of the server, and gives it back. */
  readonly host: { take(server: Server): void; free(server: Server): void };
  readonly client: Channel;
  readonly record: AssociationRecord;
  /** What the client asked for. */
  readonly request: Associate;
}

export class Legs {
  readonly #options: LegsOptions;
  readonly #listener: LegListener;
  /** Those that take operations, the lead among them. */
  readonly #taking = new Map<Server, Leg>();
  /** All that are not gone. */
  readonly #all = new Set<Leg>();
  readonly #proposals = new Map<string | undefined, Buffer>();
  /** Servers that do not accept all that the lead did. */
  readonly #lacking = new Set<Server>();
  /** What the client was promised: presentation context → transfer syntax. */
  readonly contexts: ReadonlyMap<number, string>;
  #lead: Leg | undefined;
  #bytesWritten = 0;

  /** Takes over the association of the lead, which answered `accept`. */
  constructor(options: LegsOptions, listener: LegListener, lead: Server, channel: Channel, accept: Buffer) {
    this.#options = options;
    this.#listener = listener;
    this.#lead = this.#add(lead);
    this.#lead.adopt(channel, accept);
    this.contexts = this.#lead.contexts;
  }

  get lead(): Leg | undefined {
    return this.#lead;
  }

  set lead(leg: Leg | undefined) {
    this.#lead = leg;
    if (leg) this.#options.record.server = leg.server.name;
  }

  get all(): ReadonlySet<Leg> {
    return this.#all;
  }

  get bytesWritten(): number {
    let sum = this.#bytesWritten;
    for (const leg of this.#all) sum += leg.bytesWritten;
    return sum;
  }

  /** The leg that takes operations for this server. */
  at(server: Server): Leg | undefined {
    return this.#taking.get(server);
  }

  /** Does this server not accept all that the client was promised? Known once it was asked. */
  lacks(server: Server): boolean {
    return this.#lacking.has(server);
  }

  /**
   * Asks the server for an association of its own, with what the lead accepted. `isOnlyOne`: nobody else could do the
   * work, so that it may take its time.
   */
  open(server: Server, isOnlyOne: boolean): Leg {
    const { settings, host, client, record } = this.#options;
    const leg = this.#add(server);
    host.take(server);
    record.attempts++;
    const target = { host: server.host, port: server.port ?? client.local.port };
    const link = settings.links.get(server.pool);
    const preamble = preambleOf(link, client);
    const request = this.#proposalFor(server.ae);
    const { deadlines, timeouts } = settings;
    const attempt = (listener: AttemptListener) =>
      new ServerAttempt(target, preamble, request, listener, deadlines, timeouts.release);
    const most = link?.responseTimeout ?? timeouts.accept;
    leg.open(attempt, isOnlyOne ? most : Math.min(link?.connectTimeout ?? timeouts.connect, most));
    return leg;
  }

  /** The server has accepted. */
  opened({ server, contexts }: Leg): void {
    for (const [id, syntax] of this.contexts) if (contexts.get(id) !== syntax) this.#lacking.add(server);
  }

  /** It takes no more operations. */
  forget(leg: Leg): void {
    if (this.#taking.get(leg.server) === leg) this.#taking.delete(leg.server);
    if (this.#lead === leg) this.#lead = undefined;
  }

  /** It is gone. */
  over(leg: Leg): void {
    this.forget(leg);
    if (!this.#all.delete(leg)) return;
    this.#bytesWritten += leg.bytesWritten;
  }

  #add(server: Server): Leg {
    const leg = new Leg(server, this.#listener, this.#options.settings);
    this.#all.add(leg);
    this.#taking.set(server, leg);
    return leg;
  }

  #proposalFor(ae: string | undefined): Buffer {
    let proposal = this.#proposals.get(ae);
    if (!proposal) {
      proposal = proposalOf(this.#options.request, this.contexts);
      if (ae !== undefined) proposal = withCalledAe(proposal, ae);
      this.#proposals.set(ae, proposal);
    }
    return proposal;
  }
}
