/** How connections to a server are made, and what they tell. */
import type { Acknowledgement, AcknowledgementMatch } from '../../../protocols/hl7/acknowledgement.ts';
import type { MllpBlocks } from '../../../protocols/hl7/mllp.ts';
import type { GantryError } from '../../errors.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import type { dial, TlsClientOptions } from '../../relay/dial.ts';
import type { From } from '../../relay/source.ts';
import type { Delivery } from './delivery.ts';
import type { FlushQueue } from './flush-queue.ts';
import type { OutboundConnection } from './outbound-connection.ts';

/** Why no answer will come for a message. `broken`: the message itself broke off, which is not the server's fault. */
export type LossCause = 'closed' | 'timeout' | 'mismatch' | 'broken';

export interface Loss {
  readonly cause: LossCause;
  /** All of the message was given to the kernel: it may have arrived. */
  readonly whole: boolean;
  /** A sentence without patient data. */
  readonly detail: string;
}

/** What happens on a connection. */
export interface OutboundListener {
  connected(connection: OutboundConnection): void;
  /** The connection is gone: it could not be had (`connected` was not called), or it broke. */
  gone(connection: OutboundConnection, error: GantryError | undefined): void;
  /** `bytes`, valid during the call, answer a message that this connection carries no more. */
  answered(
    connection: OutboundConnection,
    delivery: Delivery,
    answer: Acknowledgement | undefined,
    bytes: Buffer,
  ): void;
  /** The message was sent and has no answer, which is as its sender wants it. */
  unconfirmed(connection: OutboundConnection, delivery: Delivery): void;
  /** The server has the message in safe storage (MLLP release 2): another may follow. */
  committed(connection: OutboundConnection): void;
  /** The server had all of the message and could not store it: it says so. */
  notCommitted(connection: OutboundConnection, delivery: Delivery): void;
  /** `bytes` answer a message that this connection carried before. */
  answeredLater(delivery: Delivery, answer: Acknowledgement, bytes: Buffer): void;
  /** An answer that was owed will not come: the connection is gone. */
  notAnsweredLater(delivery: Delivery): void;
  /** The message got no answer. `gone` was called before. */
  lost(delivery: Delivery, loss: Loss): void;
}

export interface OutboundOptions {
  readonly blocks: Required<MllpBlocks>;
  readonly maxFrame: number;
  readonly ackMatch: AcknowledgementMatch;
  /** Messages on their way at once on one connection, default 1; 1 where answers are matched by their position. */
  readonly pipeline?: number;
  /** The server speaks MLLP release 2: each block is answered by a commit acknowledgement. */
  readonly release2?: boolean;
  readonly connectTimeout: number;
  /** Milliseconds a server has to answer; undefined: as the VIP has it. */
  readonly responseTimeout: number | undefined;
  /** Where it comes from; undefined: as the system chooses. */
  readonly from: From | undefined;
  readonly tls: TlsClientOptions | undefined;
  /** The same for every connection. */
  readonly proxyHeader: Uint8Array | undefined;
  readonly dial: typeof dial;
  readonly deadlines: Deadlines;
  readonly queue: FlushQueue;
  readonly now: () => number;
}
