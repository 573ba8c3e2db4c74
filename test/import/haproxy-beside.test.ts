/** HAProxy configurations of a DICOM, HL7 and HTTP site, imported and run: request by request what HAProxy itself does. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../peers/certificates.ts';
import { echoscu, startStorescp } from '../peers/dcmtk.ts';
import { hl7Message } from '../peers/hl7-messages.ts';
import { connectSender, startReceiver } from '../peers/mllp-peer.ts';
import { describeWith, freePort } from '../peers/processes.ts';
import { within } from '../peers/waiting.ts';
import {
  type Answered,
  type Asked,
  ask,
  type Beside,
  greeting,
  type NamedServer,
  startBeside,
  startGreeter,
  startWebServer,
} from './beside.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/import/${name}`, import.meta.url));

/** Servers by the name that the file has for their port. */
async function startServers(
  names: readonly string[],
  start: (name: string) => Promise<NamedServer>,
): Promise<{ ports: Record<string, string>; servers: Map<string, NamedServer> }> {
  const servers = new Map<string, NamedServer>();
  for (const name of names) servers.set(name, await start(name));
  return {
    servers,
    ports: Object.fromEntries([...servers].map(([name, { port }]) => [name, String(port)])),
  };
}

describeWith(['haproxy', 'openssl'], 'the web services of a hospital', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-import-web-'));
  let servers: Map<string, NamedServer>;
  let beside: Beside;

  beforeAll(async () => {
    const { cert, key } = await (await createAuthority()).issue({ names: ['*.hospital.example'] });
    writeFileSync(join(folder, 'site.pem'), cert + key);
    const names = ['PORTAL_A', 'PORTAL_B', 'CHAT_A', 'PICTURES_A', 'PICTURES_B', 'BETA_A', 'READERS_B'];
    const started = await startServers(names, startWebServer);
    servers = started.servers;
    beside = await startBeside(fixture('hospital-web.cfg'), {
      listen: ['WEB', 'WEB_TLS', 'STATS'],
      environment: {
        ...started.ports,
        DEAD: String(await freePort()),
        CERTIFICATE: join(folder, 'site.pem'),
      },
    });
  });
  afterAll(async () => {
    await beside?.stop();
    for (const server of servers?.values() ?? []) await server.stop();
    rmSync(folder, { recursive: true });
  });

  const both = async (asked: Asked): Promise<[Answered, Answered]> => {
    const name = asked.tls ? 'WEB_TLS' : 'WEB';
    return [await ask(beside.haproxy[name]!, asked), await ask(beside.gantry[name]!, asked)];
  };
  /** What must be equal: servers of one pool take turns, so that the pool counts. */
  const essence = ({ status, headers, body, seen }: Answered) => ({
    status,
    location: headers.location,
    frame: headers['x-frame-options'],
    server: headers.server,
    pool: seen?.name.replace(/_.$/, ''),
    method: seen?.method,
    url: seen?.url,
    site: seen?.headers['x-site'],
    debug: seen?.headers['x-debug'],
    host: seen?.headers.host,
    client: seen?.headers['x-forwarded-for'],
    ...(seen?.headers['x-forwarded-proto'] === 'https' ? { proto: 'https' } : {}),
    body: status === 200 && seen === undefined && body.startsWith('User-agent') ? body : undefined,
  });

  const portal = 'portal.hospital.example';
  const viewer = 'viewer.hospital.example';
  it.each<[string, Asked, Record<string, unknown>]>([
    [
      'the portal over TLS',
      { path: '/x?y=1', host: portal, tls: true },
      { pool: 'PORTAL', proto: 'https', url: '/x?y=1' },
    ],
    [
      'the portal in clear goes to TLS',
      { path: '/a/b?c=d', host: portal },
      { status: 301, location: `https://${portal}/a/b?c=d` },
    ],
    ['another host has no such rule', { path: '/a', host: 'www.hospital.example' }, { pool: 'PORTAL' }],
    [
      'the old host',
      { path: '/x', host: 'OLD.hospital.example' },
      { status: 301, location: `https://${portal}/` },
    ],
    [
      'what moved',
      { path: '/moved/x?y', host: 'www.hospital.example' },
      { status: 307, location: 'https://new.hospital.example/moved/x?y' },
    ],
    [
      'the chat, with its prefix taken off',
      { path: '/chat/room/1?x', host: viewer },
      { pool: 'CHAT', url: '/room/1?x' },
    ],
    [
      'the chat of another host',
      { path: '/chat/room/1', host: 'www.hospital.example' },
      { pool: 'PORTAL', url: '/chat/room/1' },
    ],
    [
      'a picture by its ending',
      { path: '/a/b.jpg', host: viewer },
      { pool: 'PICTURES', url: '/static/a/b.jpg' },
    ],
    [
      'a picture by its number',
      { path: '/images/42', host: viewer },
      { pool: 'PICTURES', url: '/static/images/42' },
    ],
    ['no picture', { path: '/images/42x', host: viewer }, { pool: 'PORTAL', url: '/images/42x' }],
    [
      'the beta by header and cookie',
      { path: '/', host: viewer, headers: { 'X-Beta': 'YES', Cookie: 'a=1; group=b' } },
      { pool: 'BETA' },
    ],
    ['the header alone', { path: '/', host: viewer, headers: { 'X-Beta': 'yes' } }, { pool: 'PORTAL' }],
    ['the beta by query', { path: '/?a=2&beta=1', host: viewer }, { pool: 'BETA' }],
    ['another value', { path: '/?beta=2', host: viewer }, { pool: 'PORTAL' }],
    [
      'a folder anywhere, from a server that is dead to the next',
      { path: '/a/archive/b', host: viewer },
      { pool: 'READERS' },
    ],
    ['no folder', { path: '/a/archives/b', host: viewer }, { pool: 'PORTAL' }],
    [
      'another method',
      { path: '/a/archive/b', host: viewer, method: 'POST' },
      { pool: 'PORTAL', method: 'POST' },
    ],
    ['a folder of the portal', { path: '/archive', host: portal, tls: true }, { pool: 'PORTAL' }],
    ['administration is denied', { path: '/admin/x', host: viewer }, { status: 403 }],
    [
      'but not to technicians',
      { path: '/admin/x', host: viewer, from: '127.0.0.2' },
      { pool: 'PORTAL', client: '127.0.0.2' },
    ],
    ['nor from the other address', { path: '/admin', host: viewer, from: '127.0.0.3' }, { pool: 'PORTAL' }],
    ['a method that is denied', { path: '/', host: viewer, method: 'DELETE' }, { status: 405 }],
    [
      'an answer of the balancer',
      { path: '/robots.txt', host: viewer },
      { status: 200, body: 'User-agent: *' },
    ],
    ['the monitor', { path: '/alive', host: viewer }, { status: 200, pool: undefined }],
    [
      'headers set and removed',
      { path: '/', host: viewer, headers: { 'X-Debug': '1', 'X-Site': 'forged' } },
      { site: 'north', debug: undefined },
    ],
    ['headers of answers', { path: '/', host: viewer }, { frame: 'SAMEORIGIN', server: undefined }],
  ])('%s', async (_, asked, wanted) => {
    const [theirs, ours] = await both(asked);
    expect(essence(theirs)).toMatchObject(wanted);
    expect(essence(ours)).toEqual(essence(theirs));
  });

  it('a cookie brings a browser back, on both', async () => {
    for (const port of [beside.haproxy.WEB_TLS!, beside.gantry.WEB_TLS!]) {
      const asked = { path: '/', host: portal, tls: true };
      const first = await ask(port, asked);
      const cookie = first.headers['set-cookie']![0]!.split(';')[0]!;
      expect(cookie).toMatch(/^PORTAL=/);
      for (let count = 0; count < 6; count++) {
        const again = await ask(port, { ...asked, headers: { Cookie: cookie } });
        expect(again.seen?.name).toBe(first.seen?.name);
        expect(again.seen?.headers.cookie).toBeUndefined();
      }
    }
  });

  it('servers take turns, and one that is gone is left out, on both', async () => {
    const host = 'www.hospital.example';
    const names = async (port: number) => {
      const answers = [];
      for (let count = 0; count < 8; count++) answers.push((await ask(port, { path: '/', host })).seen?.name);
      return new Set(answers);
    };
    const ports = [beside.haproxy.WEB!, beside.gantry.WEB!];
    for (const port of ports) expect(await names(port)).toEqual(new Set(['PORTAL_A', 'PORTAL_B']));
    await servers.get('PORTAL_A')!.stop();
    for (const port of ports) {
      // A check finds out: until then a request may wait for the next server.
      await within(
        until(async () => (await names(port)).size === 1),
        'the check',
      );
      expect(await names(port)).toEqual(new Set(['PORTAL_B']));
    }
  });

  it('what HAProxy shows of itself has no meaning here', () => {
    expect(beside.told).not.toContain('lost:');
    expect(beside.yaml).not.toContain('stats');
  });
});

describeWith(['haproxy', 'openssl'], 'the services of a hospital that are no web pages', () => {
  let servers: Map<string, NamedServer>;
  let beside: Beside;
  const tlsServers: { stop: () => void }[] = [];

  beforeAll(async () => {
    const greeters = ['PACS_A', 'PACS_B', 'CT_A', 'ENGINE_A', 'ENGINE_B', 'ENGINE_C'];
    const started = await startServers(greeters, (name) => startGreeter(name));
    servers = started.servers;
    servers.set('BEHIND', await startGreeter('BEHIND', (bytes) => [...bytes.subarray(16, 20)].join('.')));
    const authority = await createAuthority();
    const tls: Record<string, string> = {};
    for (const name of ['VIEWER', 'LAB', 'PORTAL']) {
      const certificate = await authority.issue({ names: [`${name.toLowerCase()}.test`] });
      const server = createTlsServer(certificate, (socket) => socket.on('error', () => {}).end());
      const port = await freePort();
      await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
      tlsServers.push({ stop: () => server.close() });
      tls[name] = String(port);
    }
    beside = await startBeside(fixture('hospital-tcp.cfg'), {
      listen: ['DICOM', 'HL7', 'HL7_SECOND', 'TLS', 'PROXIED'],
      environment: { ...started.ports, ...tls, BEHIND: String(servers.get('BEHIND')!.port) },
    });
  });
  afterAll(async () => {
    await beside?.stop();
    for (const server of servers?.values() ?? []) await server.stop();
    for (const server of tlsServers) server.stop();
  });
  const each = (name: string) => [beside.haproxy[name]!, beside.gantry[name]!] as const;

  it('clients have their pools by address, and one is kept out', async () => {
    for (const port of each('DICOM')) {
      expect(await greeting(port, '127.0.0.21')).toBe('CT_A');
      expect(await greeting(port, '127.0.0.22')).toBe('CT_A');
      expect(await greeting(port, '127.0.0.23')).toMatch(/^PACS_/);
      expect(await greeting(port, '127.0.0.66')).toBe('');
    }
  });

  it('a client comes back to its server, as long as that is there', async () => {
    for (const port of each('DICOM')) {
      const first = await greeting(port, '127.0.0.31');
      for (let count = 0; count < 5; count++) expect(await greeting(port, '127.0.0.31')).toBe(first);
    }
  });

  it('several ports are one service, and a spare helps out when its server is gone', async () => {
    const ports = [...each('HL7'), ...each('HL7_SECOND')];
    for (const port of ports) expect(await greeting(port)).toBe('ENGINE_A');
    await servers.get('ENGINE_A')!.stop();
    for (const port of ports) {
      await within(
        until(async () => (await greeting(port)) !== ''),
        'the check',
      );
      expect(await greeting(port)).toBe('ENGINE_B');
    }
  });

  it.each([
    ['viewer.hospital.example', 'viewer.test'],
    ['VIEWER.hospital.example', 'viewer.test'],
    ['blood.lab.example', 'lab.test'],
    ['lab.example', 'portal.test'],
    ['elsewhere.example', 'portal.test'],
  ])('TLS is passed through by its name: %s', async (servername, certificate) => {
    for (const port of each('TLS')) expect(await subjectAt(port, servername)).toBe(certificate);
  });

  it('the server learns who the client is', async () => {
    for (const port of each('PROXIED'))
      expect(await greeting(port, '127.0.0.44', 'x')).toBe('BEHIND 127.0.0.44');
  });
});

/** The name in the certificate that a server shows to who asks for `servername`. */
async function subjectAt(port: number, servername: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = tlsConnect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
    resolve(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.on('error', reject);
  return within(promise, `a certificate on ${port}`);
}

/** Asks again until it is so. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo().catch(() => false)));
}

describe('with --protocol-aware', () => {
  const names = [
    'PACS_A',
    'PACS_B',
    'CT_A',
    'ENGINE_A',
    'ENGINE_B',
    'ENGINE_C',
    'VIEWER',
    'LAB',
    'PORTAL',
    'BEHIND',
  ];
  /** All servers are the one on `port`. */
  const start = (port: number) =>
    startBeside(fixture('hospital-tcp.cfg'), {
      listen: ['DICOM', 'HL7', 'HL7_SECOND', 'TLS', 'PROXIED'],
      environment: Object.fromEntries(names.map((name) => [name, String(port)])),
      importOptions: ['--protocol-aware'],
    });

  describeWith(['haproxy', 'dcmtk'], 'DICOM', () => {
    it('associations go through both; Gantry knows what they say', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'gantry-import-dicom-'));
      const server = await startStorescp(join(folder, 'store'));
      const beside = await start(server.address.port);
      try {
        for (const port of [beside.haproxy.DICOM!, beside.gantry.DICOM!])
          expect(await echoscu({ host: '127.0.0.1', port })).toMatchObject({ code: 0 });
        expect(beside.yaml).toMatch(/dicom:\n {4}protocol: dicom\n/);
        expect(beside.yaml).toContain('reject: no-reason-given');
      } finally {
        await beside.stop();
        await server.stop();
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });

  describeWith(['haproxy'], 'HL7', () => {
    it('messages go through both; Gantry knows what they say', async () => {
      const receiver = await startReceiver();
      const beside = await start(receiver.address.port);
      try {
        for (const port of [beside.haproxy.HL7!, beside.gantry.HL7!, beside.gantry.HL7_SECOND!]) {
          const sender = await connectSender({ host: '127.0.0.1', port });
          await sender.write(hl7Message({ controlId: `M${port}` }));
          expect(String(await sender.read())).toContain(`MSA|AA|M${port}`);
          sender.connection.reset();
        }
        expect(beside.yaml).toMatch(/hl7:\n {4}protocol: hl7\n/);
      } finally {
        await beside.stop();
        await receiver.stop();
      }
    });
  });
});
