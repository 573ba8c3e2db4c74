/** The targets of one HL7 VIP: one for each server, or for each port of it where it takes the port the sender came to. */
import type { Server } from '../../pools/server.ts';
import type { OutboundOptions } from './outbound.ts';
import { Target, type TargetListener } from './target.ts';

export class Targets {
  readonly #listener: TargetListener;
  readonly #connections: (pool: string) => number;
  readonly #outbound: OutboundOptions;
  readonly #targets = new Map<Server, Map<number, Target>>();

  /** `connections`: to each server, by pool. */
  constructor(listener: TargetListener, connections: (pool: string) => number, outbound: OutboundOptions) {
    this.#listener = listener;
    this.#connections = connections;
    this.#outbound = outbound;
  }

  of(server: Server, portOfSender: number): Target {
    const port = server.port ?? portOfSender;
    let ofServer = this.#targets.get(server);
    if (!ofServer) {
      ofServer = new Map();
      this.#targets.set(server, ofServer);
    }
    let target = ofServer.get(port);
    if (!target) {
      const remote = { host: server.host, port };
      target = new Target(server, remote, this.#connections(server.pool), this.#listener, this.#outbound);
      ofServer.set(port, target);
    }
    return target;
  }

  /** A server's state changed. */
  tidy(server: Server): void {
    const ofServer = this.#targets.get(server);
    if (ofServer) for (const target of ofServer.values()) target.tidy();
  }

  /** Ends every connection; what is in flight is lost. */
  close(): void {
    for (const ofServer of this.#targets.values()) for (const target of ofServer.values()) target.close();
    this.#targets.clear();
  }
}
