/**
 * Huge frames: many senders send 50 MiB each, at once, to receivers that read slowly. The balancer holds next to nothing
 * of it, and every byte arrives.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { hl7Message } from '../peers/hl7-messages.ts';
import { randomFrom } from '../peers/random.ts';
import type { Delivery } from './hl7-balancer.ts';
import { type Outcome, play, type Scene } from './hl7-scene.ts';
import { Hl7Sender } from './hl7-senders.ts';

export interface HugeOptions {
  readonly delivery: Delivery;
  readonly frames: number;
  readonly seed: number;
}

export interface HugeResult extends Outcome {
  /** Bytes that the balancer had resident more, at most, than before the first frame. */
  readonly grown: number;
}

const FRAME_BYTES = 50 * 1024 * 1024;
/** Bytes a second of each connection to a receiver. */
const SPEED = 24 * 1024 * 1024;
const PART = 256 * 1024;
/** Milliseconds that one frame may take while all are on their way. */
const PATIENCE_MS = 900_000;
/** Milliseconds between two looks at the memory. */
const LOOK_MS = 50;

export function runHuge({ delivery, frames, seed }: HugeOptions): Promise<HugeResult> {
  const hl7 = [`senderTimeout: ${PATIENCE_MS}ms`];
  return play({ delivery, receivers: ['one', 'two'], hl7, speed: SPEED }, async (scene) => {
    const { balancer } = scene;
    const random = randomFrom(seed);
    const base64 = Buffer.alloc(PART, createHash('sha256').update(String(seed)).digest('base64'));
    const before = balancer.memory;
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, balancer.memory);
    }, LOOK_MS);
    try {
      await Promise.all(
        Array.from({ length: frames }, (_, index) =>
          sendFrame(scene, delivery, index, base64.subarray(Math.floor(random() * (PART / 2)))),
        ),
      );
      await scene.arrived();
    } finally {
      clearInterval(watch);
    }
    return { ...(await scene.end()), grown: most - before };
  });
}

async function sendFrame(
  { balancer, ledger }: Scene,
  delivery: Delivery,
  index: number,
  part: Buffer,
): Promise<void> {
  const controlId = `H${index}`;
  const patient = `INV${index}`;
  const beginning = hl7Message({
    controlId,
    patient,
    segments: ['OBX|1|ED|INVENTED^DOCUMENT||^^PDF^Base64^'],
    ...(delivery === 'store' && { acceptAcknowledgement: 'AL', applicationAcknowledgement: 'NE' }),
  }).subarray(0, -1);
  const count = Math.floor(FRAME_BYTES / part.length);
  const hash = createHash('sha256').update(beginning);
  for (let number = 0; number < count; number++) hash.update(part);
  const message = ledger.note(controlId, [patient], hash.digest('hex'));
  const sender = new Hl7Sender(controlId, balancer.address, ledger);
  const connection = await sender.connect();
  if (!connection) throw new Error('no connection to the balancer');
  connection.connection.patience = PATIENCE_MS;
  const { socket } = connection.connection;
  await write(socket, Buffer.concat([Buffer.of(0x0b), beginning]));
  for (let number = 0; number < count; number++) await write(socket, part);
  await write(socket, Buffer.of(0x1c, 0x0d));
  const answer = await connection.read('an acknowledgement');
  if (!answer || !sender.accept(message, answer))
    ledger.wrong.push(`${controlId} ended with ${answer?.toString('latin1')}`);
  sender.close();
}

/** Resolves when the kernel took most of it, or the connection is gone. */
async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.destroyed || socket.write(bytes)) return;
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })]).catch(() => {});
  over.abort();
}
