/** The PROXY protocol with HAProxy on the other side: what it sends we read, what we send it reads. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { writeProxyHeader } from '../../protocols/proxy-protocol/write.ts';
import { dial } from '../../src/relay/dial.ts';
import { createAuthority } from '../peers/certificates.ts';
import { describeWith, freePort, type PeerProcess, startProgram, waitForPort } from '../peers/processes.ts';
import { openConnection } from '../peers/test-connection.ts';
import { within } from '../peers/waiting.ts';
import { Witness } from './sockets.ts';
import { entrance, entranceServer, identityFor } from './tls.ts';

/** How HAProxy's servers are told; the last sends what TLS said as well, and a checksum. */
const SENDERS = {
  v1: 'send-proxy',
  v2: 'send-proxy-v2',
  'v2 with TLVs and a checksum':
    'send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c,unique-id',
} as const;
type Sender = keyof typeof SENDERS;

describeWith(['haproxy', 'openssl'], 'HAProxy', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-haproxy-'));
  const ports = new Map<string, number>();
  let haproxy: PeerProcess;
  /** Where HAProxy's servers are: the test that runs puts its own listener there. */
  let behind: number;
  let ca: string;

  beforeAll(async () => {
    const authority = await createAuthority();
    ({ ca } = authority);
    const { cert, key } = await authority.issue({ names: ['front.test'] });
    writeFileSync(join(folder, 'front.pem'), cert + key);
    behind = await freePort();
    for (const name of [...Object.keys(SENDERS), 'ssl', 'health', 'reader'])
      ports.set(name, await freePort());
    const frontend = (name: string, server: string, bind = '') => {
      const id = `p${ports.get(name)}`;
      return `
frontend ${id}
  bind 127.0.0.1:${ports.get(name)} ${bind}
  unique-id-format %{+X}o\\ %ci-%cp
  default_backend ${id}
backend ${id}
  server one 127.0.0.1:${behind} ${server}`;
    };
    writeFileSync(
      join(folder, 'haproxy.cfg'),
      `defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
${Object.entries(SENDERS)
  .map(([name, server]) => frontend(name, server))
  .join('')}
${frontend('ssl', SENDERS['v2 with TLVs and a checksum'], `ssl crt ${folder}/front.pem`)}
${frontend('health', 'send-proxy-v2 check inter 100ms')}
frontend reader
  mode http
  bind 127.0.0.1:${ports.get('reader')} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port]"
`,
    );
    haproxy = startProgram('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
    await waitForPort(ports.get('reader')!, haproxy);
  });
  afterAll(async () => {
    await haproxy?.stop();
    rmSync(folder, { recursive: true });
  });

  const server = (way: Parameters<typeof entranceServer>[0]) =>
    entranceServer(way, { endpoint: { host: '127.0.0.1', port: behind } });
  const proxyProtocol = { from: () => true };

  it.each(Object.keys(SENDERS) as Sender[])(
    'sends %s: the client is the one that came to it',
    async (sender) => {
      const ours = await server(entrance({ proxyProtocol }));
      const client = await openConnection({ host: '127.0.0.1', port: ports.get(sender)! }, '127.0.0.5');
      await client.write(Buffer.from('hello'));
      const { channel, witness } = await ours.accepted.find(
        ({ channel: one }) => one.remote.host === '127.0.0.5',
      );
      expect(await witness.received(5)).toBe('hello');
      expect(channel.remote).toEqual({ host: '127.0.0.5', port: client.socket.localPort });
      expect(channel.local).toEqual({ host: '127.0.0.1', port: ports.get(sender) });
      channel.write(Buffer.from('answer'));
      expect(String(await client.read(6))).toBe('answer');
      client.reset();
    },
  );

  it('ends TLS and sends what it knows of it; we speak TLS behind the header', async () => {
    const ours = await server(entrance({ proxyProtocol }));
    const { socket } = await openConnection({ host: '127.0.0.1', port: ports.get('ssl')! }, '127.0.0.6');
    const client = connect({ socket, ca, servername: 'front.test' });
    onTestFinished(() => void client.destroy());
    client.on('error', () => {}).write('hello');
    const { witness } = await ours.accepted.find(({ channel }) => channel.remote.host === '127.0.0.6');
    expect(await witness.received(5)).toBe('hello');
  });

  it('passes TLS through: the header first, then the handshake with us', async () => {
    const tls = await identityFor([{ names: ['a.test'] }]);
    const ours = await server(entrance({ proxyProtocol, tls }));
    const { socket } = await openConnection({ host: '127.0.0.1', port: ports.get('v2')! }, '127.0.0.7');
    const client = connect({ socket, ca, servername: 'a.test' });
    onTestFinished(() => void client.destroy());
    client.on('error', () => {}).write('hello');
    const { channel, witness } = await ours.accepted.find(
      ({ channel: one }) => one.remote.host === '127.0.0.7',
    );
    expect(await witness.received(5)).toBe('hello');
    expect(channel.tls?.sni).toBe('a.test');
  });

  it('checks our health with headers of its own (LOCAL): it stays who it is', async () => {
    const ours = await server(entrance({ proxyProtocol }));
    const { channel } = await ours.accepted.find(({ channel: one }) => one.remote.host === '127.0.0.1');
    expect(channel.local.port).toBe(behind);
  });

  it.each([
    [1, '192.0.2.1', '198.51.100.7', '192.0.2.1:51236 198.51.100.7:443'],
    [2, '192.0.2.1', '198.51.100.7', '192.0.2.1:51236 198.51.100.7:443'],
    [1, '2001:db8::1', '2001:db8::7', '2001:db8::1:51236 2001:db8::7:443'],
    [2, '2001:db8::1', '2001:db8::7', '2001:db8::1:51236 2001:db8::7:443'],
    [1, '192.0.2.1', '2001:db8::7', '::ffff:192.0.2.1:51236 2001:db8::7:443'],
    [2, '192.0.2.1', '2001:db8::7', '::ffff:192.0.2.1:51236 2001:db8::7:443'],
  ] as const)('reads our version %s with %s → %s', async (version, from, to, read) => {
    const proxyHeader = writeProxyHeader(version, {
      source: { host: from, port: 51_236 },
      destination: { host: to, port: 443 },
    });
    const witness = new Witness();
    const channel = dial({ host: '127.0.0.1', port: ports.get('reader')! }, witness, { proxyHeader });
    onTestFinished(() => channel.reset());
    channel.write(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'));
    await within(witness.whenEnded, 'the answer of HAProxy');
    expect(witness.text.split('\r\n\r\n')[1]).toBe(read);
  });

  it.each([1, 2] as const)('takes our version %s for ourselves as us', async (version) => {
    const witness = new Witness();
    const port = ports.get('reader')!;
    const channel = dial({ host: '127.0.0.1', port }, witness, { proxyHeader: writeProxyHeader(version) });
    onTestFinished(() => channel.reset());
    channel.write(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'));
    await within(witness.whenEnded, 'the answer of HAProxy');
    expect(witness.text.split('\r\n\r\n')[1]).toBe(`127.0.0.1:${channel.local.port} 127.0.0.1:${port}`);
  });
});
