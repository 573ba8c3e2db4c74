/**
 * Local ports of connections whose source address the kernel translates. A connection is known to it by its port and its
 * server; the kernel remembers for two minutes how it translated one that was given up or is over (conntrack: SYN_SENT
 * and TIME_WAIT, 120 s each), and would translate the next one in the same way, for whomever it is. So a port rests
 * before it goes to the same server again. Ports are taken in turn, each server's from a place of its own.
 */

/** Dynamic and user ports above those that medical devices listen on. */
const FIRST = 10_240;
const LAST = 65_535;
const COUNT = LAST - FIRST + 1;

/** Milliseconds. */
export const REST_MS = 150_000;

export class SourcePorts {
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #servers = new Map<string, ServerPorts>();

  /** `now`: milliseconds of a clock that never goes back. `random`: from 0 to less than 1. */
  constructor(now: () => number, random: () => number) {
    this.#now = now;
    this.#random = random;
  }

  /** A port to the server of this name; undefined: all are taken or rest. */
  take(server: string): number | undefined {
    let ports = this.#servers.get(server);
    if (!ports) {
      ports = new ServerPorts(this.#anywhere());
      this.#servers.set(server, ports);
    }
    return ports.take(this.#now());
  }

  /** The next ports to this server are others. */
  move(server: string): void {
    this.#servers.get(server)!.next = this.#anywhere();
  }

  /** The connection from this port is closed, or was never made. */
  give(server: string, port: number): void {
    this.#servers.get(server)!.give(port, this.#now() + REST_MS);
  }

  #anywhere(): number {
    return FIRST + Math.floor(this.#random() * COUNT);
  }
}

class ServerPorts {
  next: number;
  /** Those in use, and those that rest. */
  readonly #taken = new Set<number>();
  readonly #resting: { readonly port: number; readonly until: number }[] = [];
  /** Those of `#resting` before this one have rested. */
  #rested = 0;

  constructor(first: number) {
    this.next = first;
  }

  take(now: number): number | undefined {
    this.#wake(now);
    if (this.#taken.size === COUNT) return undefined;
    while (this.#taken.has(this.next)) this.#step();
    const port = this.next;
    this.#taken.add(port);
    this.#step();
    return port;
  }

  give(port: number, until: number): void {
    this.#resting.push({ port, until });
  }

  #wake(now: number): void {
    const resting = this.#resting;
    while (this.#rested < resting.length && resting[this.#rested]!.until <= now) {
      this.#taken.delete(resting[this.#rested]!.port);
      this.#rested++;
    }
    if (this.#rested < 1024 && this.#rested < resting.length) return;
    resting.splice(0, this.#rested);
    this.#rested = 0;
  }

  #step(): void {
    this.next = this.next === LAST ? FIRST : this.next + 1;
  }
}
