/** The balancer of the run over studies, and what it says of itself. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { StatusDocument } from '../../src/admin/documents.ts';
import { startGantry } from '../peers/gantry-process.ts';
import { freePort } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';
import type { StudyServer } from './study-killer.ts';
import { CALLED } from './study-senders.ts';

export type Route = 'shared' | 'separate' | 'association';

/** What its log says. */
export interface Account {
  /** Associations that did not end by release. */
  readonly cut: number;
  /** Operations that were sent to another server after the first. */
  readonly replays: number;
  readonly errors: readonly string[];
  readonly exitCode: number | null;
}

export interface StudyBalancer {
  readonly address: Address;
  /** Names of the servers that it would use. */
  usable(): Promise<ReadonlySet<string>>;
  /** What it has open and counted, once nobody sends any more; 0 unless it stays. */
  left(): Promise<number>;
  /** Ends it. */
  end(): Promise<Account>;
  kill(): Promise<void>;
}

/** Milliseconds that associations with servers may need to end. */
const LEFT_MS = 15_000;

export async function startBalancer(
  folder: string,
  servers: readonly StudyServer[],
  route: Route,
): Promise<StudyBalancer> {
  const [port, admin] = [await freePort(), await freePort()];
  const file = join(folder, 'gantry.yaml');
  const list = servers.map(({ name, endpoint }) => `{ name: ${name}, address: "${endpoint}" }`);
  const study = route === 'association' ? '' : `, dicom: { route: study, storage: ${route} }`;
  writeFileSync(
    file,
    `version: 1
admin: { listen: "127.0.0.1:${admin}" }
table: { memory: { file: table } }
pools:
  archive:
    servers: [${list.join(', ')}]
    health: { check: dicom-echo, called: ${CALLED}, interval: 200ms, timeout: 20s, rise: 1, fall: 1 }
vips:
  ${CALLED}: { protocol: dicom, listen: "127.0.0.1:${port}", pool: archive${study} }
`,
  );
  const gantry = await startGantry(file);
  const status = async () => {
    const answer = await fetch(`http://127.0.0.1:${admin}/api/v1/status`);
    return (await answer.json()) as StatusDocument;
  };
  return {
    address: { host: '127.0.0.1', port },
    async usable() {
      const { pools } = await status();
      return new Set(pools[0]!.servers.filter(({ state }) => state === 'up').map(({ name }) => name));
    },
    async left() {
      const deadline = performance.now() + LEFT_MS;
      for (;;) {
        const { vips, pools } = await status();
        const open = [
          ...vips.map(({ connections }) => connections),
          ...pools[0]!.servers.map(({ active }) => active),
        ];
        const left = open.reduce((sum, count) => sum + count, 0);
        if (left === 0 || performance.now() > deadline) return left;
        await pause(50);
      }
    },
    async end() {
      const exitCode = await gantry.end();
      const lines = gantry.log.items;
      const associations = lines.filter(({ msg }) => msg === 'association');
      return {
        cut: associations.filter(({ end }) => end !== 'release').length,
        replays: associations.reduce((sum, { replays }) => sum + Number(replays ?? 0), 0),
        errors: lines.filter(({ level }) => level === 'error').map((line) => JSON.stringify(line)),
        exitCode,
      };
    },
    kill: () => gantry.kill(),
  };
}
