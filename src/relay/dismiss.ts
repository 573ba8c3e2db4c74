/**
 * Sends a channel away politely: last words, FIN, then whatever the peer still sends is read and dropped until it
 * closes (a close with unread bytes would be a reset, and a reset may overtake the last words). A peer that does not
 * close in time is reset: PS3.8 Sta13 and its ARTIM timer, for any protocol.
 */
import type { Channel } from './channel.ts';
import type { Deadlines } from './deadlines.ts';

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
  const deadline = deadlines.after(ms, () => channel.reset());
  channel.handler = {
    read() {},
    ended() {},
    closed() {
      deadline.cancel();
      whenGone?.();
    },
  };
  if (lastWords) channel.write(lastWords);
  channel.end();
  channel.resume();
}
