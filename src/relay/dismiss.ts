/**
 * Sends a channel away politely: last words, FIN, then whatever the peer still sends is read and dropped until it
 * closes (a close with unread bytes would be a reset, and a reset may overtake the last words). A peer that does not
 * close in time is reset: PS3.8 Sta13 and its ARTIM timer, for any protocol.
 */
import type { Channel } from './channel.ts';
import type { Deadlines } from './deadlines.ts';

/** Who is being sent away, by the clock that limits it. */
const leaving = new WeakMap<Deadlines, Set<Channel>>();

export function dismiss(
  channel: Channel,
  deadlines: Deadlines,
  ms: number,
  lastWords?: Uint8Array,
  whenGone?: () => void,
): void {
  if (!channel.open) {
    whenGone?.();
    return;
  }
  const guests = leaving.get(deadlines) ?? new Set();
  leaving.set(deadlines, guests.add(channel));
  const deadline = deadlines.after(ms, () => channel.reset());
  channel.handler = {
    read() {},
    ended() {},
    closed() {
      deadline.cancel();
      guests.delete(channel);
      whenGone?.();
    },
  };
  if (lastWords) channel.write(lastWords);
  channel.end();
  channel.resume();
}

/** Resets whoever has not left yet, before `deadlines` are closed: nobody would limit their stay any more. */
export function resetDismissed(deadlines: Deadlines): void {
  for (const channel of leaving.get(deadlines) ?? []) channel.reset();
}
