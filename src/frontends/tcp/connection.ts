/**
 * One connection of a client, from TCP accept to its event. First an arrival looks for a server; once there is one, the
 * two channels are spliced, and all that is left to do is to see whether anything still moves.
 */
import type { Choice } from '../../director/choice.ts';
import type { GantryError } from '../../errors.ts';
import { type ConnectionEvent, events } from '../../observe/events.ts';
import type { Server } from '../../pools/server.ts';
import type { Channel, ChannelHandler } from '../../relay/channel.ts';
import type { Deadline } from '../../relay/deadlines.ts';
import { dismiss } from '../../relay/dismiss.ts';
import { type Side, type SpliceOptions, splice } from '../../relay/splice.ts';
import type { ConnectionView } from '../front-end.ts';
import { Arrival } from './arrival.ts';
import type { TcpSettings } from './settings.ts';

/** What the front-end is to its connections. */
export interface ConnectionHost {
  /** Lets the arrival wait for a slot: `tryAgain` is called when something got free. False: it may not, any more. */
  wait(arrival: Arrival): boolean;
  /** It waits no more, if it did. */
  waitNoMore(arrival: Arrival): void;
  /** Everything about the connection is over, both channels are gone. Called once. */
  over(connection: Connection): void;
}

type End = ConnectionEvent['end'];

/** A client that was turned away may take so long to close its side, in milliseconds. */
const LINGER_MS = 2_000;
/** An idle time is looked at so often: it is kept to within one part of so many, and costs nothing per chunk. */
const LOOKS = 8;

let count = 0;

export class Connection implements SpliceOptions {
  readonly client: Channel;
  /** The port it came to. */
  readonly port: number;
  /** Those it began with. */
  readonly settings: TcpSettings;
  readonly host: ConnectionHost;
  sni: string | undefined;
  rule: string | undefined;
  pool: string | undefined;
  /** The server that has it, or was tried last. */
  server: Server | undefined;
  reason: string | undefined;
  attempts = 0;
  /** For the splice: what the client sent before there was a server. */
  toServer: Uint8Array | undefined;

  readonly #id = ++count;
  readonly #started: number;
  /** One for all that takes time: the look for the server name, each dial, silence. */
  #timer: Deadline | undefined;
  #arrival: Arrival | undefined;
  #channel: Channel | undefined;
  /** Sides that are not gone yet, once there are two. */
  #open = 2;
  #letGo: (() => void) | undefined;
  #holdsSlot = false;
  /** Bytes seen, and clock time, at the last look that saw others than the one before. */
  #moved = -1;
  #movedAt = 0;
  #end: End | undefined;
  #detail: string | undefined;

  constructor(client: Channel, port: number, settings: TcpSettings, host: ConnectionHost) {
    this.client = client;
    this.port = port;
    this.settings = settings;
    this.host = host;
    this.sni = client.tls?.sni;
    this.#started = settings.now();
  }

  get end(): End | undefined {
    return this.#end;
  }

  get view(): ConnectionView {
    const { remote, bytesRead, bytesWritten } = this.client;
    return {
      id: `c${this.#id}`,
      client: `${remote.host}:${remote.port}`,
      facts: { port: String(this.port), ...(this.sni === undefined ? {} : { sni: this.sni }) },
      pool: this.pool,
      server: this.server?.name,
      reason: this.reason,
      bytes: { toServer: bytesRead, toClient: bytesWritten },
      messages: 0,
      started: this.#started,
    };
  }

  /** Looks for a server. */
  begin(): void {
    this.#arrival = new Arrival(this);
    this.client.handler = this.#arrival;
    this.#arrival.begin();
  }

  /** What it does next may take `ms` milliseconds. */
  arm(ms: number): void {
    if (this.#timer) this.#timer.restart(ms);
    else this.#timer = this.settings.deadlines.after(ms, () => this.#timeUp());
  }

  disarm(): void {
    this.#timer?.cancel();
  }

  /** One more server is asked: takes a slot of it. */
  tries(server: Server, reason: string): void {
    this.attempts++;
    this.server = server;
    this.reason = reason;
    this.#holdsSlot = true;
    server.acquire();
  }

  /** Gives the slot back. */
  leaves(): void {
    if (!this.#holdsSlot) return;
    this.#holdsSlot = false;
    this.server!.release();
  }

  /** The server that was tried has the connection. `early`: what the client sent before, and whether it sent FIN. */
  joins(channel: Channel, choice: Choice, early: { bytes: Uint8Array | undefined; ended: boolean }): void {
    const { idle } = this.settings.timeouts;
    this.#arrival = undefined;
    this.#channel = channel;
    this.#letGo = choice.hold();
    this.arm(idle / LOOKS);
    this.toServer = early.bytes;
    splice(this.client, channel, this);
    this.toServer = undefined;
    if (early.ended) channel.end();
  }

  /** A side is gone: the splice's word. FIN was passed on before, so without an error the other side is ending as well. */
  closed(side: Side, error: GantryError | undefined): void {
    if (error) this.#ends('reset', error.message);
    const other = side === 'client' ? this.#channel! : this.client;
    if (error) other.reset();
    else other.end();
    if (--this.#open === 0) this.#over();
  }

  /** The client was lost before there was a server. */
  lost(error: GantryError | undefined): void {
    this.#ends('reset', error?.message);
    this.#over();
  }

  /** Turns the client away. `close`: in order, with FIN. */
  refuse(how: 'close' | 'reset', detail: string): void {
    this.#arrival = undefined;
    this.#ends('refused', detail);
    this.disarm();
    const gone = () => this.#over();
    if (how === 'close') {
      dismiss(this.client, this.settings.deadlines, LINGER_MS, undefined, gone);
    } else {
      this.client.handler = new Leaver(gone);
      this.client.reset();
    }
  }

  /** Ends it from the balancer's side: both sides are reset, for nobody knows where in a stream it may end in order. */
  cut(detail: string): void {
    this.disarm();
    this.#arrival?.stop();
    this.#arrival = undefined;
    // Whoever is being turned away, or was cut before, has a handler that waits for the end.
    if (!this.#channel && !this.#end) this.client.handler = new Leaver(() => this.#over());
    this.#ends('cut', detail);
    this.#channel?.reset();
    this.client.reset();
  }

  #timeUp(): void {
    if (this.#arrival) this.#arrival.timeUp();
    else this.#look();
  }

  /** Is anything still moving? A chunk is not watched: the channels count bytes anyway. */
  #look(): void {
    const { now, timeouts } = this.settings;
    const moved = this.client.bytesRead + this.#channel!.bytesRead;
    if (moved !== this.#moved) {
      this.#moved = moved;
      this.#movedAt = now();
    } else if (now() - this.#movedAt >= timeouts.idle) {
      this.cut('nothing was sent either way for too long');
      return;
    }
    this.arm(timeouts.idle / LOOKS);
  }

  /** How it ended; the first word counts. */
  #ends(end: End, detail: string | undefined): void {
    if (this.#end) return;
    this.#end = end;
    this.#detail = detail;
  }

  #over(): void {
    this.#ends('closed', undefined);
    this.disarm();
    this.leaves();
    this.#letGo?.();
    this.#letGo = undefined;
    if (events.connection.hasSubscribers) this.#publish();
    this.host.over(this);
  }

  #publish(): void {
    const { client, settings, port, pool, server, rule, reason, attempts } = this;
    events.connection.publish({
      vip: settings.vip,
      client: client.remote.host,
      port,
      pool,
      server: server?.name,
      rule,
      reason,
      attempts,
      bytes: { toServer: client.bytesRead, toClient: client.bytesWritten },
      ms: Math.round((settings.now() - this.#started) * 10) / 10,
      end: this.#end!,
      detail: this.#detail,
    });
  }
}

/** Waits for a channel that was reset to be gone. */
class Leaver implements ChannelHandler {
  readonly closed: () => void;

  constructor(gone: () => void) {
    this.closed = gone;
  }

  read(): void {}

  ended(): void {}
}
