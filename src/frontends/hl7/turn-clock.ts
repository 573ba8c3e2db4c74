/**
 * The time, read once for everything that happens in one turn of the event loop: a message asks for it several times,
 * and a turn brings many messages.
 */
export function createTurnClock(now: () => number): () => number {
  let time: number | undefined;
  const forget = () => {
    time = undefined;
  };
  return () => {
    if (time === undefined) {
      time = now();
      setImmediate(forget);
    }
    return time;
  };
}
