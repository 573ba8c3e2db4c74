/** Receivers that hold every message until the test answers it. */
import { acknowledgementOf } from '../../peers/hl7-messages.ts';
import type { MllpConnection, ReceivedMessage, Receiver } from '../../peers/mllp-peer.ts';
import { Journal } from '../../peers/waiting.ts';
import { receiverFor } from './start-receivers.ts';

export interface Held {
  readonly received: ReceivedMessage;
  readonly connection: MllpConnection;
  /** Which receiver has it, from 0. */
  readonly server: number;
}

export class HeldMessages extends Journal<Held> {
  /** Acknowledges the message with this control id, the last one that came, once one has come. */
  async answer(controlId: string): Promise<void> {
    const isIt = (one: Held) => one.received.controlId === controlId;
    await this.find(isIt);
    const { received, connection } = this.items.findLast(isIt)!;
    await connection.write(acknowledgementOf(received.bytes));
  }
}

export async function holding(
  count: number,
): Promise<{ readonly held: HeldMessages; readonly receivers: readonly Receiver[] }> {
  const held = new HeldMessages('held');
  const receivers = await Promise.all(
    Array.from({ length: count }, (_, server) =>
      receiverFor((received, connection) => held.add({ received, connection, server })),
    ),
  );
  return { held, receivers };
}
