/** tls: a handshake succeeds, and the certificate is good where it is verified. The connection is closed in order. */
import { dialSocket } from '../../relay/dial.ts';
import { beginAttempt } from './attempt.ts';
import type { ExpiryWatch } from './certificate-expiry.ts';
import type { Cancel, CheckResult, CheckTarget } from './check.ts';

/** How long the server may take to close after us, in milliseconds. */
const LINGER_MS = 1000;

export function startTls(
  target: CheckTarget,
  watchExpiry: ExpiryWatch,
  done: (result: CheckResult) => void,
): Cancel {
  const { timeout, deadlines, link = {} } = target;
  const attempt = beginAttempt(target, done, () => {
    attempt.finish('down', `completes no TLS handshake within ${timeout} ms`);
    dialling.cancel();
  });
  const dialling = dialSocket(target, link, (error, socket) => {
    if (!socket) {
      attempt.finish('down', error!.message);
      return;
    }
    const expiry = watchExpiry(socket);
    const linger = deadlines.after(LINGER_MS, () => socket.destroy());
    socket
      .on('error', () => {})
      .on('close', () => linger.cancel())
      .resume()
      .end();
    attempt.finish('up', ['completes a TLS handshake', ...(expiry ? [expiry] : [])].join('; '));
  });
  return () => {
    attempt.cancel();
    dialling.cancel();
  };
}
