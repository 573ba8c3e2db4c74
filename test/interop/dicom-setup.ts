/** What the DICOM tests with real peers share: a folder, and everything that has to be stopped after each test. */
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { createFolder, type TestFolder } from '../peers/dicom-files.ts';
import { type RecordingRelay, startRecordingRelay } from '../peers/recording-relay.ts';
import { startTestBalancer, type TestBalancer } from '../peers/start-balancer.ts';
import type { Address } from '../peers/test-connection.ts';

interface Stoppable {
  stop(): Promise<void>;
}

const peers: Stoppable[] = [];
let folder: TestFolder | undefined;

afterEach(async () => {
  for (const peer of peers.splice(0).reverse()) await peer.stop();
  folder?.remove();
  folder = undefined;
});

/** A path in the test's own folder. */
export function pathOf(...names: readonly string[]): string {
  folder ??= createFolder();
  return join(folder.path, ...names);
}

/** Stops it after the test, in the reverse of the order in which they were given. */
export function stopLater<Peer extends Stoppable>(peer: Peer): Peer {
  peers.push(peer);
  return peer;
}

export interface DicomServer {
  readonly name: string;
  readonly endpoint: string;
  /** The called AE title that it wants. */
  readonly ae?: string;
}

export interface VipSetting {
  /** Lines of the pool, besides its servers. */
  readonly pool?: string;
  /** Lines of the VIP, besides its pool. */
  readonly vip?: string;
}

export interface VipBalancer extends TestBalancer {
  readonly vip: Address;
}

/** A balancer with one VIP, `V`, over one pool, `P`. */
export async function startVip(
  servers: readonly DicomServer[],
  { pool = 'balance: round-robin\nhealth: { check: none }', vip = '' }: VipSetting = {},
): Promise<VipBalancer> {
  const list = servers.map(({ name, endpoint, ae }) => {
    const title = ae === undefined ? '' : `, ae: ${ae}`;
    return `      - { name: ${name}, address: "${endpoint}"${title} }`;
  });
  const indented = (lines: string) => lines.replaceAll(/^/gm, '    ');
  const balancer = stopLater(
    await startTestBalancer(`
pools:
  P:
    servers:
${list.join('\n')}
${indented(pool)}
vips:
  V:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    pool: P
${indented(vip)}
`),
  );
  return Object.assign(balancer, { vip: balancer.address('V') });
}

/** A relay that keeps every byte, in front of `to`. */
export async function record(to: Address): Promise<RecordingRelay> {
  return stopLater(await startRecordingRelay(to));
}
