/** A vendor system as `gantry init` writes it, in network namespaces: clients, the balancer, two servers. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseDocument, visit } from 'yaml';
import type { PoolStatus, StatusDocument } from '../../src/admin/documents.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { identifier } from '../../src/layer4/names.ts';
import { untilVerdicts } from '../layer4/field.ts';
import { createAuthority } from '../peers/certificates.ts';
import { createFolder } from '../peers/dicom-files.ts';
import type { LogLine } from '../peers/gantry-process.ts';
import type { NamespaceAgent } from '../peers/namespace-agent.ts';
import { createSite, prepareForDirectReturn, type Site } from '../peers/namespaces.ts';
import type { Layout } from './plan.ts';
import { createServer, type VendorServer } from './servers.ts';
import type { VendorClient } from './speakers.ts';

export interface VendorSite {
  readonly configuration: Configuration;
  readonly clients: readonly VendorClient[];
  /** `a` and `b`. */
  readonly servers: readonly [VendorServer, VendorServer];
  /** For files of the test's. */
  readonly folder: string;
  /** What the admin API says. */
  status(): Promise<StatusDocument>;
  /** What `gantry status --json` prints. */
  gantryStatus(): Promise<StatusDocument>;
  /** What `gantry check` prints: nothing, when neither the file nor the machine lacks anything. */
  gantryCheck(): Promise<string>;
  /** Lines of the log that an operator should look at, but for those of servers: one of each. */
  warnings(): readonly LogLine[];
  /** Asks for the status until `wanted` likes it; after 30 s resolves with the last. */
  untilStatus(wanted: (status: StatusDocument) => boolean): Promise<StatusDocument>;
  /** Asks for the status until `wanted` likes the pools; throws with what is amiss after 30 s. */
  untilPools(wanted: (pools: readonly PoolStatus[]) => boolean, what: string): Promise<StatusDocument>;
  /** Waits until the kernel, which is told a moment after the status is so, sends nobody to the one server of a DR VIP. */
  untilKernelLeavesOut(vip: string): Promise<void>;
  /** What the scripts of external checks say of a server. */
  setScript(server: VendorServer, isWell: boolean): void;
  close(): Promise<void>;
}

export interface VendorOptions {
  readonly profile: string;
  readonly layout: Layout;
  readonly vips: readonly string[];
  readonly clients?: number;
  /** `gantry init --protocol-aware`: nothing is left to layer 4 that a front-end can read. */
  readonly isProtocolAware?: boolean;
  /** `gantry init --cert FILE --key FILE`: TLS ends at the balancer. */
  readonly endsTls?: boolean;
}

const GANTRY = fileURLToPath(new URL('../../bin/gantry.js', import.meta.url));
const ADMIN = 'http://127.0.0.1:9090';
const SERVERS = ['10.50.0.21', '10.50.0.22'];

/** Rejects, and leaves nothing behind, when the profile cannot be had, is faulty or does not run. */
export async function startVendor(options: VendorOptions): Promise<VendorSite> {
  const folder = createFolder();
  let site: Site | undefined;
  const close = async () => {
    await site?.close();
    folder.remove();
  };
  try {
    site = await createSite({ clients: options.clients ?? 4, servers: 2, vips: options.vips });
    return await start(options, site, folder.path, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  { profile, layout, vips, isProtocolAware = false, endsTls = false }: VendorOptions,
  site: Site,
  folder: string,
  close: () => Promise<void>,
): Promise<VendorSite> {
  const file = join(folder, 'gantry.yaml');
  const authority = await createAuthority();
  const certificate = await authority.issue({ names: ['web.test', ...SERVERS], days: 365 });
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(cert, certificate.cert);
  writeFileSync(key, certificate.key);
  const options = [
    ...(isProtocolAware ? ['--protocol-aware'] : []),
    ...(endsTls ? ['--cert', cert, '--key', key] : []),
  ];
  writeFileSync(file, adapted(await init(profile, vips, options), folder));
  const configuration = loaded(file);
  const healthPaths = new Set(
    configuration.pools.flatMap(({ health }) =>
      health.check === 'http' || health.check === 'https' ? [health.path] : [],
    ),
  );
  const servers = ['a', 'b'].map((name, index) =>
    createServer({
      name,
      namespace: site.servers[index]!,
      layout,
      healthPaths,
      certificate,
      folder: join(folder, name),
    }),
  ) as [VendorServer, VendorServer];
  const direct = configuration.vips.filter(({ mode }) => mode === 'dr');
  await prepareForDirectReturn(site.servers, [
    ...new Set(direct.flatMap(({ listen }) => listen.map(({ host }) => host))),
  ]);
  const [agent, clients] = await Promise.all([
    site.lb.startAgent(),
    Promise.all(site.clients.map(async (namespace) => ({ namespace, agent: await namespace.startAgent() }))),
    ...servers.map((one) => one.start()),
  ]);
  const gantry = await site.lb.startGantry(file);
  const ended = gantry.ended.then(({ code, complaints }) => {
    throw new Error(`the balancer ended with ${code}:\n${complaints}`);
  });
  ended.catch(() => {});
  const status = () => Promise.race([askStatus(agent), ended]);
  const untilStatus: VendorSite['untilStatus'] = async (wanted) => {
    const deadline = performance.now() + 30_000;
    for (;;) {
      const document = await status();
      if (wanted(document) || performance.now() > deadline) return document;
      await pause(100);
    }
  };
  return {
    configuration,
    clients,
    servers,
    folder,
    status,
    gantryCheck: () => site.lb.must(process.execPath, [GANTRY, 'check', '-c', file]),
    warnings() {
      const all = gantry.log.items.filter(({ level, msg }) => level !== 'info' && msg !== 'server');
      return [...new Map(all.map((line) => [line.msg, line])).values()];
    },
    async gantryStatus() {
      const args = [GANTRY, 'status', '--json', '--admin', ADMIN];
      return JSON.parse(await site.lb.must(process.execPath, args)) as StatusDocument;
    },
    untilStatus,
    async untilPools(wanted, what) {
      const document = await untilStatus(({ pools }) => wanted(pools));
      if (!wanted(document.pools)) throw new Error(`waited for ${what}:\n${statesOf(document)}`);
      return document;
    },
    untilKernelLeavesOut: (vip) => {
      return untilVerdicts(site.lb, `netdev gantry_dr_${identifier(vip)} duties`, 'gone', 'live');
    },
    setScript: (server, isWell) => {
      writeFileSync(join(folder, `well-${server.namespace.address}`), isWell ? 'yes' : 'no');
    },
    close,
  };
}

/** What `gantry init` prints. */
async function init(profile: string, vips: readonly string[], options: readonly string[]): Promise<string> {
  const addresses = [
    ...vips.flatMap((vip) => ['--vip', vip]),
    ...SERVERS.flatMap((one) => ['--server', one]),
  ];
  const { stdout } = await promisify(execFile)(process.execPath, [
    GANTRY,
    'init',
    profile,
    ...addresses,
    ...options,
  ]);
  return stdout;
}

/**
 * The generated text with what a test needs instead of patience and a site's own script: checks every second, one failure or
 * success decides, so that a check has time also where everything is slow; scripts of external checks read a file of the
 * test's.
 */
function adapted(text: string, folder: string): string {
  const script = join(folder, 'check.sh');
  writeFileSync(script, `#!/bin/sh\ntest "$(cat ${folder}/well-$3)" = yes\n`, { mode: 0o755 });
  for (const address of SERVERS) writeFileSync(join(folder, `well-${address}`), 'yes');
  const document = parseDocument(text);
  visit(document, {
    Map(_, record) {
      if (!record.has('check') || record.get('check') === 'none') return;
      // A ping that is not answered takes all of it.
      const timeout = record.get('check') === 'ping' ? '5s' : '20s';
      for (const [key, value] of Object.entries({ interval: '1s', timeout, rise: 1, fall: 1 })) {
        record.set(key, value);
      }
      if (record.has('script')) record.set('script', script);
    },
  });
  return String(document);
}

function loaded(file: string): Configuration {
  const { configuration, faults = [] } = loadConfiguration(file);
  if (!configuration)
    throw new Error(faults.map((one) => `${one.line}: ${one.path}: ${one.message}`).join('\n'));
  return configuration;
}

async function askStatus(agent: NamespaceAgent): Promise<StatusDocument> {
  const { status, body } = await agent.ask('get', { url: `${ADMIN}/api/v1/status` });
  if (status !== 200) throw new Error(`status: ${status} ${body}`);
  return JSON.parse(body) as StatusDocument;
}

function statesOf({ pools }: StatusDocument): string {
  return pools
    .flatMap(({ name, servers }) =>
      servers.map((one) => `${name} ${one.address}: ${one.state}, ${one.reason}`),
    )
    .join('\n');
}
