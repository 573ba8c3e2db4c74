import { expect, test } from 'vitest';
import { frameLength } from '../../../protocols/hl7/mllp.ts';
import { FlushQueue } from '../../../src/frontends/hl7/flush-queue.ts';
import { Outbox } from '../../../src/frontends/hl7/outbox.ts';
import type { Channel } from '../../../src/relay/channel.ts';
import { mllpFrame } from '../../peers/mllp-peer.ts';

const ANSWER = Buffer.from('MSH|^~\\&|INVENTED\rMSA|AA|M1\r');

/** A channel that takes everything, or holds each write until `take`. */
function outboxOn(takesAll: boolean) {
  const written: Buffer[] = [];
  const unfinished: (() => void)[] = [];
  const channel = {
    open: true,
    // What a TLS stream has taken and not sent is no concern of ours: nobody says when it is sent.
    pending: 1_000_000,
    write(bytes: Buffer, done?: () => void) {
      written.push(Buffer.from(bytes));
      if (!takesAll) unfinished.push(done!);
      return takesAll;
    },
  } as unknown as Channel;
  const it = { drained: 0, written, take: () => unfinished.shift()!() };
  const outbox = new Outbox(channel, new FlushQueue(), {}, () => it.drained++);
  return { outbox, it };
}

test('what the channel takes at once is not pending, and said to be gone', () => {
  const { outbox, it } = outboxOn(true);
  outbox.add(ANSWER);
  outbox.add(ANSWER);
  expect(outbox.pending).toBe(2 * frameLength(ANSWER.length));
  outbox.flush();
  expect(it.written).toEqual([Buffer.concat([mllpFrame(ANSWER), mllpFrame(ANSWER)])]);
  expect(outbox.pending).toBe(0);
  expect(it.drained).toBe(1);
});

test('what the channel holds is pending until it has it, with what came meanwhile', () => {
  const { outbox, it } = outboxOn(false);
  outbox.add(ANSWER);
  outbox.flush();
  outbox.add(ANSWER);
  outbox.flush();
  expect(it.written).toHaveLength(1);
  expect(outbox.pending).toBe(2 * frameLength(ANSWER.length));
  it.take();
  expect(it.written).toHaveLength(2);
  expect(outbox.pending).toBe(frameLength(ANSWER.length));
  expect(it.drained).toBe(0);
  it.take();
  expect(outbox.pending).toBe(0);
  expect(it.drained).toBe(1);
});
