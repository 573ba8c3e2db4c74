/** The pools of a profile: one for each row, in the order of the table. */
import { describeEndpoint } from '../endpoint.ts';
import { type Choices, decide } from './decide.ts';
import { type Entry, record, scalar, spaced, type Written } from './layout.ts';
import type { Backend, Health, Persistence, Profile, Service } from './profile.ts';

export function poolLines({ services }: Profile, choices: Choices, written: Written): string[] {
  const pools = services.flatMap((service) =>
    [service, ...(service.backends ?? [])].map((row: Service | Backend) => {
      const entries = [
        serversEntry(service, choices, written),
        ...(decide(service, choices).begins ? [tlsEntry(written)] : []),
        // What the VIP has holds for its pools too, unless they say otherwise.
        ...(row.persistence === service.persistence ? [] : [persistenceEntry(row, written)]),
        healthEntry(row, service, choices, written),
      ];
      return record(row.name, entries, row.ref);
    }),
  );
  return spaced(pools);
}

/** Of the row `name`. */
export function persistenceEntry(
  { name, persistence }: { readonly name: string; readonly persistence: Persistence },
  written: Written,
): Entry {
  const key = 'persistence';
  switch (persistence) {
    case 'none':
      return { key, value: persistence };
    case 'source-ip':
      return { key, value: persistence, note: written.once(SOURCE_IP) };
    case 'cookie':
      return { key, value: `{ by: cookie, name: SRV-${name} }`, note: written.once(COOKIE) };
  }
}

const SOURCE_IP =
  'A client comes back to its server until it was away for 30 minutes. { by: source-ip, ttl: 8h, netmask: 24 } is for longer, and for neighbours together.';
const COOKIE =
  'A cookie brings a browser back. Each pool has one of its own, since browsers send those of a host to all its ports. With "key: file:cookie.key" cookies are good after a restart too, and at a second balancer; "openssl rand -hex 32" makes a key.';

function serversEntry({ to }: Service, { servers }: Choices, written: Written): Entry {
  return written.shared(to ? `servers-${to.port}` : 'servers', {
    key: 'servers',
    lines: servers.map((address, index) => {
      const place = to ? describeEndpoint({ host: address, port: to.port }) : address;
      return `- { name: server-${index + 1}, address: ${scalar(place)} }`;
    }),
    note: to
      ? `The same servers, at port ${to.port}.`
      : 'For every pool that says *servers. Write others into a pool whose work is done by other machines. Without a port: the one that the client came to.',
  });
}

function tlsEntry(written: Written): Entry {
  return written.shared('tls', {
    key: 'tls',
    value: '{ verify: false }',
    note: 'Spoken to in TLS. Certificates inside a hospital are often its own, so that none is checked here: { ca: file:hospital-ca.pem, servername: NAME } checks them.',
  });
}

const SCRIPT =
  'A program of your own; exit code 0 is up. $1 is the address of the VIP, $2 its port, $3 the address of the server, $4 its port.';
const STATUS = 'a status from 200 to 399 is up. A page of the service itself sees more than "/".';
const HTTP = `A GET; ${STATUS}`;
const HTTPS = `A GET in TLS; ${STATUS} "verify: true" checks the certificate, with "ca: file:hospital-ca.pem" and "servername: NAME".`;

function healthEntry(
  row: Service | Backend,
  service: Service,
  { scripts }: Choices,
  written: Written,
): Entry {
  const { health, healthNote } = row;
  const key = 'health';
  switch (health.check) {
    case 'none':
    case 'connect':
    case 'ping':
      return { key, value: checkOf(health), note: healthNote };
    case 'script': {
      const value = checkOf(health, `script: ${scalar(`${scripts}/${row.name}`)}`);
      return { key, value, note: together(healthNote, written.once(SCRIPT)) };
    }
    case 'http':
    case 'https': {
      const { check, port = service.to?.port } = health;
      const isTls = check === 'https';
      const value = checkOf({ check, port }, `path: /${isTls ? ', verify: false' : ''}`);
      const note = written.once(isTls ? HTTPS : HTTP);
      const entry = written.shared(port === undefined ? check : `${check}-${port}`, { key, value });
      return { ...entry, note: together(healthNote, note) };
    }
  }
}

function together(...notes: readonly (string | undefined)[]): string | undefined {
  return notes.filter((note) => note !== undefined).join(' ') || undefined;
}

function checkOf(health: Health, ...rest: readonly string[]): string {
  const port = health.check !== 'none' && health.port !== undefined ? [`port: ${health.port}`] : [];
  return `{ ${[`check: ${health.check}`, ...port, ...rest].join(', ')} }`;
}
