/** What a target is made of. */
import type { Pool } from '../../pools/pool.ts';
import type { OutboundOptions } from './outbound.ts';

export interface TargetOptions {
  readonly pool: Pool;
  /** Connections at once. */
  readonly most: number;
  readonly outbound: OutboundOptions;
  /** For whom alone it is. */
  readonly client?: Client;
}

/** A client whose address the server sees. */
export interface Client {
  readonly address: string;
  /** It has a connection to the VIP. */
  isHere(): boolean;
}
