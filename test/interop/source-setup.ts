/** What the tests of source addresses share: a balancer in a namespace, servers that say whom they see, those who ask. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { createFolder, type TestFolder, writeInstances } from '../peers/dicom-files.ts';
import type { GantryProcess } from '../peers/gantry-process.ts';
import type { NamespaceAgent } from '../peers/namespace-agent.ts';
import type { Namespace, Site } from '../peers/namespaces.ts';
import type { PeerProcess } from '../peers/processes.ts';

export const SCP = 11112;
export const HL7 = 2575;
export const ECHO = 4000;

let folder: TestFolder;
let gantry: GantryProcess | undefined;
const started: PeerProcess[] = [];

beforeAll(() => {
  folder = createFolder();
});
afterEach(async () => {
  const code = await gantry?.end();
  gantry = undefined;
  for (const one of started.splice(0)) await one.stop();
  expect(code ?? 0).toBe(0);
});
afterAll(() => folder.remove());

let files = 0;

/** A file with what `lines` say of the VIPs, over pools of the site's two servers. */
export function configure(site: Site, lines: string): string {
  const file = join(folder.path, `gantry-${++files}.yaml`);
  writeFileSync(file, configuration(site, lines));
  return file;
}

/** Starts the balancer of a site, for one test. */
export async function serve(site: Site, lines: string): Promise<{ gantry: GantryProcess; file: string }> {
  const file = configure(site, lines);
  gantry = await site.lb.startGantry(file);
  return { gantry, file };
}

export function configuration({ servers }: Site, vips: string): string {
  const pool = (name: string, port: number) =>
    `  ${name}: { balance: round-robin, servers: [${servers.map(({ address }) => `"${address}:${port}"`).join(', ')}] }`;
  return `version: 1
admin: { listen: 127.0.0.1:9090 }
pools:
${pool('scp', SCP)}
${pool('hl7', HL7)}
${pool('echo', ECHO)}
  echo6: { servers: ["[${servers[0]!.address6}]:${ECHO}"] }
vips:
${vips}
`;
}

/** storescp in a server's namespace, which logs whom it hears. */
export async function startStorescp(server: Namespace): Promise<PeerProcess> {
  const stored = join(folder.path, `stored-${++files}`);
  mkdirSync(stored);
  const scp = server.start('storescp', ['-d', '-dhl', '--fork', '-od', stored, String(SCP)]);
  started.push(scp);
  const agent = await server.startAgent();
  await agent.ask('listening', { host: server.address, ports: [SCP] });
  await agent.stop();
  return scp;
}

/** Addresses of those whose associations it got; the test's own wait for its port is one of `own`. */
export function heard({ output }: PeerProcess, own: string): string[] {
  return [...output.matchAll(/Association Received: (\S+)/g)]
    .map(([, from]) => from!)
    .filter((from) => from !== own);
}

export async function store(client: Namespace, to: string, images: number): Promise<void> {
  const instances = writeInstances(join(folder.path, `images-${++files}`), images);
  const args = ['-R', '-aec', 'ARCHIVE', to, String(SCP), ...instances.map(({ path }) => path)];
  await client.must('storescu', args);
}

interface Seen {
  readonly server: string;
  readonly remote: string;
}

/** Whom a server that echoes sees, over a connection that is then closed. */
export async function seenBy(agent: NamespaceAgent, host: string, port = ECHO): Promise<Seen> {
  const { connection } = await agent.ask('connect', { host, port });
  const seen = await seenOn(agent, connection);
  await agent.ask('close', { connection });
  return seen;
}

export async function seenOn(agent: NamespaceAgent, connection: number): Promise<Seen> {
  return JSON.parse(await agent.ask('exchange', { connection, text: 'who?\n' })) as Seen;
}

export function hostOf({ remote }: Seen): string {
  return remote.replace(/:\d+$/, '');
}

export function message(number: number): string {
  return `MSH|^~\\&|RIS|WARD|ENGINE|MAIN|20261122||ADT^A08|${number}|P|2.5.1\rPID|||TEST1||INVENTED^PATIENT\r`;
}

/** A server for HL7 messages and lines of text, in its namespace. */
export async function listen(server: Namespace, name: string): Promise<NamespaceAgent> {
  const agent = await server.startAgent();
  await agent.ask('listenEcho', { name, ports: [ECHO] });
  await agent.ask('listenMllp', { name, ports: [HL7] });
  return agent;
}
