/** Receivers that end with the test that started them. */
import { onTestFinished } from 'vitest';
import { answering, type Receiver, type ReceiverScript, startReceiver } from '../../peers/mllp-peer.ts';

export async function receiverFor(script: ReceiverScript = answering()): Promise<Receiver> {
  const receiver = await startReceiver(script);
  onTestFinished(() => receiver.stop());
  return receiver;
}

/** A port on which nothing listens. */
export async function nobody(): Promise<{ host: string; port: number }> {
  const receiver = await startReceiver();
  await receiver.stop();
  return receiver.address;
}
