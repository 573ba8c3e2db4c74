/**
 * The targets of one HL7 VIP: one for each server, or for each port of it where it takes the port the sender came to;
 * where servers see the addresses of the clients, for each of those.
 */
import type { Server } from '../../pools/server.ts';
import { Target, type TargetListener } from './target.ts';
import type { TargetOptions } from './target-options.ts';

export interface TargetPlan {
  /** Has each client's address targets of its own? */
  readonly isPerClient: boolean;
  /** How a server is spoken to, on behalf of `client` if that matters; undefined: nothing leads to it any more. */
  optionsOf(server: Server, client: string | undefined): TargetOptions | undefined;
}

/** Whom a message is from: the address, and the port that it came to. */
interface Sender {
  readonly client: string;
  readonly port: number;
}

export class Targets {
  readonly #listener: TargetListener;
  #plan: TargetPlan;
  /** By the port, and the client where each has its own. */
  readonly #targets = new Map<Server, Map<number | string, Target>>();

  constructor(listener: TargetListener, plan: TargetPlan) {
    this.#listener = listener;
    this.#plan = plan;
  }

  /** A server to which nothing leads any more finishes what was sent to it. */
  reconfigure(plan: TargetPlan): void {
    this.#plan = plan;
    for (const target of this.#all()) {
      const isOfPlan = plan.isPerClient === (target.client !== undefined);
      const options = isOfPlan ? plan.optionsOf(target.server, target.client) : undefined;
      if (options) target.reconfigure(options);
      else target.retire();
    }
  }

  /** undefined: nothing leads to this server any more. */
  of(server: Server, { client, port: portOfSender }: Sender): Target | undefined {
    const port = server.port ?? portOfSender;
    const key = this.#plan.isPerClient ? `${port} ${client}` : port;
    const known = this.#targets.get(server)?.get(key);
    if (known) return known;
    const options = this.#plan.optionsOf(server, client);
    if (!options) return undefined;
    const target = new Target(server, { host: server.host, port }, options, this.#listener, () => {
      this.#forget(server, key);
    });
    this.#ofServer(server).set(key, target);
    return target;
  }

  /** The target at the server of `place` for messages of this sender. */
  besides(place: Target | undefined, sender: Sender): Target | undefined {
    return place?.client === undefined ? place : this.of(place.server, sender);
  }

  /** The last connection of this client is closed. */
  clientLeft(client: string): void {
    if (!this.#plan.isPerClient) return;
    for (const target of this.#all()) if (target.client === client) target.tidy();
  }

  /** A server's state changed. */
  tidy(server: Server): void {
    for (const target of this.#at(server)) target.tidy();
  }

  /** The server was halted: what was not sent goes to others, for what was sent the answer is awaited. */
  leave(server: Server): void {
    for (const target of this.#at(server)) target.leave('its server was halted');
  }

  /** The same, and connections on which an answer is awaited are lost. */
  cut(server: Server, why: string): void {
    for (const target of this.#at(server)) target.cut(why);
  }

  /** Ends every connection; what is in flight is lost. */
  close(): void {
    for (const target of this.#all()) target.close();
    this.#targets.clear();
  }

  #forget(server: Server, key: number | string): void {
    const ofServer = this.#targets.get(server);
    ofServer?.delete(key);
    if (ofServer?.size === 0) this.#targets.delete(server);
  }

  #ofServer(server: Server): Map<number | string, Target> {
    const known = this.#targets.get(server);
    if (known) return known;
    const fresh = new Map<number | string, Target>();
    this.#targets.set(server, fresh);
    return fresh;
  }

  #at(server: Server): Target[] {
    return [...(this.#targets.get(server)?.values() ?? [])];
  }

  #all(): Target[] {
    return [...this.#targets.keys()].flatMap((server) => this.#at(server));
  }
}
