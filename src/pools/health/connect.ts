/** connect: a connection can be had, in TLS where the pool's are. It is closed in order, so that it leaves no error in the server's log. */
import { dial } from '../../relay/dial.ts';
import { dismiss } from '../../relay/dismiss.ts';
import { beginAttempt } from './attempt.ts';
import type { Cancel, CheckResult, CheckTarget } from './check.ts';

/** How long the server may take to close after us, in milliseconds. */
const LINGER_MS = 1000;

export function startConnect(target: CheckTarget, done: (result: CheckResult) => void): Cancel {
  const { host, port, timeout, deadlines, link } = target;
  const attempt = beginAttempt(target, done, () => {
    attempt.finish('down', `does not take a connection within ${timeout} ms`);
    channel.reset();
  });
  const channel = dial(
    { host, port },
    {
      connected() {
        dismiss(channel, deadlines, LINGER_MS);
        attempt.finish('up', link?.tls ? 'takes connections in TLS' : 'takes connections');
      },
      read() {},
      ended() {},
      closed: (error) => attempt.finish('down', error?.message ?? 'closed at once'),
    },
    link,
  );
  return () => {
    attempt.cancel();
    channel.reset();
  };
}
