/** What a placement is made of, whom it asks and whom it tells. */
import type { Facts } from '../../../../protocols/facts.ts';
import type { Director } from '../../../director/director.ts';
import type { Server } from '../../../pools/server.ts';
import type { Waiting } from '../../waiting-room.ts';
import type { Affinity } from '../affinity/affinity.ts';
import type { Leg } from './leg.ts';
import type { LegsOptions, LegsSettings } from './legs.ts';
import type { Message } from './message.ts';
import type { Operation } from './operation.ts';

export interface PlacementSettings extends LegsSettings {
  readonly vip: string;
  readonly director: Director;
  readonly now: () => number;
  readonly storage: 'shared' | 'separate';
  /** What is remembered over associations; undefined: nothing. */
  readonly affinity: Affinity | undefined;
  /** The server of a place, `POOL/SERVER`, unless it may not have work now. */
  readonly serverAt: (place: string) => Server | undefined;
  /** Milliseconds for which an operation may look for a server. */
  readonly wait: number;
}

/** What the front-end is to the operations of its associations. */
export interface PlacementHost {
  /** May this server get one more association of this VIP? */
  hasRoom(server: Server): boolean;
  /** Takes a slot of the server, and gives it back. */
  take(server: Server): void;
  free(server: Server): void;
  /** Does somebody wait who could have a slot of this server, were one free? */
  isWanted(server: Server): boolean;
  /** Puts the operation in the wait queue. False: its time is over. */
  wait(operation: Waiting): boolean;
  waitNoMore(operation: Waiting): void;
}

export interface PlacementListener {
  /** Nobody does it: it is to be answered with this status. */
  failed(operation: Operation, status: number, why: string): void;
  /** A message of a server has begun, goes on, is whole. */
  serverBegan(leg: Leg, message: Message): void;
  serverWentOn(leg: Leg, message: Message): void;
  serverEnded(leg: Leg, message: Message): void;
  /** A server took more of what it is sent. */
  moved(): void;
  /** A leg is gone. */
  legOver(leg: Leg): void;
}

export interface PlacementOptions extends LegsOptions {
  readonly settings: PlacementSettings;
  readonly host: PlacementHost;
  readonly listener: PlacementListener;
  /** Facts of the association. */
  readonly facts: Facts;
}
