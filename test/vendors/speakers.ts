/** Conversations of clients with a row's service: each tells which server answered. */
import { join } from 'node:path';
import { MODALITIES, writeInstances } from '../peers/dicom-files.ts';
import { hl7Message } from '../peers/hl7-messages.ts';
import type { NamespaceAgent } from '../peers/namespace-agent.ts';
import type { Namespace } from '../peers/namespaces.ts';
import type { Way } from './plan.ts';
import { ARCHIVE_AE, type VendorServer, WORKLIST_AE } from './servers.ts';

export interface VendorClient {
  readonly namespace: Namespace;
  readonly agent: NamespaceAgent;
}

export interface Answer {
  /** The name of the server. */
  readonly server: string;
  /** `host:port` as the server saw them, where it can tell. */
  readonly local?: string;
  readonly remote?: string;
  /** HTTP: as the server saw it, and cookies as `name=value`. */
  readonly uri?: string;
  readonly cookies?: readonly string[];
}

export interface Surroundings {
  readonly servers: readonly VendorServer[];
  /** For instances that are sent. */
  readonly folder: string;
}

/** Servers take turns, but for what else is asked. */
const FINDS = 4;

let conversations = 0;

/** One conversation, whole. `cookie`: what the client has from an earlier one. */
export async function converse(
  { namespace, agent }: VendorClient,
  { host, port, serverPort, service, path }: Way,
  surroundings: Surroundings,
  cookie?: string,
): Promise<Answer> {
  const number = ++conversations;
  switch (service) {
    case 'http':
    case 'https': {
      const headers: Record<string, string> = cookie === undefined ? {} : { Cookie: cookie };
      const url = `${service}://${host}:${port}${path}`;
      const { status, body, cookies } = await agent.ask('get', { url, headers });
      if (status !== 200) throw new Error(`${url}: ${status} ${body}`);
      return { ...(JSON.parse(body) as Answer), cookies };
    }
    case 'hl7': {
      const message = hl7Message({ controlId: `ROW${number}` }).toString('latin1');
      const answer = await agent.ask('mllp', { host, port, message });
      if (!answer.includes(`\rMSA|AA|ROW${number}`)) throw new Error(`${host}:${port}: ${answer}`);
      const [, , server, addresses] = answer.split('|', 4);
      const [local, remote] = addresses!.split(' ');
      return { server: server!, local, remote };
    }
    case 'worklist': {
      const keys = ['-k', '0008,0050', '-k', '0040,0100[0].0040,0010'];
      const output = await dicom(namespace, 'findscu', ['-v', '-W', ...keys], WORKLIST_AE, host, port);
      return { server: /\(0040,0010\) SH \[(\w+)\s*\]/.exec(output)![1]! };
    }
    case 'store':
    case 'store-tls':
    case 'archive': {
      const at = join(surroundings.folder, `sent-${number}`);
      const modality = MODALITIES[0]!;
      const [instance] = writeInstances(at, 1, 64, `conversation ${number}`);
      if (!instance) throw new Error(`no instance of ${modality}`);
      const options = ['-R', ...(service === 'store-tls' ? ['+tla', '-ic'] : [])];
      const called = service === 'archive' ? ARCHIVE_AE : 'ANY-SCP';
      await dicom(namespace, 'storescu', options, called, host, port, instance.path);
      const holders = surroundings.servers.filter((one) => one.hasStored(serverPort, instance.sopInstance));
      if (holders.length !== 1) throw new Error(`${holders.length} servers have what was stored once`);
      return { server: holders[0]!.name };
    }
    case 'echo': {
      const { connection } = await agent.ask('connect', { host, port });
      const answer = await agent.ask('exchange', { connection, text: `conversation ${number}\n` });
      await agent.ask('close', { connection });
      return JSON.parse(answer) as Answer;
    }
  }
}

/**
 * C-ECHO, then C-FIND for a study that was stored just now, until the server that has it is the one that is asked; throws
 * after some tries.
 */
export async function echoAndFind(client: VendorClient, way: Way, surroundings: Surroundings): Promise<void> {
  const { namespace } = client;
  const { host, port } = way;
  await dicom(namespace, 'echoscu', [], ARCHIVE_AE, host, port);
  await converse(client, way, surroundings);
  const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', 'StudyInstanceUID', '-k', 'PatientID=*'];
  for (let tries = 0; tries < FINDS; tries++) {
    const found = await dicom(namespace, 'findscu', ['-v', '-S', ...keys], ARCHIVE_AE, host, port);
    if (/\(0020,000d\) UI \[\d[\d.]+/.test(found)) return;
  }
  throw new Error(`nothing is found at ${host}:${port}`);
}

async function dicom(
  namespace: Namespace,
  program: string,
  options: readonly string[],
  called: string,
  host: string,
  port: number,
  ...rest: readonly string[]
): Promise<string> {
  const args = [...options, '-aec', called, '-aet', 'TESTSCU', host, String(port), ...rest];
  return namespace.must(program, args);
}
