import type { Health, Persistence, Profile, Service, Speech } from './profile.ts';

/** The web page of a core server tells for its DICOM and client ports too. */
const PAGE: Health = { check: 'http', port: 80 };
const CONNECT: Health = { check: 'connect' };

export const agfaEnterpriseImaging: Profile = {
  name: 'agfa-enterprise-imaging',
  title: 'AGFA HealthCare Enterprise Imaging',
  services: [
    core('VIP 1', 'Client-80', 'http', { health: { check: 'http' }, persistence: 'cookie' }),
    core('VIP 2', 'DICOM-104', 'dicom', {
      health: PAGE,
      comment: 'Ports below 1024 need CAP_NET_BIND_SERVICE: docs/operations.md.',
      healthNote:
        'A web page of the core server tells, as the guide has it; "check: dicom-echo" would ask DICOM itself.',
    }),
    core('VIP 3', 'DICOM-110', 'dicom', { health: PAGE }),
    {
      ref: 'VIP 4',
      name: 'CoreServer-443',
      speaks: 'http',
      ports: [81],
      to: { port: 443, tls: true },
      persistence: 'cookie',
      health: { check: 'https' },
      comment:
        'TLS ends in front of this VIP, at whatever has port 443 for clients: it sends them on to port 81. The name says that the servers have 443: they are spoken to in TLS there. "trustedProxies: [ADDRESS]" lets its X-Forwarded-For and -Proto reach the servers.',
    },
    core('VIP 5', 'HL7-2310', 'hl7', { health: CONNECT }),
    core('VIP 6', 'HL7-2311', 'hl7', { health: CONNECT }),
    core('VIP 7', 'DICOM-2762', 'dicom-tls', { health: PAGE }),
    core('VIP 8', 'Client-4447', 'tcp', { health: PAGE, longLived: true }),
    core('VIP 9', 'Client-5222', 'tcp', { health: CONNECT, longLived: true, comment: 'XMPP.' }),
    core('VIP 10', 'Client-5223', 'tcp', { health: CONNECT, longLived: true, comment: 'XMPP in TLS.' }),
    core('VIP 11', 'Client-7443', 'tcp', { health: CONNECT, longLived: true }),
    core('VIP 12', 'ARR-6514', 'tcp', {
      health: CONNECT,
      longLived: true,
      comment: 'The audit record repository: syslog over TLS.',
    }),
    core('VIP 13', 'Client-8080', 'http', { health: { check: 'http' }, persistence: 'cookie' }),
    core('VIP 14', 'Client-8443', 'https', { health: { check: 'https' }, persistence: 'source-ip' }),
    core('VIP 15', 'Client-9080', 'http', {
      health: CONNECT,
      persistence: 'source-ip',
      healthNote: 'The guide leaves its check open; this one asks only whether the port is.',
    }),
    core('VIP 16', 'Client-9081', 'http', { health: { check: 'http' }, persistence: 'source-ip' }),
    core('VIP 17', 'Client-10080', 'http', { health: { check: 'http' }, persistence: 'source-ip' }),
    core('VIP 18', 'Client-10123', 'tcp', { health: CONNECT, persistence: 'source-ip' }),
    core('VIP 19', 'Client-10124', 'tcp', { health: CONNECT, persistence: 'source-ip' }),
    {
      ref: 'VIP 20',
      name: 'WebServer-withXero',
      speaks: 'tcp',
      ports: [443],
      persistence: 'none',
      health: { check: 'https' },
      comment:
        'TLS passes through to the web servers. Give VIP 20 and 21 these in the place of *servers where they are other machines than the core servers.',
    },
    {
      ref: 'VIP 21',
      name: 'WebServer-withoutXero',
      speaks: 'http',
      ports: [80],
      persistence: 'cookie',
      health: { check: 'https', port: 443 },
      comment: 'An address of its own: VIP 1 has port 80 too.',
    },
  ],
};

interface Rest {
  readonly health: Health;
  readonly persistence?: Persistence;
  readonly longLived?: true;
  readonly comment?: string;
  readonly healthNote?: string;
}

/** The names of the core servers' services end in their port. */
function core(ref: string, name: string, speaks: Speech, rest: Rest): Service {
  const port = Number(name.split('-')[1]);
  return { ref, name: `CoreServer${name}`, speaks, ports: [port], persistence: 'none', ...rest };
}
