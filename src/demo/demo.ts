/** `gantry demo`, what `npm start` runs: a balancer in front of embedded servers, with commands to try. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBalancer } from '../balancer.ts';
import { formatFault } from '../config/fault.ts';
import { loadConfiguration } from '../config/load.ts';
import { GantryError } from '../errors.ts';
import { demoConfiguration } from './configuration.ts';
import { closeAll, type DemoServer, listenOnLoopback } from './demo-server.ts';
import { startHl7Receiver } from './hl7-receiver.ts';
import { showEvents } from './lines.ts';
import { startPacsNode } from './pacs-node.ts';
import { type SampleFiles, writeSamples } from './samples.ts';
import { startWebServer } from './web-server.ts';

export interface DemoOptions {
  readonly dicomPort: number;
  readonly hl7Port: number;
  readonly httpPort: number;
  readonly adminPort: number;
  /** Takes a line of what the demo says. */
  readonly print: (line: string) => void;
}

export interface Demo {
  /** The configuration file that it runs. */
  readonly configuration: string;
  readonly samples: SampleFiles;
  /** The embedded servers. */
  readonly servers: readonly DemoServer[];
  /** Lets the work in hand finish, ends everything and removes its files. */
  stop(): Promise<void>;
}

/** The port of the standard. Free for programs without privileges on some machines only. */
const DICOM_PORT = 104;

/** Starts everything and prints what to try. Throws `GantryError` GTY_LISTEN, naming the option, for a taken port. */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const { dicomPort, hl7Port, httpPort, adminPort, print } = options;
  await needPort(dicomPort, 'DICOM', '--dicom-port');
  await needPort(hl7Port, 'HL7', '--hl7-port');
  await needPort(httpPort, 'HTTP', '--http-port');
  await needPort(adminPort, 'the admin API', '--admin-port');
  const dicom =
    dicomPort !== DICOM_PORT && (await isFree(DICOM_PORT)) ? [dicomPort, DICOM_PORT] : [dicomPort];

  const folder = mkdtempSync(join(tmpdir(), 'gantry-demo-'));
  const servers: DemoServer[] = [];
  const hideEvents = showEvents(print);
  let balancer: Awaited<ReturnType<typeof startBalancer>> | undefined;
  async function stop(): Promise<void> {
    await balancer?.stop({ drain: true });
    hideEvents();
    await Promise.all(servers.map((server) => server.close()));
    rmSync(folder, { recursive: true, force: true });
  }

  try {
    for (const name of PACS_NODES) servers.push(await startPacsNode(name));
    for (const name of HL7_RECEIVERS) servers.push(await startHl7Receiver(name));
    for (const name of WEB_SERVERS) servers.push(await startWebServer(name));
    const samples = writeSamples(folder);
    const ports = new Map(servers.map(({ name, port }) => [name, port]));
    const file = join(folder, 'demo.yaml');
    writeFileSync(
      file,
      demoConfiguration({ dicom, hl7: hl7Port, http: httpPort, admin: adminPort, servers: ports }),
    );
    const { configuration, faults } = loadConfiguration(file);
    if (!configuration) throw new Error(faults.map(formatFault).join('\n'));
    balancer = await startBalancer(configuration);
    print(welcome(options, dicom, file, samples));
    return { configuration: file, samples, servers, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Runs until SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. */
export async function runDemo(options: Omit<DemoOptions, 'print'>): Promise<void> {
  const asked = Promise.withResolvers<void>();
  let isAsked = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (isAsked) process.exit(0);
      isAsked = true;
      asked.resolve();
    });
  }
  const demo = await startDemo({ ...options, print: (line) => process.stdout.write(`${line}\n`) });
  await asked.promise;
  await demo.stop();
}

const PACS_NODES = ['pacs-a', 'pacs-b', 'ct-mr-a', 'ct-mr-b', 'research'];
const HL7_RECEIVERS = ['adt-a', 'adt-b', 'orders'];
const WEB_SERVERS = ['web-a', 'web-b', 'chat-a', 'chat-b'];

function welcome(options: DemoOptions, dicom: readonly number[], file: string, samples: SampleFiles): string {
  const { dicomPort, hl7Port, httpPort, adminPort } = options;
  const series = samples.dicom.CT.join(' ');
  const web = `http://127.0.0.1:${adminPort}`;
  return `
Gantry is ready: a load balancer in front of ${PACS_NODES.length} PACS nodes, ${HL7_RECEIVERS.length} HL7 receivers and ${WEB_SERVERS.length} web servers, all in this process.

  DICOM          ${dicom.map((port) => `127.0.0.1:${port}`).join(', ')}   any called AE title; STAT… is urgent, RESEARCH has its own node
  HL7            127.0.0.1:${hl7Port}   orders to one receiver, everything else by patient to two
  HTTP           127.0.0.1:${httpPort}   two servers with a cookie; /chat/ is a WebSocket, on two others
  Configuration  ${file}
  Dashboard      ${web}/

Try:

  storescu -R -aec DEMO 127.0.0.1 ${dicomPort} ${series}
  mllp_send --loose -p ${hl7Port} -f ${samples.hl7} 127.0.0.1
  curl -i http://127.0.0.1:${httpPort}/

What happens is shown below. Ctrl-C ends it.
`;
}

async function needPort(port: number, what: string, option: string): Promise<void> {
  if (await isFree(port)) return;
  throw new GantryError(
    'GTY_LISTEN',
    `port ${port} on 127.0.0.1, for ${what}, is taken or not permitted: choose another one with ${option} PORT`,
  );
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await listenOnLoopback(server, port);
    await closeAll(server);
    return true;
  } catch {
    return false;
  }
}
