/**
 * A connection that has no server yet: looks for the server name in what the client sends, when somebody asks for it;
 * asks the director; dials one candidate after the other; waits when those that could take it are full. Nothing is sent
 * to a server until one is connected, so that going on to the next candidate is always allowed.
 */
import type { Facts, FactValue } from '../../../protocols/facts.ts';
import { type ClientHelloReader, createClientHelloReader } from '../../../protocols/tls/client-hello.ts';
import type { Candidate, Choice } from '../../director/choice.ts';
import type { GantryError } from '../../errors.ts';
import type { Server } from '../../pools/server.ts';
import type { Channel, ChannelHandler } from '../../relay/channel.ts';
import { dial, preambleOf } from '../../relay/dial.ts';
import { suspectOf } from '../../relay/source.ts';
import type { Waiting } from '../waiting-room.ts';
import type { Connection } from './connection.ts';

type Phase = 'peeking' | 'dialling' | 'waiting' | 'over';

/** Hears nothing: for a dial that nobody waits for any more. */
const DEAF: ChannelHandler = { read() {}, ended() {}, closed() {} };

export class Arrival implements ChannelHandler, Facts, Waiting {
  isUrgent = false;
  readonly #connection: Connection;
  #phase: Phase = 'dialling';
  #hello: ClientHelloReader | undefined;
  /** What the client has sent: mostly in its channel's own buffer, which stays as it is while the channel is paused. */
  #early: Buffer | undefined;
  #clientEnded = false;
  #choice: Choice | undefined;
  #dialled: Channel | undefined;
  /** Who could not be had before it had to wait: it waits for the others. */
  #asked: Server[] | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  begin(): void {
    const { settings } = this.#connection;
    if (settings.peeksSni) {
      this.#phase = 'peeking';
      this.#hello = createClientHelloReader();
      this.#connection.arm(settings.entrance.handshakeTimeout);
    } else {
      this.#seek();
    }
  }

  /** Ends the search. The client's channel is the caller's. */
  stop(): void {
    this.#phase = 'over';
    this.#connection.host.waitNoMore(this);
    if (this.#dialled) this.#hangUp();
    this.#choice?.abandon();
  }

  /** The time for what it is doing is over. */
  timeUp(): void {
    // Who says nothing may speak a protocol in which the server speaks first.
    if (this.#phase === 'peeking') this.#peeked();
    else if (this.#phase === 'dialling') {
      this.#hangUp();
      this.#failed('does not connect');
    }
  }

  // What the client does meanwhile.

  read(bytes: Buffer): void {
    if (this.#phase === 'peeking') {
      const hello = this.#hello!.push(bytes);
      if (hello === undefined) return;
      this.#connection.client.pause();
      if (hello !== 'not-tls') this.#connection.sni = hello.sni;
      this.#peeked();
    } else {
      this.#connection.client.pause();
      this.#early = this.#early === undefined ? bytes : Buffer.concat([this.#early, bytes]);
    }
  }

  ended(): void {
    this.#clientEnded = true;
    if (this.#phase === 'peeking') this.#peeked();
  }

  closed(error: GantryError | undefined): void {
    this.stop();
    this.#connection.lost(error);
  }

  #peeked(): void {
    this.#early = this.#hello!.bytes;
    this.#hello = undefined;
    this.#seek();
  }

  // The search for a server.

  get(name: string): FactValue {
    const { client, port, settings, sni } = this.#connection;
    switch (name) {
      case 'client':
        return client.remote.host || undefined;
      case 'port':
        return String(port);
      case 'vip':
        return settings.vip;
      case 'sni':
        return sni;
      case 'tlsSubject':
        return client.tls?.subject;
      default:
        return undefined;
    }
  }

  #seek(): void {
    const connection = this.#connection;
    const asked = this.#asked;
    const choice = connection.settings.director.choose(
      this,
      asked && { hasRoom: (server) => !asked.includes(server) },
    );
    this.#phase = 'dialling';
    this.#choice = choice;
    this.isUrgent = choice.urgent;
    connection.rule = choice.rule;
    connection.pool = choice.pool?.name;
    if (choice.reject === undefined) {
      this.#try(choice.next());
    } else {
      const why = choice.reject === 'no-route' ? 'no rule takes it' : `rejected by ${choice.rule}`;
      this.#refuse(why, choice.reject === 'reset' ? 'reset' : 'close');
    }
  }

  #try(candidate: Candidate | undefined): void {
    if (!candidate) {
      this.#noneIsLeft();
      return;
    }
    const { server, reason } = candidate;
    const connection = this.#connection;
    const { client, port, settings } = connection;
    const link = settings.links.get(server.pool);
    connection.tries(server, reason);
    connection.arm(link?.connectTimeout ?? settings.timeouts.connect);
    const target = { host: server.host, port: server.port ?? port };
    const handler = {
      ...DEAF,
      connected: () => this.#connected(),
      closed: (error: GantryError | undefined) => {
        this.#dialled = undefined;
        connection.leaves();
        this.#failed(error?.message ?? 'does not connect', error);
      },
    };
    this.#dialled = dial(target, handler, preambleOf(link, client));
  }

  #connected(): void {
    const connection = this.#connection;
    const channel = this.#dialled!;
    this.#phase = 'over';
    connection.host.waitNoMore(this);
    connection.server!.dialAnswered(connection.settings.now());
    this.#choice!.settle();
    connection.joins(channel, this.#choice!, { bytes: this.#early, ended: this.#clientEnded });
  }

  /** The server that was tried cannot be had; its slot is free again. */
  #failed(reason: string, error?: GantryError): void {
    const { client, settings } = this.#connection;
    const server = this.#connection.server!;
    const suspect = suspectOf(settings.links.get(server.pool)?.source, client.remote.host, error);
    if (error?.source !== 'internal') server.dialFailed(reason, settings.now(), suspect);
    this.#asked ??= [];
    this.#asked.push(server);
    this.#try(this.#choice!.next());
  }

  /** Gives up the dial that is under way. */
  #hangUp(): void {
    const channel = this.#dialled!;
    this.#dialled = undefined;
    channel.handler = DEAF;
    channel.reset();
    this.#connection.leaves();
  }

  #noneIsLeft(): void {
    const connection = this.#connection;
    const { exhausted } = this.#choice!;
    this.#choice!.abandon();
    connection.disarm();
    if (exhausted !== 'full') {
      this.#refuse(connection.attempts > 0 ? 'no server could be had' : 'no server is up');
    } else if (connection.host.wait(this)) {
      this.#phase = 'waiting';
    } else {
      this.#refuse(FULL);
    }
  }

  /** Something got free. Whoever finds everything as full as before should not cost a choice. */
  tryAgain(): void {
    if (this.#phase !== 'waiting') return;
    const { servers, takers } = this.#choice!.pool!;
    const asked = this.#asked;
    const hasRoom = (server: Server) =>
      server.hasRoom && (server.honoursPersistence || takers.includes(server)) && !asked?.includes(server);
    if (servers.some(hasRoom)) this.#seek();
  }

  waitIsOver(): void {
    if (this.#phase === 'waiting') this.#refuse(FULL);
  }

  #refuse(why: string, how: 'close' | 'reset' = 'close'): void {
    this.#phase = 'over';
    this.#connection.host.waitNoMore(this);
    this.#connection.refuse(how, why);
  }
}

const FULL = 'every server has as many connections as it may';
