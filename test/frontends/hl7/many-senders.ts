/** Many senders at once, each of which sends on when its last message is answered, or its connection was closed. */
import { fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { connectSender } from '../../peers/mllp-peer.ts';
import type { Address } from '../../peers/test-connection.ts';

export interface Sent {
  readonly answered: number;
  /** Messages for which the connection was closed. */
  readonly refused: number;
  /** Control ids that got the answer of another one. */
  readonly wrong: readonly string[];
}

/** `messages` of them, of five patients a sender. */
export async function sendFromMany(to: Address, senders: number, messages: number): Promise<Sent> {
  let next = 0;
  let answered = 0;
  let refused = 0;
  const wrong: string[] = [];
  async function send(number: number): Promise<void> {
    let connection = await connectSender(to);
    while (next < messages) {
      const controlId = `M${next++}`;
      const answer = await connection.send(hl7Message({ controlId, patient: `INV${number}-${next % 5}` }));
      if (answer) {
        answered++;
        if (fieldOf(answer, 'MSA', 2) !== controlId) wrong.push(controlId);
      } else {
        refused++;
        connection.end();
        connection = await connectSender(to);
      }
    }
    connection.end();
  }
  await Promise.all(Array.from({ length: senders }, (_, number) => send(number)));
  return { answered, refused, wrong };
}
