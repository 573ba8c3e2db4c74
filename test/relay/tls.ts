/** TLS for the relay's tests: identities, entrances, what is said at them. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { expect, onTestFinished } from 'vitest';
import { type NoticeEvent, onEvent } from '../../src/observe/events.ts';
import { channelAcceptor, type Entrance, type Origin, socketAcceptor } from '../../src/relay/accept.ts';
import type { Channel, Endpoint } from '../../src/relay/channel.ts';
import { createDeadlines } from '../../src/relay/deadlines.ts';
import { resetDismissed } from '../../src/relay/dismiss.ts';
import { type Listener, listen } from '../../src/relay/listen.ts';
import type { ReadMode } from '../../src/relay/read-mode.ts';
import {
  createTlsIdentity,
  type TlsIdentity,
  type TlsIdentityOptions,
} from '../../src/relay/tls-identity.ts';
import { type CertificateRequest, createAuthority } from '../peers/certificates.ts';
import { Journal } from '../peers/waiting.ts';
import { LOOPBACK, Witness } from './sockets.ts';

/** An identity with one certificate for each of the requests. */
export async function identityFor(
  requests: readonly CertificateRequest[],
  options: Partial<TlsIdentityOptions> = {},
): Promise<TlsIdentity> {
  const authority = await createAuthority();
  const certificates = await Promise.all(requests.map((request) => authority.issue(request)));
  return createTlsIdentity({ certificates, minVersion: 'TLSv1.2', ...options });
}

/** Entrances are named for their test: what is still said of one that is over is not mistaken for another's. */
const testName = () => expect.getState().currentTestName ?? '';

/** An entrance whose clock ends with the test. */
export function entrance(options: Partial<Entrance> = {}): Entrance {
  const { deadlines = createDeadlines() } = options;
  onTestFinished(() => {
    resetDismissed(deadlines);
    deadlines.close();
  });
  return { handshakeTimeout: 20_000, vip: testName(), ...options, deadlines };
}

/** Every connection is taken through the entrance, and its channel comes with a witness. */
export async function entranceServer(
  way: Entrance,
  { reads = 'direct', endpoint = LOOPBACK }: { reads?: ReadMode; endpoint?: Endpoint } = {},
) {
  const accepted = new Journal<{ channel: Channel; witness: Witness }>('accepted channels');
  const listener = await listen(endpoint, acceptInto(way, accepted), { reads });
  onTestFinished(() => listener.close());
  return {
    listener,
    endpoint: listener.endpoint,
    accepted,
    /** The connections to come take another way. */
    change: (other: Entrance) => {
      listener.acceptor = acceptInto(other, accepted);
    },
    next: () => taken(accepted),
  };
}

function acceptInto(way: Entrance, accepted: Journal<{ channel: Channel; witness: Witness }>) {
  return channelAcceptor(way, (channel) => {
    const witness = new Witness();
    channel.handler = witness;
    onTestFinished(() => channel.reset());
    accepted.add({ channel, witness });
  });
}

/** The same for sockets. */
export async function socketServer(way: Entrance) {
  const accepted = new Journal<{ socket: Socket; origin: Origin }>('accepted sockets');
  const listener: Listener = await listen(
    LOOPBACK,
    socketAcceptor(way, (socket, origin) => {
      socket.on('error', () => {});
      onTestFinished(() => void socket.destroy());
      accepted.add({ socket, origin });
    }),
  );
  onTestFinished(() => listener.close());
  return { endpoint: listener.endpoint, accepted, next: () => taken(accepted) };
}

/** The first entry; it is taken out. */
async function taken<T>(journal: Journal<T>): Promise<T> {
  await journal.count(1);
  return journal.items.shift()!;
}

/** What is said during the test, and of no other test's entrance. */
export function notices(): Journal<NoticeEvent> {
  const journal = new Journal<NoticeEvent>('notices');
  const vip = testName();
  onTestFinished(
    onEvent('notice', (event) => {
      if ((event.fields.vip ?? vip) === vip) journal.add(event);
    }),
  );
  return journal;
}

/** A TLS client on a connection that is there already, so that something can come before TLS. */
export async function tlsOn(socket: Socket, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { ca } = await createAuthority();
  const client = connect({ socket, ca, servername: 'a.test', ...options });
  client.on('error', () => {});
  await once(client, 'secureConnect');
  return client;
}
