/**
 * Sends a channel away politely: last words, FIN, then whatever the peer still sends is read and dropped until it
 * closes (a close with unread bytes would be a reset, and a reset may overtake the last words). A peer that does not
 * close in time is reset: PS3.8 Sta13 and its ARTIM timer, for any protocol.
 */
import type { Channel } from './channel.ts';
import type { Deadlines } from './deadlines.ts';

/** A connection whose stay a deadline limits. */
export interface Guest {
  reset(): void;
}

const guests = new WeakMap<Deadlines, Set<Guest>>();

/** Who is being sent away, or has not been let in yet, by the clock that limits it. */
export function guestsOf(deadlines: Deadlines): Set<Guest> {
  const known = guests.get(deadlines) ?? new Set();
  guests.set(deadlines, known);
  return known;
}

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
  const leaving = guestsOf(deadlines).add(channel);
  const deadline = deadlines.after(ms, () => channel.reset());
  channel.handler = {
    read() {},
    ended() {},
    closed() {
      deadline.cancel();
      leaving.delete(channel);
      whenGone?.();
    },
  };
  if (lastWords) channel.write(lastWords);
  channel.end();
  channel.resume();
}

/** Resets all guests before `deadlines` are closed: nobody would limit their stay any more. */
export function resetDismissed(deadlines: Deadlines): void {
  for (const guest of guestsOf(deadlines)) guest.reset();
}
