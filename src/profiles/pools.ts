/** The pools of a profile: one for each row, in the order of the table. */
import { type Choices, decide } from './decide.ts';
import { comment, type Entry, endpoint, quoted, record, type Written } from './layout.ts';
import type { Backend, Health, Persistence, Profile, Service } from './profile.ts';

export function poolLines({ services }: Profile, choices: Choices, written: Written): string[] {
  return services.flatMap((service) => {
    const { begins } = decide(service, choices);
    const pool = (row: Service | Backend, persistence: readonly Entry[]): string[] => {
      const servers = serversEntry(service, choices, written);
      const tls = begins ? [tlsEntry(written)] : [];
      const health = healthEntry(row, service, choices, written);
      return record(row.name, [servers, ...tls, ...persistence, health], row.ref);
    };
    return [
      ...pool(service, []),
      ...(service.backends ?? []).flatMap((backend) => [
        ...comment(backend.comment, '  '),
        // What the VIP has holds for its pools too, unless they say otherwise.
        ...pool(
          backend,
          backend.persistence === service.persistence ? [] : [persistenceEntry(backend.persistence, written)],
        ),
      ]),
    ];
  });
}

export function persistenceEntry(by: Persistence, written: Written): Entry {
  const key = 'persistence';
  switch (by) {
    case 'none':
      return { key, value: by };
    case 'source-ip':
      return {
        key,
        value: by,
        note: written.once(
          'A client comes back to its server until it was away for 30 minutes. { by: source-ip, ttl: 8h, netmask: 24 } is for longer, and for neighbours together.',
        ),
      };
    case 'cookie':
      return written.shared('cookie', {
        key,
        value: '{ by: cookie, name: SRV }',
        note: 'A cookie brings a browser back; after a restart, and at a second balancer, too, with "key: file:cookie.key" (openssl rand -hex 32 makes one).',
      });
  }
}

function serversEntry({ to }: Service, { servers }: Choices, written: Written): Entry {
  return written.shared(to ? `servers-${to.port}` : 'servers', {
    key: 'servers',
    lines: servers.map((address, index) => {
      const place = to ? endpoint(address, to.port) : address;
      return `- { name: server-${index + 1}, address: ${address.includes(':') ? quoted(place) : place} }`;
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
  { name, health }: Service | Backend,
  { to }: Service,
  { scripts }: Choices,
  written: Written,
): Entry {
  const key = 'health';
  switch (health.check) {
    case 'none':
    case 'connect':
    case 'ping':
      return { key, value: checkOf(health) };
    case 'script': {
      const value = checkOf(health, `script: ${quoted(`${scripts}/${name}`)}`);
      return { key, value, note: written.once(SCRIPT) };
    }
    case 'http':
    case 'https': {
      const port = health.port ?? to?.port;
      const isTls = health.check === 'https';
      return written.shared(port === undefined ? health.check : `${health.check}-${port}`, {
        key,
        value: checkOf(
          { ...health, ...(port !== undefined && { port }) },
          `path: /${isTls ? ', verify: false' : ''}`,
        ),
        note: written.once(isTls ? HTTPS : HTTP),
      });
    }
  }
}

function checkOf(health: Health, ...rest: readonly string[]): string {
  const port = health.check !== 'none' && health.port !== undefined ? [`port: ${health.port}`] : [];
  return `{ ${[`check: ${health.check}`, ...port, ...rest].join(', ')} }`;
}
