/** Reload: only what changed is touched, and a configuration that cannot be had changes nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';
import { statusOf } from './peers/admin-api.ts';
import { createFolder } from './peers/dicom-files.ts';
import { accepting, startScp } from './peers/dicom-scp.ts';
import { associate, echoOnce } from './peers/dicom-scu.ts';
import { freePort } from './peers/processes.ts';
import { startTestBalancer, type TestBalancer } from './peers/start-balancer.ts';
import { openConnection } from './peers/test-connection.ts';

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of undo.splice(0).reverse()) await stop();
});

async function start(yaml: string): Promise<TestBalancer> {
  const balancer = await startTestBalancer(yaml);
  undo.push(() => balancer.stop());
  return balancer;
}

/** A TCP server that greets with its name. */
async function greeter(name: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(name);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(async () => void server.close());
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

const greeting = async (to: { host: string; port: number }) =>
  (await (await openConnection(to)).readToEnd()).bytes.toString();

const tcp = (name: string, port: number, pool: string) =>
  `  ${name}: { protocol: tcp, listen: "127.0.0.1:${port}", pool: ${pool} }\n`;

test('nothing is different: nothing is touched', async () => {
  const one = await greeter('one');
  const yaml = `pools: { p: { servers: ["${one}"] } }\nvips:\n${tcp('A', 0, 'p')}`;
  const balancer = await start(yaml);
  const before = balancer.address('A');
  expect(await balancer.apply(yaml)).toEqual([]);
  expect(balancer.address('A')).toEqual(before);
  expect(await greeting(before)).toBe('one');
});

test('VIPs and pools come, change and go', async () => {
  const [one, two] = [await greeter('one'), await greeter('two')];
  const [a, b] = [await freePort(), await freePort()];
  const pools = (p: string) => `pools: { p: { servers: ["${p}"] }, q: { servers: ["${two}"] } }\nvips:\n`;
  const balancer = await start(`${pools(one)}${tcp('A', a, 'p')}${tcp('Q', 0, 'q')}`);
  expect(await balancer.apply(`${pools(two)}${tcp('A', a, 'p')}${tcp('B', b, 'q')}`)).toEqual([
    { kind: 'vip', name: 'B', what: 'added' },
    { kind: 'vip', name: 'Q', what: 'removed' },
    { kind: 'pool', name: 'p', what: 'changed' },
  ]);
  expect(await greeting({ host: '127.0.0.1', port: a })).toBe('two');
  expect(await greeting({ host: '127.0.0.1', port: b })).toBe('two');
  expect(await balancer.apply(`${pools(one)}${tcp('B', b, 'p')}`)).toEqual([
    { kind: 'vip', name: 'B', what: 'changed' },
    { kind: 'vip', name: 'A', what: 'removed' },
    { kind: 'pool', name: 'p', what: 'changed' },
  ]);
  expect(await greeting({ host: '127.0.0.1', port: b })).toBe('one');
  await expect(openConnection({ host: '127.0.0.1', port: a })).rejects.toThrow('ECONNREFUSED');
});

test('a table that comes with a reload is kept on the disk at once, as those before it', async () => {
  const folder = createFolder();
  undo.push(async () => folder.remove());
  const one = await greeter('one');
  const vip = (name: string) =>
    `  ${name}: { protocol: tcp, listen: "127.0.0.1:0", pool: p, persistence: { by: source-ip } }\n`;
  const front = `table: { memory: { file: ${join(folder.path, 'table')} } }\npools: { p: { servers: ["${one}"] } }\nvips:\n`;
  const balancer = await start(front + vip('A'));
  await balancer.apply(front + vip('A') + vip('B'));
  for (const name of ['A', 'B']) expect(await greeting(balancer.address(name))).toBe('one');
  const journal = join(folder.path, 'table.journal');
  const noted = () => readFileSync(journal, 'utf8').match(/(?<=^\[")vip .(?=",)/gm);
  await vi.waitFor(() => expect(noted()).toEqual(['vip A', 'vip B']), { timeout: 30_000 });
  await balancer.stop();
  expect(readdirSync(folder.path)).toEqual(['table']);
});

test('an address goes from one VIP to another with its socket', async () => {
  const [one, two] = [await greeter('one'), await greeter('two')];
  const port = await freePort();
  const pools = `pools: { p: { servers: ["${one}"] }, q: { servers: ["${two}"] } }\nvips:\n`;
  const balancer = await start(`${pools}${tcp('A', port, 'p')}`);
  await balancer.apply(`${pools}${tcp('B', port, 'q')}`);
  expect(await greeting({ host: '127.0.0.1', port })).toBe('two');
  await balancer.apply(`${pools}${tcp('B', 0, 'q')}${tcp('A', port, 'p')}`);
  expect(await greeting({ host: '127.0.0.1', port })).toBe('one');
  expect(await greeting(balancer.address('B'))).toBe('two');
});

test('a port that is taken: all listeners are as before, and nothing else has changed', async () => {
  const [one, two] = [await greeter('one'), await greeter('two')];
  const free = await freePort();
  const taken = Number(one.split(':')[1]);
  const pools = (p: string) => `pools: { p: { servers: ["${p}"] } }\nvips:\n`;
  const balancer = await start(`${pools(one)}${tcp('A', 0, 'p')}`);
  const before = balancer.address('A');
  const next = `${pools(two)}${tcp('A', 0, 'p')}${tcp('B', free, 'p')}${tcp('C', taken, 'p')}`;
  await expect(balancer.apply(next)).rejects.toThrow(`cannot listen on 127.0.0.1:${taken}`);
  expect(await greeting(before)).toBe('one');
  await expect(openConnection({ host: '127.0.0.1', port: free })).rejects.toThrow('ECONNREFUSED');
});

test('an open association goes on as it began, through any number of reloads, and after its VIP is gone', async () => {
  const [scp, other] = [await startScp(accepting()), await startScp(accepting())];
  undo.push(
    () => scp.stop(),
    () => other.stop(),
  );
  const yaml = (endpoint: string, vip: string) => `admin: { listen: "127.0.0.1:0" }
pools: { archive: { servers: [{ name: a, address: "${endpoint}" }], health: { check: none } } }
vips: { ${vip}: { protocol: dicom, listen: "127.0.0.1:0", pool: archive } }
`;
  const balancer = await start(yaml(scp.endpoint, 'ARCHIVE'));
  const address = balancer.address('ARCHIVE');
  const association = await associate(address);
  await balancer.apply(yaml(other.endpoint, 'ARCHIVE'));
  expect(await association.echo()).toBe(0);
  expect(await echoOnce(address)).toBe('0000');
  expect([scp.associations.length, other.associations.length]).toEqual([1, 1]);
  await balancer.apply(yaml(other.endpoint, 'OTHER'));
  await expect(openConnection(address)).rejects.toThrow('ECONNREFUSED');
  expect(await association.echo()).toBe(0);
  await association.release();
  const twice = { 'C-ECHO': { '0000': 2 } };
  const ended = await balancer.associations.find(({ operations }) => isDeepStrictEqual(operations, twice));
  expect(ended.end).toBe('release');
});

test('an operator’s drain outlives a reload of other things', async () => {
  const [one, two] = [await greeter('one'), await greeter('two')];
  const yaml = (weight: number) => `admin: { listen: "127.0.0.1:0" }
pools: { p: { servers: [{ name: a, address: "${one}", weight: ${weight} }, { name: b, address: "${two}" }] } }
vips:
${tcp('A', 0, 'p')}`;
  const balancer = await start(yaml(1));
  const { host, port } = balancer.admin;
  const drained = await fetch(`http://${host}:${port}/api/v1/pools/p/servers/b/drain`, { method: 'POST' });
  expect(await drained.json()).toMatchObject({ name: 'b', state: 'drained' });
  await balancer.apply(yaml(5));
  const [pool] = (await statusOf(balancer)).pools;
  expect(pool!.servers).toMatchObject([
    { name: 'a', weight: 5 },
    { name: 'b', state: 'drained' },
  ]);
  for (let count = 0; count < 5; count++) expect(await greeting(balancer.address('A'))).toBe('one');
});

test('a pool that is gone takes nothing new, and what it has in hand finishes', async () => {
  const [scp, two] = [await startScp(accepting()), await greeter('two')];
  undo.push(() => scp.stop());
  const balancer =
    await start(`pools: { archive: { servers: [{ name: a, address: "${scp.endpoint}" }], health: { check: none } } }
vips: { ARCHIVE: { protocol: dicom, listen: "127.0.0.1:0", pool: archive } }
`);
  const association = await associate(balancer.address('ARCHIVE'));
  await balancer.apply(`pools: { p: { servers: ["${two}"] } }\nvips:\n${tcp('A', 0, 'p')}`);
  await balancer.servers.find(({ server, state }) => server === 'a' && state === 'draining');
  expect(await association.echo()).toBe(0);
  await association.release();
  await balancer.servers.find(({ server, state }) => server === 'a' && state === 'drained');
});

test('the admin API moves to another address, and takes another token', async () => {
  const one = await greeter('one');
  const [first, second] = [await freePort(), await freePort()];
  const yaml = (port: number, token: string) =>
    `admin: { listen: "127.0.0.1:${port}", token: ${token} }\npools: { p: { servers: ["${one}"] } }\nvips:\n${tcp('A', 0, 'p')}`;
  const balancer = await start(yaml(first, 'sesame'));
  const drain = async (port: number, token: string) =>
    (
      await fetch(`http://127.0.0.1:${port}/api/v1/pools/p/servers/${encodeURIComponent(one)}/drain`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      })
    ).status;
  await balancer.apply(yaml(first, 'other'));
  expect(await drain(first, 'sesame')).toBe(401);
  expect(await drain(first, 'other')).toBe(200);
  await balancer.apply(yaml(second, 'other'));
  expect(await drain(second, 'other')).toBe(200);
  await expect.poll(() => drain(first, 'other').catch(() => 'gone'), { timeout: 30_000 }).toBe('gone');
});
