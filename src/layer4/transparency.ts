/**
 * `source: client`: servers see the address of the client for whom a connection is made. Node cannot bind a socket to an
 * address that is not ours, so the kernel translates: before a connection is begun, its local port, its server and the
 * client's address are put into a map that source NAT looks into.
 *
 *     { 40000 . 10.50.0.21 . 104 : 10.60.0.100 }
 *     a SYN from port 40000 of ours to 10.50.0.21:104 leaves as from 10.60.0.100, and so does all that follows it
 *
 * NAT asks for the first packet of a connection only, so an entry has done its work a moment later, and lapses by itself.
 * It stays as long as conntrack may know of a connection that was given up, so that a process that starts anew does not
 * use the same port to the same server too early: the kernel says that the entry exists, and another port is taken.
 * Should a SYN be about to leave from any other address than the entry's, it is dropped.
 *
 * The table goes when the balancer stops, not before: without it, and without anybody else's, the kernel no longer
 * translates for the connections that are open either.
 */
import { readFileSync } from 'node:fs';
import { describeEndpoint } from '../endpoint.ts';
import { GantryError } from '../errors.ts';
import { plainAddress } from '../ip-address.ts';
import { notice } from '../observe/events.ts';
import { obstacleBetween } from './client-address.ts';
import { Missing, Nft } from './nft.ts';
import { childPrograms, type RunProgram } from './programs.ts';
import { SourcePorts } from './source-ports.ts';
import { entriesOf, OURS, RULES, TABLE, THIS_FORM } from './source-rules.ts';

export interface TransparencyOptions {
  /** How `nft` is run; without it, as a child of this process. */
  readonly run?: RunProgram;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** From 0 to less than 1. */
  readonly random?: () => number;
  /** First and last of the ports that the system hands out by itself; without it, as the system says. */
  readonly systems?: readonly [number, number];
}

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** A port from which one connection bears a client's address. */
export interface Claim {
  readonly localPort: number;
  /** Called once the connection is closed, or was never made. */
  release(): void;
}

export interface Transparency {
  /**
   * Makes the kernel ready, or finds that it is. Rejects with GTY_SOURCE and a sentence (no nft, no privilege, a table
   * of the same name that is not ours); then nothing has changed.
   */
  open(): Promise<void>;
  /**
   * From the port of the claim to `server`, an IP address, a connection that begins within a minute bears the address
   * `client`. Rejects with GTY_SOURCE and a sentence; then nothing is held. Those that ask while `nft` runs go into the
   * kernel together.
   */
  claim(client: string, server: Endpoint): Promise<Claim>;
  /** Removes what is ours from the kernel. Nothing that was claimed may be open any more. */
  close(): Promise<void>;
}

export function createTransparency(options: TransparencyOptions): Transparency {
  return new KernelTransparency(options);
}

/** Entries that go into the kernel together, at most. */
const MOST_AT_ONCE = 1000;
/** How often the same entries are tried, when their ports are taken or the table has gone. */
const MOST_TRIES = 4;

/** A connection that waits for its entry. */
interface Wanted {
  readonly client: string;
  readonly server: Endpoint;
  /** The name of the server among the ports. */
  readonly name: string;
  port: number;
  readonly granted: (claim: Claim) => void;
  readonly refused: (error: GantryError) => void;
}

class KernelTransparency implements Transparency {
  readonly #nft: Nft;
  readonly #ports: SourcePorts;
  readonly #waiting: Wanted[] = [];
  #work: Promise<void> | undefined;
  #opening: Promise<void> | undefined;

  constructor({
    run = childPrograms(),
    now,
    random = Math.random,
    systems = systemsPorts(),
  }: TransparencyOptions) {
    this.#nft = new Nft(run);
    this.#ports = new SourcePorts({ now, random, systems });
  }

  open(): Promise<void> {
    this.#opening ??= this.#lay().catch((error: Error) => {
      this.#opening = undefined;
      throw unavailable(
        `servers cannot be shown the addresses of clients (\`source: client\`): ${error.message}`,
      );
    });
    return this.#opening;
  }

  claim(client: string, { host, port }: Endpoint): Promise<Claim> {
    const { promise, resolve: granted, reject: refused } = Promise.withResolvers<Claim>();
    const server = { host: plainAddress(host), port };
    const wanted = {
      client: plainAddress(client),
      server,
      name: describeEndpoint(server),
      port: 0,
      granted,
      refused,
    };
    const obstacle = obstacleBetween(wanted.client, server.host);
    if (obstacle) refused(refusal(wanted, obstacle));
    else if (this.#hasPort(wanted)) {
      this.#waiting.push(wanted);
      this.#work ??= this.#enterAll();
    }
    return promise;
  }

  async close(): Promise<void> {
    await this.#work;
    if (!this.#opening) return;
    this.#opening = undefined;
    try {
      const table = await this.#look();
      if (table === 'ours' || table === 'older') await this.#nft.change([`delete table ${TABLE}`]);
    } catch (error) {
      notice('warn', `the nftables table ${TABLE} stays`, { reason: (error as Error).message });
    }
  }

  async #look(): Promise<'ours' | 'older' | 'foreign' | 'missing'> {
    const listed = await this.#nft.ruleset('inet');
    if (!listed.includes(`table ${TABLE} {`)) return 'missing';
    if (listed.includes(`comment "${THIS_FORM}"`)) return 'ours';
    return listed.includes(`comment "${OURS}`) ? 'older' : 'foreign';
  }

  async #lay(): Promise<void> {
    const table = await this.#look();
    if (table === 'ours') return;
    if (table === 'foreign') {
      throw unavailable(
        `there is an nftables table ${TABLE} that is not Gantry's: rename it, or delete it with \`nft delete table ${TABLE}\``,
      );
    }
    try {
      await this.#nft.change(table === 'older' ? [`delete table ${TABLE}`, RULES] : [RULES]);
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      throw unavailable(
        'the kernel has no source NAT by nftables: it needs its modules nft_chain_nat, nft_nat and nft_fib_inet',
      );
    }
  }

  async #enterAll(): Promise<void> {
    // Those that ask in this turn of the event loop go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#enter(this.#waiting.splice(0, MOST_AT_ONCE));
    this.#work = undefined;
  }

  async #enter(all: readonly Wanted[]): Promise<void> {
    let some = all;
    try {
      for (let tries = 1; some.length > 0; tries++) {
        const failure = await this.#nft.change(entriesOf(some)).then(() => undefined, errorOf);
        if (!failure) break;
        if (tries === MOST_TRIES) throw failure;
        if (isThere(failure)) some = some.filter((wanted) => this.#hasOtherPort(wanted));
        // Somebody has flushed all rules, as firewalls do that load theirs again.
        else if (failure instanceof Missing) await this.#lay();
        else throw failure;
      }
    } catch (error) {
      for (const wanted of some) {
        this.#ports.give(wanted.name, wanted.port);
        wanted.refused(refusal(wanted, (error as Error).message, error));
      }
      return;
    }
    for (const wanted of some) wanted.granted(this.#claimOf(wanted));
  }

  /** False: there is none, and it was refused. */
  #hasPort(wanted: Wanted): boolean {
    const port = this.#ports.take(wanted.name);
    if (port === undefined) wanted.refused(refusal(wanted, 'all local ports to this server are in use'));
    else wanted.port = port;
    return port !== undefined;
  }

  /** Somebody else has its port, or had it a moment ago; ports beside it may be as well. */
  #hasOtherPort(wanted: Wanted): boolean {
    this.#ports.give(wanted.name, wanted.port);
    this.#ports.move(wanted.name);
    return this.#hasPort(wanted);
  }

  #claimOf({ name, port }: Wanted): Claim {
    let isHeld = true;
    return {
      localPort: port,
      release: () => {
        if (isHeld) this.#ports.give(name, port);
        isHeld = false;
      },
    };
  }
}

/** net.ipv4.ip_local_port_range, which holds for IPv6 too. */
function systemsPorts(): [number, number] {
  try {
    const said = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1');
    const [first, last] = said.trim().split(/\s+/).map(Number);
    return [first!, last!];
  } catch {
    return [32_768, 60_999];
  }
}

function unavailable(reason: string): GantryError {
  return new GantryError('GTY_SOURCE', reason);
}

function refusal({ name }: Wanted, obstacle: string, cause?: unknown): GantryError {
  return new GantryError(
    'GTY_SOURCE',
    `${name} cannot be reached from the client's own address: ${obstacle}`,
    {
      cause,
    },
  );
}

function errorOf(error: Error): Error {
  return error;
}

/** Is an entry for the same port and server in the kernel? */
function isThere({ message }: Error): boolean {
  return message.includes('File exists');
}
