/** The targets of one HL7 VIP: one for each server, or for each port of it where it takes the port the sender came to. */
import type { Server } from '../../pools/server.ts';
import { Target, type TargetListener, type TargetOptions } from './target.ts';

/** How a server is spoken to; undefined: nothing leads to it any more. */
export type TargetsOf = (server: Server) => TargetOptions | undefined;

export class Targets {
  readonly #listener: TargetListener;
  #optionsOf: TargetsOf;
  readonly #targets = new Map<Server, Map<number, Target>>();

  constructor(listener: TargetListener, optionsOf: TargetsOf) {
    this.#listener = listener;
    this.#optionsOf = optionsOf;
  }

  /** A server to which nothing leads any more finishes what was sent to it. */
  reconfigure(optionsOf: TargetsOf): void {
    this.#optionsOf = optionsOf;
    for (const [server, ofServer] of [...this.#targets]) {
      const options = optionsOf(server);
      for (const [port, target] of [...ofServer]) {
        if (options) target.reconfigure(options);
        else target.retire();
        if (!options && target.isEmpty) ofServer.delete(port);
      }
      if (ofServer.size === 0) this.#targets.delete(server);
    }
  }

  /** undefined: nothing leads to this server any more. */
  of(server: Server, portOfSender: number): Target | undefined {
    const port = server.port ?? portOfSender;
    let ofServer = this.#targets.get(server);
    if (!ofServer) {
      ofServer = new Map();
      this.#targets.set(server, ofServer);
    }
    let target = ofServer.get(port);
    const options = target ? undefined : this.#optionsOf(server);
    if (options) {
      target = new Target(server, { host: server.host, port }, options, this.#listener);
      ofServer.set(port, target);
    }
    return target;
  }

  /** A server's state changed. */
  tidy(server: Server): void {
    for (const target of this.#of(server)) target.tidy();
  }

  /** The server was halted: what was not sent goes to others, for what was sent the answer is awaited. */
  leave(server: Server): void {
    for (const target of this.#of(server)) target.leave('its server was halted');
  }

  /** The same, and connections on which an answer is awaited are lost. */
  cut(server: Server, why: string): void {
    for (const target of this.#of(server)) target.cut(why);
  }

  /** Ends every connection; what is in flight is lost. */
  close(): void {
    for (const ofServer of this.#targets.values()) for (const target of ofServer.values()) target.close();
    this.#targets.clear();
  }

  #of(server: Server): Target[] {
    return [...(this.#targets.get(server)?.values() ?? [])];
  }
}
