/** A service with all that its rules need: marks for its servers, the interfaces they are reached by. */
import type { Family } from './families.ts';
import type { TableName } from './names.ts';
import type { Service, Target } from './service.ts';

export interface Plan {
  readonly service: Service;
  readonly family: Family;
  readonly table: TableName;
  /** dr: where packets are caught. */
  readonly interfaces: readonly string[];
  /** Those of the service, then those that have left it but not yet the kernel. */
  readonly servers: readonly Placed[];
  readonly lifetimes: Lifetimes;
  /** Grows with each change of the schedule, so that not every schedule begins with the same server. */
  readonly turn: number;
}

/** A server with its mark. */
export interface Placed extends Target {
  /** It is its number in the kernel: of all tables of ours, no two servers have the same one. */
  readonly mark: number;
  /** dr: the interface that routes to it. */
  readonly device: string | undefined;
  /** It has left the configuration, and still has flows. */
  readonly hasLeft: boolean;
}

export interface Lifetimes {
  /** Milliseconds that a flow is known after its first SYN, until more comes. */
  readonly opening: number;
  /** Milliseconds that a flow is known after a packet of the client's, once a FIN or RST was seen. */
  readonly closing: number;
  /**
   * Milliseconds of silence of the client after which a flow that is known is not counted as open any more: with DR nobody
   * sees that a server reset it.
   */
  readonly quiet: number;
  /** Flows of a service at most. */
  readonly flows: number;
}

/** As IPVS has them: `ipvsadm --set 900 120 300`, and 60 s for what has only begun. */
export const LIFETIMES: Lifetimes = { opening: 60_000, closing: 120_000, quiet: 900_000, flows: 262_144 };
