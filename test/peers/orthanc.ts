/** Orthanc as a peer: a server that many hospitals run, on a configuration and folder of the test's own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, type PeerProcess, startProgram, waitForPort } from './processes.ts';
import type { Address } from './test-connection.ts';

export interface Orthanc {
  /** Where it speaks DICOM. */
  readonly address: Address;
  readonly endpoint: string;
  /** Its REST API. */
  readonly url: string;
  readonly process: PeerProcess;
  /** SOP Instance UIDs that it stored. */
  instances(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface OrthancOptions {
  readonly ae?: string;
  /** AE titles it may move to. */
  readonly modalities?: Readonly<Record<string, Address>>;
  /** More of its configuration. */
  readonly configuration?: Readonly<Record<string, unknown>>;
}

export async function startOrthanc(folder: string, options: OrthancOptions = {}): Promise<Orthanc> {
  mkdirSync(folder, { recursive: true });
  const [dicomPort, httpPort] = [await freePort(), await freePort()];
  const configuration = join(folder, 'orthanc.json');
  const modalities = Object.entries(options.modalities ?? {}).map(([ae, { host, port }]) => [
    ae,
    [ae, host, port],
  ]);
  writeFileSync(
    configuration,
    JSON.stringify({
      Name: 'test',
      StorageDirectory: join(folder, 'storage'),
      IndexDirectory: join(folder, 'storage'),
      Plugins: [],
      DicomAet: options.ae ?? 'ORTHANC',
      DicomPort: dicomPort,
      HttpPort: httpPort,
      RemoteAccessAllowed: false,
      AuthenticationEnabled: false,
      DicomAlwaysAllowEcho: true,
      DicomAlwaysAllowStore: true,
      DicomAlwaysAllowFind: true,
      DicomAlwaysAllowGet: true,
      DicomAlwaysAllowMove: true,
      DicomModalities: Object.fromEntries(modalities),
      ...options.configuration,
    }),
  );
  const process = startProgram('Orthanc', [configuration]);
  await waitForPort(dicomPort, process);
  await waitForPort(httpPort, process);
  const url = `http://127.0.0.1:${httpPort}`;
  return {
    address: { host: '127.0.0.1', port: dicomPort },
    endpoint: `127.0.0.1:${dicomPort}`,
    url,
    process,
    async instances() {
      const answer = await fetch(`${url}/instances?expand`);
      const all = (await answer.json()) as { MainDicomTags: { SOPInstanceUID: string } }[];
      return all.map((instance) => instance.MainDicomTags.SOPInstanceUID);
    },
    stop: () => process.stop(),
  };
}
