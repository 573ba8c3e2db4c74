/** connect: a TCP connection can be had. It is closed in order, so that it leaves no error in the server's log. */
import { dial } from '../../relay/dial.ts';
import { dismiss } from '../../relay/dismiss.ts';
import type { Cancel, CheckResult, CheckTarget } from './check.ts';

/** How long the server may take to close after us, in milliseconds. */
const LINGER_MS = 1000;

export function startConnect(
  { host, port, timeout, deadlines, now }: CheckTarget,
  done: (result: CheckResult) => void,
): Cancel {
  const started = now();
  let isOver = false;
  const finish = (outcome: 'up' | 'down', reason: string) => {
    if (isOver) return;
    isOver = true;
    deadline.cancel();
    done({ outcome, reason, ms: now() - started });
  };
  const deadline = deadlines.after(timeout, () => {
    finish('down', `does not take a connection within ${timeout} ms`);
    channel.reset();
  });
  const channel = dial(
    { host, port },
    {
      connected() {
        dismiss(channel, deadlines, LINGER_MS);
        finish('up', 'takes connections');
      },
      read() {},
      ended() {},
      closed: (error) => finish('down', error?.message ?? 'closed at once'),
    },
  );
  return () => {
    isOver = true;
    deadline.cancel();
    channel.reset();
  };
}
