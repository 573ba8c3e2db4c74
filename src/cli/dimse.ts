/** C-STORE from the command line. The library is for small tools like this one, not for the data path. */
import { createRequire } from 'node:module';
import dimse from 'dcmjs-dimse';
import type { Endpoint } from './endpoint.ts';
import { runFailure, usageFailure } from './failure.ts';

const { Client, Dataset, log, requests } = dimse;

export interface StoreResult {
  readonly file: string;
  /** The status of the C-STORE-RSP; undefined when none came. */
  readonly status: number | undefined;
}

/** PS3.8 Table 9-21. */
interface Rejection {
  readonly result: number;
  readonly source: number;
  readonly reason: number;
}

export interface StoreOptions {
  readonly called: string;
  readonly calling: string;
  /** Milliseconds. */
  readonly timeout: number;
}

/** Sends `files` on one association; calls `stored` for each answer. Fails with a sentence when there is none. */
export async function store(
  { host, port }: Endpoint,
  files: readonly string[],
  { called, calling, timeout }: StoreOptions,
  stored: (result: StoreResult) => void,
): Promise<void> {
  silence();
  const client = new Client();
  for (const file of files) {
    const request = new requests.CStoreRequest(readInstance(file));
    request.on('response', (response) => stored({ file, status: response.getStatus() }));
    client.addRequest(request);
  }
  await new Promise<void>((resolve, reject) => {
    const fail = (reason: string): void => reject(runFailure(`${host}:${port}: ${reason}`));
    client.on('associationRejected', ({ result, source, reason }: Rejection) => {
      fail(`rejects the association (result ${result}, source ${source}, reason ${reason})`);
    });
    client.on('networkError', ({ message }: Error) => fail(message.replace(/^.*-> /, '')));
    client.on('closed', () => resolve());
    client.send(host, port, calling, called, {
      connectTimeout: timeout,
      associationTimeout: timeout,
      pduTimeout: timeout,
    });
  });
}

/** The library and the one below it log to the console, values of data sets among it: what matters is told by us. */
function silence(): void {
  log.setLevel('silent');
  const require = createRequire(import.meta.url);
  const dcmjs = createRequire(require.resolve('dcmjs-dimse'))('dcmjs') as { log: RootLogger };
  for (const logger of [dcmjs.log, ...Object.values(dcmjs.log.getLoggers())]) logger.setLevel('silent');
}

/** Of the loglevel package, as much as is used here. */
interface RootLogger {
  setLevel(level: 'silent'): void;
  getLoggers(): Record<string, RootLogger>;
}

function readInstance(file: string): InstanceType<typeof Dataset> {
  try {
    // Without a callback it reads at once; the type tells of the other way.
    return Dataset.fromFile(file) as InstanceType<typeof Dataset>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : message;
    throw usageFailure(`${file} cannot be read as a DICOM file: ${reason}`);
  }
}
