import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProxyHeaderReader } from '../../../protocols/proxy-protocol/read.ts';
import { createAuthority } from '../../peers/certificates.ts';
import { describeWith, freePort, startProgram, waitForPort } from '../../peers/processes.ts';
import { type Address, openConnection } from '../../peers/test-connection.ts';
import { echo, greet, later, type Sketch, server, startTcp } from './setup.ts';

/** Starts HAProxy; `listen` is a line such as `bind 127.0.0.1:PORT accept-proxy`, PORT being filled in. */
async function haproxy(listen: string, lines: readonly string[], files: Record<string, string> = {}) {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'gantry-haproxy-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const fill = (line: string) => line.replace('PORT', String(port)).replace('FOLDER', folder);
  const configuration = [
    'defaults',
    '  timeout client 1m',
    '  timeout connect 1s',
    '  timeout server 1m',
    'frontend f',
    `  ${fill(listen)}`,
    ...lines.map((line) => `  ${fill(line)}`),
  ];
  writeFileSync(join(folder, 'haproxy.cfg'), `${configuration.join('\n')}\n`);
  const program = startProgram('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
  later(async () => {
    await program.stop();
    rmSync(folder, { recursive: true });
  });
  await waitForPort(port, program);
  return { host: '127.0.0.1', port };
}

/** An HTTP server that says from where, and to where, the connection came. */
const TELLS = [
  'mode http',
  'http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"',
];

async function get(address: Address, from: string): Promise<{ told: string; port: number }> {
  const client = await openConnection(address, from);
  const port = client.socket.localPort!;
  await client.write(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
  const { bytes } = await client.readToEnd();
  client.end();
  return { told: bytes.toString().split('\r\n\r\n')[1]!, port };
}

function linked(version: 1 | 2, tls?: { verify: false }): Sketch['more'] {
  return { links: new Map([['main', { proxyProtocol: version, tls }]]) };
}

describe.each([1, 2] as const)('PROXY protocol v%i', (version) => {
  test('out: the header comes before the first byte, and names the client and where it came to', async () => {
    const one = await server();
    const vip = await startTcp({ pools: { main: { servers: [one.address] } }, more: linked(version) });
    const client = await vip.open('127.0.0.7');
    await client.write(Buffer.from('and then this'));
    const [connection] = await one.connections.count(1);
    const reader = createProxyHeaderReader();
    let read = reader.push((await connection!.readSome())!);
    while (!read) read = reader.push((await connection!.readSome())!);
    expect(read.header).toEqual({
      version,
      source: { host: '127.0.0.7', port: client.socket.localPort },
      destination: vip.address,
    });
    connection!.unread(read.rest);
    expect((await connection!.read(13)).toString()).toBe('and then this');
    expect([...vip.frontEnd.connections()][0]!.bytes).toEqual({ toServer: 13, toClient: 0 });
  });
});

describeWith(['haproxy'], 'PROXY protocol with HAProxy', () => {
  test.each([1, 2] as const)('v%i to HAProxy: it sees the client', async (version) => {
    const target = await haproxy('bind 127.0.0.1:PORT accept-proxy', TELLS);
    const vip = await startTcp({ pools: { main: { servers: [target] } }, more: linked(version) });
    const { told, port } = await get(vip.address, '127.0.0.8');
    expect(told).toBe(`127.0.0.8 ${port} 127.0.0.1 ${vip.address.port}`);
  });

  test('v2 before TLS to HAProxy', async () => {
    const { cert, key } = await (await createAuthority()).issue({ names: ['haproxy.test'] });
    const target = await haproxy('bind 127.0.0.1:PORT accept-proxy ssl crt FOLDER/both.pem', TELLS, {
      'both.pem': cert + key,
    });
    const vip = await startTcp({
      pools: { main: { servers: [target] } },
      more: linked(2, { verify: false }),
    });
    const { told, port } = await get(vip.address, '127.0.0.8');
    expect(told).toBe(`127.0.0.8 ${port} 127.0.0.1 ${vip.address.port}`);
  });

  test.each(['send-proxy', 'send-proxy-v2'])(
    '%s from HAProxy: the client and the port are those it names',
    async (word) => {
      const [a, b] = [await server(greet('a')), await server(greet('b'))];
      const pools = { a: { servers: [a.address] }, main: { servers: [b.address] } };
      const vip = await startTcp({
        pools,
        rules: (made) => [
          { when: { facts: [{ name: 'client', patterns: ['127.0.0.9/32'] }] }, pool: made.a },
        ],
        entrance: { proxyProtocol: { from: () => true } },
      });
      const front = await haproxy('bind 127.0.0.1:PORT', [
        'mode tcp',
        'default_backend b',
        'backend b',
        `server one 127.0.0.1:${vip.address.port} ${word}`,
      ]);
      const ask = async (from: string) => {
        const client = await openConnection(front, from);
        const { bytes } = await client.readToEnd();
        client.end();
        return bytes.toString();
      };
      expect([await ask('127.0.0.9'), await ask('127.0.0.10')]).toEqual(['a', 'b']);
      for (const host of ['127.0.0.9', '127.0.0.10'])
        expect(await vip.events.find(({ client }) => client === host)).toMatchObject({ port: front.port });
    },
  );

  test('in and out: what HAProxy said is what the server hears', async () => {
    const target = await haproxy('bind 127.0.0.1:PORT accept-proxy', TELLS);
    const vip = await startTcp({
      pools: { main: { servers: [target] } },
      more: linked(2),
      entrance: { proxyProtocol: { from: () => true } },
    });
    const front = await haproxy('bind 127.0.0.1:PORT', [
      'mode tcp',
      'default_backend b',
      'backend b',
      `server one 127.0.0.1:${vip.address.port} send-proxy`,
    ]);
    const { told, port } = await get(front, '127.0.0.8');
    expect(told).toBe(`127.0.0.8 ${port} 127.0.0.1 ${front.port}`);
  });
});

test('who should send a PROXY header and sends something else never becomes a connection', async () => {
  const one = await server(echo);
  const vip = await startTcp({
    pools: { main: { servers: [one.address] } },
    entrance: { proxyProtocol: { from: () => true } },
  });
  const client = await vip.open();
  await client.write(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
  expect((await client.readToEnd()).ending).toBe('reset');
  expect([vip.frontEnd.totals.connections, one.connections.length]).toEqual([0, 0]);
});
