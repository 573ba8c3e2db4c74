/** C-STORE from the command line. The library is for small tools like this one, not for the data path. */
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
  // The library logs to the console: what matters is told by us.
  log.setLevel('silent');
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
