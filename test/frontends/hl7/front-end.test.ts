import { expect, test } from 'vitest';
import { fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { connectSender, startReceiver } from '../../peers/mllp-peer.ts';
import { startHl7 } from './start-front-end.ts';

test('a message goes to a server, and its acknowledgement back, byte for byte', async () => {
  const receiver = await startReceiver();
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  const message = hl7Message({ controlId: 'M1' });
  const answer = await sender.send(message);
  expect(fieldOf(answer!, 'MSA', 2)).toBe('M1');
  expect(receiver.messages.items[0]!.bytes.equals(message)).toBe(true);
  console.log(hl7.messages.items, hl7.frontEnd.totals, [...hl7.frontEnd.connections()]);
});
