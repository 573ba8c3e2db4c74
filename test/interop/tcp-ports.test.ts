/** Must show, TCP: a client keeps its server over all ports of a VIP. HAProxy is what listens behind it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith, freePort, type PeerProcess, startProgram } from '../peers/processes.ts';
import { startTestBalancer } from '../peers/start-balancer.ts';
import { openConnection } from '../peers/test-connection.ts';

const SERVERS = { one: '127.0.0.2', two: '127.0.0.3', three: '127.0.0.4' };
const CLIENTS = 60;
const PORTS = 6;

/** Resolves when somebody listens there. */
async function listening(host: string, port: number): Promise<void> {
  const connects = async () => {
    const connection = await openConnection({ host, port });
    connection.reset();
    return true;
  };
  await expect.poll(() => connects().catch(() => false), { timeout: 20_000 }).toBe(true);
}

describeWith(['haproxy'], 'many ports under one VIP', () => {
  test('multi-port TCP stickiness 100 %', async () => {
    const ports = await Promise.all(Array.from({ length: PORTS }, () => freePort()));
    const folder = mkdtempSync(join(tmpdir(), 'gantry-ports-'));
    const servers: PeerProcess[] = [];
    for (const [name, host] of Object.entries(SERVERS)) {
      const file = join(folder, `${name}.cfg`);
      const binds = ports.map((port) => `  bind ${host}:${port}`).join('\n');
      const answer = `  http-request return status 200 content-type text/plain string ${name}`;
      writeFileSync(
        file,
        `defaults\n  mode http\n  timeout client 1m\n  timeout connect 1s\n  timeout server 1m\nfrontend f\n${binds}\n${answer}\n`,
      );
      servers.push(startProgram('haproxy', ['-db', '-f', file]));
    }
    // Before anybody checks them: the first result alone decides.
    for (const host of Object.values(SERVERS)) for (const port of ports) await listening(host, port);
    // The port the client came to is the server's port.
    const balancer = await startTestBalancer(`
pools:
  client:
    servers: [{ name: one, address: ${SERVERS.one} }, { name: two, address: ${SERVERS.two} }, { name: three, address: ${SERVERS.three} }]
vips:
  CLIENT:
    protocol: tcp
    listen: [${ports.map((port) => `"127.0.0.1:${port}"`).join(', ')}]
    pool: client
    persistence: { by: source-ip, ttl: 1h }
`);
    try {
      const ask = async (client: number, port: number) => {
        const connection = await openConnection({ host: '127.0.0.1', port }, `127.0.1.${client + 1}`);
        await connection.write(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
        const answer = await connection.readToEnd();
        return /\b(one|two|three)$/.exec(answer.bytes.toString().trim())?.[1];
      };
      const places = await Promise.all(
        Array.from({ length: CLIENTS }, (_, client) => Promise.all(ports.map((port) => ask(client, port)))),
      );
      expect(places.filter((ofClient) => new Set(ofClient).size !== 1)).toEqual([]);
      // All three have clients: it is no accident.
      expect(new Set(places.map(([first]) => first))).toEqual(new Set(Object.keys(SERVERS)));
    } finally {
      await balancer.stop();
      await Promise.all(servers.map((server) => server.stop()));
      rmSync(folder, { recursive: true });
    }
  });
});
