/**
 * An open association: bytes pass both ways, PDUs are followed without being held. Decides what the peers are told when
 * one of them is lost, stalls, or stays silent too long.
 *
 * The rule everything here serves: an A-ABORT is written only at a PDU boundary of that direction. Inside a PDU the
 * connection is reset, because ten stray bytes could complete a data fragment and become pixels.
 */
import { createOperations, type Operations } from '../../../protocols/dicom/operations.ts';
import { PDU } from '../../../protocols/dicom/pdu.ts';
import { createPduFollower, type PduFollower, type PduSink } from '../../../protocols/dicom/pdu-follower.ts';
import { writeAbort } from '../../../protocols/dicom/small-pdus.ts';
import type { GantryError } from '../../errors.ts';
import type { Server } from '../../pools/server.ts';
import type { Channel } from '../../relay/channel.ts';
import type { Deadline, Deadlines } from '../../relay/deadlines.ts';
import { dismiss } from '../../relay/dismiss.ts';
import { type Direction, type Side, type Splice, splice } from '../../relay/splice.ts';
import type { AssociationRecord } from './record.ts';

export interface ConversationTimeouts {
  /** Milliseconds without a byte inside a PDU. */
  readonly stall: number;
  /** Milliseconds without a byte between PDUs while no operation is open. */
  readonly idle: number;
  /** Milliseconds from A-RELEASE-RQ or A-ABORT to the end of both connections. */
  readonly release: number;
}

export interface ConversationOptions {
  readonly client: Channel;
  readonly server: Channel;
  readonly target: Server;
  readonly record: AssociationRecord;
  readonly timeouts: ConversationTimeouts;
  readonly deadlines: Deadlines;
  readonly now: () => number;
  /** Bytes that came before this began; they are passed on first, and not changed any more. */
  readonly early: { readonly toServer: Buffer; readonly toClient: Buffer };
  /** Both connections are gone. */
  readonly over: () => void;
}

/** A provider abort with no reason given, PS3.8 Table 9-26: what a peer hears when the other one is lost. */
const ABORT_PROVIDER = writeAbort(2, 0);

export class Conversation {
  readonly #options: ConversationOptions;
  readonly #operations: Operations;
  readonly #toServer: PduFollower;
  readonly #toClient: PduFollower;
  readonly #splice: Splice;
  readonly #watch: Deadline;
  /** Chunks seen, now and at the last look: a chunk costs no clock reading. */
  #chunks = 0;
  #chunksAtLastLook = 0;
  /** Clock time of the look that saw the last of them. */
  #lastMoved: number;
  #leaving: Deadline | undefined;
  #releaseRequests = 0;
  #releaseResponses = 0;
  /** Released, or aborted by a peer: nobody is owed an abort any more. */
  #orderly = false;
  #finishing = false;
  /** It is to end at its next safe point: why. */
  #departure: string | undefined;
  #open = 2;
  /** Operations that the client asked for and the server has not answered. */
  #asked = 0;
  #bytesInFlight = 0;

  constructor(options: ConversationOptions) {
    this.#options = options;
    const { client, server, deadlines, timeouts } = options;
    const load = options.target.load;
    this.#operations = createOperations({
      now: options.now,
      started: () => {
        this.#asked++;
        load.operationStarted();
      },
      ended: (ms, outcome) => {
        this.#asked--;
        load.operationEnded(ms, outcome);
        if (this.#asked === 0) this.#countInFlight(0);
      },
    });
    this.#toServer = createPduFollower(this.#sink('toServer'));
    this.#toClient = createPduFollower(this.#sink('toClient'));
    this.#toServer.push(options.early.toServer);
    this.#toClient.push(options.early.toClient);
    this.#lastMoved = options.now();
    const watchEvery = Math.max(50, Math.min(timeouts.stall, timeouts.idle) / 4);
    this.#watch = deadlines.after(watchEvery, () => this.#look());
    this.#splice = splice(client, server, {
      ...options.early,
      tap: (bytes, direction) => this.#tap(bytes, direction),
      ended: (direction) => this.#ended(direction),
      closed: (side, error) => this.#closed(side, error),
    });
  }

  /** Operation → status → count, so far. */
  get counts(): Operations['counts'] {
    return this.#operations.counts;
  }

  /** Ends the association from the balancer's side (halt, shutdown): an abort or a reset to both. */
  abort(detail: string): void {
    this.#options.record.ends('abort', '2/0', detail);
    this.#finish();
  }

  /** Nothing more to do: the splice has begun. */
  start(): void {}

  /**
   * The server was halted. Ends the association where that breaks nothing: between two operations, with both directions
   * at a PDU boundary. A release that has begun ends it by itself.
   */
  leave(server: Server, detail: string): void {
    if (server !== this.#options.target) return;
    this.#departure = detail;
    this.#departIfSafe();
  }

  /** Everything of this association is there: it ends when the connection does. */
  foundDown(_server: Server): void {}

  /** It has one slot, and needs it. */
  makeRoom(): void {}

  cut(server: Server, detail: string): void {
    if (server === this.#options.target) this.abort(detail);
  }

  readonly #departIfSafe = (): void => {
    const detail = this.#departure;
    if (detail === undefined || this.#finishing || this.#leaving || this.#orderly) return;
    if (!this.#options.target.isHalted) this.#departure = undefined;
    else if (this.#operations.atSafePoint && isBetweenMessages(this.#toServer, this.#toClient))
      this.abort(detail);
  };

  #tap(bytes: Buffer, direction: Direction): void {
    this.#chunks++;
    if (direction === 'toServer') {
      this.#toServer.push(bytes);
      if (this.#asked > 0) this.#countInFlight(this.#bytesInFlight + bytes.length);
    } else {
      this.#toClient.push(bytes);
    }
    // Not here: these bytes, the last response perhaps, are not written yet.
    if (this.#departure !== undefined) queueMicrotask(this.#departIfSafe);
  }

  #countInFlight(bytes: number): void {
    this.#options.target.load.bytesInFlight += bytes - this.#bytesInFlight;
    this.#bytesInFlight = bytes;
  }

  #sink(direction: Direction): PduSink {
    const { record } = this.#options;
    const from = direction === 'toServer' ? 'client' : 'server';
    return {
      pduEnd: (type, source, reason) => {
        if (type === PDU.A_RELEASE_RQ) {
          this.#releaseRequests++;
          this.#leaves();
        } else if (type === PDU.A_RELEASE_RP) {
          // In a collision (PS3.8 7.2.2.7) both requests get their response before it is over.
          this.#releaseResponses++;
          if (this.#releaseResponses >= this.#releaseRequests) {
            this.#orderly = true;
            record.ends('release', undefined);
          }
        } else if (type === PDU.A_ABORT) {
          this.#orderly = true;
          record.ends('abort', `${source}/${reason}`, `the ${from} aborted`);
          this.#leaves();
        }
      },
      command: (command) => this.#operations.command(command, direction),
      dataEnd: () => this.#operations.dataEnd(direction),
      fault: (message) => {
        record.detail ??= `the ${from} broke PS3.8: ${message}`;
      },
    };
  }

  /** The association is on its way out: both connections are gone within the release time. */
  #leaves(): void {
    this.#leaving ??= this.#options.deadlines.after(this.#options.timeouts.release, () => {
      this.#options.record.ends('abort', '2/0', 'the release was not answered in time');
      this.#finish();
    });
  }

  #look(): void {
    if (this.#finishing) return;
    const now = this.#options.now();
    if (this.#chunks !== this.#chunksAtLastLook) {
      this.#chunksAtLastLook = this.#chunks;
      this.#lastMoved = now;
    }
    const quiet = now - this.#lastMoved;
    const { stall, idle } = this.#options.timeouts;
    const stalling = this.#stallingSide();
    if (stalling && quiet >= stall) {
      this.abort(`the ${stalling} stalled inside a PDU`);
    } else if (!stalling && this.#operations.atSafePoint && quiet >= idle) {
      this.abort('the association was idle too long');
    } else {
      this.#watch.restart();
    }
  }

  /**
   * Who keeps a PDU from getting on: who does not take it, wherever the last byte that was read belongs, or else who
   * does not send the rest of it. undefined: no PDU is under way.
   */
  #stallingSide(): Side | undefined {
    const { client, server } = this.#options;
    if (server.pending > 0) return 'server';
    if (client.pending > 0) return 'client';
    if (this.#toServer.insidePdu) return 'client';
    return this.#toClient.insidePdu ? 'server' : undefined;
  }

  #ended(direction: Direction): 'forward' | 'handled' {
    if (this.#orderly) {
      this.#leaves();
      return 'forward';
    }
    this.#lost(direction === 'toServer' ? 'client' : 'server', 'closed its connection');
    return 'handled';
  }

  #closed(side: Side, error: GantryError | undefined): void {
    if (this.#orderly) this.#finish();
    else this.#lost(side, error ? 'was lost' : 'closed its connection');
  }

  #lost(side: Side, how: string): void {
    this.abort(`the ${side} ${how} while the association was open`);
  }

  #finish(): void {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#splice.stop();
    this.#watch.cancel();
    this.#leaving?.cancel();
    this.#countInFlight(0);
    const { record, client, server, target } = this.#options;
    target.load.operations -= this.#asked;
    this.#operations.abandon();
    record.operations = this.#operations.counts;
    this.#part(server, this.#toServer);
    this.#part(client, this.#toClient);
  }

  /** Sends one peer away: a FIN after an orderly end, else an abort at a PDU boundary, a reset inside a PDU. */
  #part(channel: Channel, follower: PduFollower): void {
    const { deadlines, timeouts } = this.#options;
    if (this.#orderly || follower.atBoundary) {
      const lastWords = this.#orderly ? undefined : ABORT_PROVIDER;
      dismiss(channel, deadlines, timeouts.release, lastWords, () => this.#isGone());
    } else if (channel.open) {
      channel.handler = { read() {}, ended() {}, closed: () => this.#isGone() };
      channel.reset();
    } else {
      this.#isGone();
    }
  }

  #isGone(): void {
    if (--this.#open === 0) this.#options.over();
  }
}

function isBetweenMessages(...directions: readonly PduFollower[]): boolean {
  return directions.every(({ atBoundary, insideCommand }) => atBoundary && !insideCommand);
}
