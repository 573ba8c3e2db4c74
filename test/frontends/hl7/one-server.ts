/** A front-end with one server behind it and one sender before it, for the time of a test. */
import { connectSender, type MllpSender, type Receiver } from '../../peers/mllp-peer.ts';
import { type Sketch, startHl7, type TestFrontEnd } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

export async function withOneServer(
  sketch: Sketch,
  run: (sender: MllpSender, receiver: Receiver, hl7: TestFrontEnd) => Promise<void>,
): Promise<void> {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } }, ...sketch });
  await run(await connectSender(hl7.address), receiver, hl7);
}
