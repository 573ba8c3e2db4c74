/**
 * A dcmjs-dimse SCU in a process of its own: `dcmjs-sender.ts HOST PORT CALLED`. Standard input: a JSON array of file
 * names a line, each line an association. Standard output: a line of JSON for each (`Sent`).
 */
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import dimse from 'dcmjs-dimse';

const { Client, Dataset, log, requests } = dimse;
log.setLevel('silent');
// dcmjs prints private elements with their values.
console.warn = () => {};
console.error = () => {};

/** What came of an association. */
export interface Sent {
  /** SOP Instance UID → status of the C-STORE response. */
  readonly statuses: Readonly<Record<string, number>>;
  /** SOP Instance UID → SHA-256 of the data set as it was sent: dcmjs writes data sets in its own way. */
  readonly dataSets: Readonly<Record<string, string>>;
  /** What went wrong with the association. */
  readonly trouble?: string;
}

const [host = '', port, called = ''] = process.argv.slice(2);
for await (const line of createInterface({ input: process.stdin })) {
  const sent = await send(JSON.parse(line) as string[]);
  process.stdout.write(`${JSON.stringify(sent)}\n`);
}

async function send(files: readonly string[]): Promise<Sent> {
  const statuses: Record<string, number> = {};
  const dataSets: Record<string, string> = {};
  let trouble: string | undefined;
  const client = new Client();
  for (const file of files) {
    const dataSet = Dataset.fromFile(file);
    if (!dataSet) throw new Error(`${file} cannot be read`);
    const request = new requests.CStoreRequest(dataSet);
    const sopInstance = request.getAffectedSopInstanceUid();
    dataSets[sopInstance] = createHash('sha256').update(dataSet.getDenaturalizedDataset()).digest('hex');
    request.on('response', (response) => {
      statuses[sopInstance] = response.getStatus();
    });
    client.addRequest(request);
  }
  const closed = new Promise<void>((resolve) => client.on('closed', resolve));
  client.on('associationRejected', () => {
    trouble = 'the association was rejected';
  });
  client.on('networkError', (error) => {
    trouble = error.message;
  });
  client.send(host, Number(port), 'DCMJS', called);
  await closed;
  return { statuses, dataSets, ...(trouble && { trouble }) };
}
