/** The certificate of a server is told of before it expires: it does not count against the server. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { describeEndpoint } from '../../endpoint.ts';
import { notice } from '../../observe/events.ts';
import type { CheckTarget } from './check.ts';

/** From so many days before, once a day. */
const DAYS = 14;
const DAY_MS = 86_400_000;

/** Looks at the server's certificate on an open socket; returns what there is to say about its end, often nothing. */
export type ExpiryWatch = (socket: Socket) => string | undefined;

/** `now` of the target: milliseconds since 1970. */
export function createExpiryWatch(target: Pick<CheckTarget, 'host' | 'port' | 'now'>): ExpiryWatch {
  let toldAt = Infinity;
  return (socket) => {
    if (!(socket instanceof TLSSocket)) return undefined;
    const end = Date.parse(socket.getPeerCertificate().valid_to);
    const days = Math.floor((end - target.now()) / DAY_MS);
    // Not so either when there is no certificate to look at.
    if (!(days < DAYS)) return undefined;
    const date = new Date(end).toISOString().slice(0, 10);
    const what = `its certificate ${days < 0 ? 'expired' : 'expires'} on ${date}`;
    if (days !== toldAt) notice('warn', what, { server: describeEndpoint(target), days });
    toldAt = days;
    return what;
  };
}
