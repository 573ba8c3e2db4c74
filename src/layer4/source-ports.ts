/**
 * Local ports of connections whose source address the kernel translates. A connection is known to it by its port and its
 * server; the kernel remembers for two minutes how it translated one that was given up or is over (conntrack: SYN_SENT
 * and TIME_WAIT, 120 s each), and would translate the next one in the same way, for whomever it is. So a port rests
 * before it goes to the same server again.
 *
 * Ports are taken in turn, each server's from a place of its own: first those that the system does not hand out by
 * itself (net.ipv4.ip_local_port_range), which nobody else has.
 */

/** Above the ports that most services listen on. */
const FIRST = 10_240;
const LAST = 65_535;

/** Milliseconds. */
export const REST_MS = 150_000;

export interface SourcePortsOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** From 0 to less than 1. */
  readonly random: () => number;
  /** First and last of the ports that the system hands out by itself. */
  readonly systems: readonly [number, number];
}

export class SourcePorts {
  readonly #options: SourcePortsOptions;
  /** The better ones, and the others. */
  readonly #choices: readonly (readonly number[])[];
  readonly #servers = new Map<string, ServerPorts>();

  constructor(options: SourcePortsOptions) {
    const [first, last] = options.systems;
    const all = Array.from({ length: LAST - FIRST + 1 }, (_, index) => FIRST + index);
    const isSystems = (port: number) => port >= first && port <= last;
    this.#options = options;
    this.#choices = [all.filter((port) => !isSystems(port)), all.filter(isSystems)];
  }

  /** A port to the server of this name; undefined: all are taken or rest. */
  take(server: string): number | undefined {
    let ports = this.#servers.get(server);
    if (!ports) {
      ports = new ServerPorts(this.#choices);
      ports.move(this.#options.random);
      this.#servers.set(server, ports);
    }
    return ports.take(this.#options.now());
  }

  /** The next ports to this server are others. */
  move(server: string): void {
    this.#servers.get(server)!.move(this.#options.random);
  }

  /** The connection from this port is closed, or was never made. */
  give(server: string, port: number): void {
    this.#servers.get(server)!.give(port, this.#options.now() + REST_MS);
  }
}

interface Ring {
  readonly ports: readonly number[];
  next: number;
  free: number;
}

class ServerPorts {
  readonly #rings: readonly Ring[];
  /** Those in use, and those that rest. */
  readonly #taken = new Map<number, Ring>();
  readonly #resting: { readonly port: number; readonly until: number }[] = [];
  /** Those of `#resting` before this one have rested. */
  #rested = 0;

  constructor(choices: readonly (readonly number[])[]) {
    this.#rings = choices.map((ports) => ({ ports, next: 0, free: ports.length }));
  }

  move(random: () => number): void {
    for (const ring of this.#rings) ring.next = Math.floor(random() * ring.ports.length);
  }

  take(now: number): number | undefined {
    this.#wake(now);
    const ring = this.#rings.find(({ free }) => free > 0);
    if (!ring) return undefined;
    while (this.#taken.has(ring.ports[ring.next]!)) step(ring);
    const port = ring.ports[ring.next]!;
    step(ring);
    ring.free--;
    this.#taken.set(port, ring);
    return port;
  }

  give(port: number, until: number): void {
    this.#resting.push({ port, until });
  }

  #wake(now: number): void {
    const resting = this.#resting;
    while (this.#rested < resting.length && resting[this.#rested]!.until <= now) {
      const { port } = resting[this.#rested++]!;
      this.#taken.get(port)!.free++;
      this.#taken.delete(port);
    }
    if (this.#rested < 1024 && this.#rested < resting.length) return;
    resting.splice(0, this.#rested);
    this.#rested = 0;
  }
}

function step(ring: Ring): void {
  ring.next = (ring.next + 1) % ring.ports.length;
}
