/**
 * Archives and modalities on dcmjs-dimse for the services that DCMTK has no tools for: performed procedure steps and
 * storage commitment.
 */
import { createRequire } from 'node:module';
import { createServer, type Server, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import dimse from 'dcmjs-dimse';
import { freePort } from './processes.ts';
import type { Address } from './test-connection.ts';
import { Journal, within } from './waiting.ts';

const { Client, constants, Dataset, requests, responses, Scp } = dimse;

export const PERFORMED_PROCEDURE_STEP = '1.2.840.10008.3.1.2.3.3';
export const STORAGE_COMMITMENT = '1.2.840.10008.1.20.1';
export const STORAGE_COMMITMENT_INSTANCE = '1.2.840.10008.1.20.1.1';
const NO_SUCH_OBJECT_INSTANCE = 0x0112;

export interface Reference {
  readonly sopClass: string;
  readonly sopInstance: string;
}

/** What a storage commitment asks or reports. */
export interface CommitmentData {
  readonly transaction: string;
  readonly referenced: readonly Reference[];
  readonly failed: readonly (Reference & { readonly reason: number })[];
}

/** An N-ACTION or N-EVENT-REPORT of storage commitment that came in. */
export interface ReceivedCommitment extends CommitmentData {
  /** AE titles of the association it came on. */
  readonly calling: string;
  readonly called: string;
  /** Action or event type. */
  readonly type: number;
}

type Requests = InstanceType<(typeof requests)[keyof typeof requests]>;
type AssociationRequest = Parameters<InstanceType<typeof Scp>['associationRequested']>[0];

/** Sends `all` on one association, one after another; resolves with their statuses once it is released. */
export async function sendRequests(
  to: Address,
  { calling, called }: { readonly calling: string; readonly called: string },
  all: readonly Requests[],
): Promise<number[]> {
  silence();
  const client = new Client();
  const statuses: number[] = [];
  for (const request of all) {
    request.on('response', (response) => statuses.push(response.getStatus()));
    client.addRequest(request);
  }
  const done = new Promise<void>((resolve, reject) => {
    client.on('associationRejected', ({ result, source, reason }: Record<string, number>) =>
      reject(new Error(`rejected ${result}/${source}/${reason}`)),
    );
    client.on('networkError', reject);
    client.on('closed', () => resolve());
  });
  client.send(to.host, to.port, calling, called, {});
  await within(done, `the release of an association of ${calling}`);
  return statuses;
}

export function createStep(sopInstance: string): Requests {
  const request = new requests.NCreateRequest(PERFORMED_PROCEDURE_STEP, sopInstance);
  request.setDataset(new Dataset({ PerformedProcedureStepStatus: 'IN PROGRESS', Modality: 'CT' }));
  return request;
}

export function completeStep(sopInstance: string): Requests {
  const request = new requests.NSetRequest(PERFORMED_PROCEDURE_STEP, sopInstance);
  request.setDataset(new Dataset({ PerformedProcedureStepStatus: 'COMPLETED' }));
  return request;
}

export function storeFile(path: string): Requests {
  return new requests.CStoreRequest(Dataset.fromFile(path) as InstanceType<typeof Dataset>);
}

export function requestCommitment(transaction: string, referenced: readonly Reference[]): Requests {
  const request = new requests.NActionRequest(STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1);
  request.setDataset(new Dataset(commitmentElements({ transaction, referenced, failed: [] })));
  return request;
}

/** What a peer on dcmjs-dimse keeps of what comes to it. */
export interface DimsePeer {
  readonly ae: string;
  readonly address: Address;
  readonly endpoint: string;
  /** SOP Instance UIDs of C-STORE. */
  readonly stored: Journal<string>;
  /** SOP Instance UID → its state. */
  readonly steps: ReadonlyMap<string, string>;
  /** N-ACTION of storage commitment. */
  readonly asked: Journal<ReceivedCommitment>;
  /** N-EVENT-REPORT of storage commitment. */
  readonly reported: Journal<ReceivedCommitment>;
  /** What it answers to an N-ACTION; 0 at first. */
  statusOfAction: number;
  /**
   * Reports on what it was asked, on an association of its own to whoever asked: what it stored is there, the rest has
   * failed. The status of the N-EVENT-REPORT-RSP.
   */
  report(asked: ReceivedCommitment, to: Address): Promise<number[]>;
  stop(): Promise<void>;
}

/** Listens on any free port, or on `port`, where one listened before. */
export async function startDimsePeer(ae: string, port?: number): Promise<DimsePeer> {
  silence();
  const sockets = new Set<Socket>();
  const steps = new Map<string, string>();
  const peer: Pick<DimsePeer, 'stored' | 'asked' | 'reported' | 'statusOfAction'> = {
    stored: new Journal<string>(`instances at ${ae}`),
    asked: new Journal<ReceivedCommitment>(`commitments asked of ${ae}`),
    reported: new Journal<ReceivedCommitment>(`commitments reported to ${ae}`),
    statusOfAction: 0,
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    const scp = new ServiceScp(socket, {});
    scp.keeper = { ...peer, steps, statusOfAction: () => all.statusOfAction };
    scp.on('networkError', () => socket.destroy());
  });
  const bound = port ?? (await freePort());
  await listen(server, bound);
  const all: DimsePeer = Object.assign(peer, {
    ae,
    address: { host: '127.0.0.1', port: bound },
    endpoint: `127.0.0.1:${bound}`,
    steps,
    report: (asked: ReceivedCommitment, to: Address) => sendReport(ae, asked, peer.stored.items, to),
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  return all;
}

function sendReport(
  ae: string,
  { transaction, referenced: wanted, calling }: ReceivedCommitment,
  stored: readonly string[],
  to: Address,
): Promise<number[]> {
  const referenced = wanted.filter(({ sopInstance }) => stored.includes(sopInstance));
  const failed = wanted
    .filter((one) => !referenced.includes(one))
    .map((one) => ({ ...one, reason: NO_SUCH_OBJECT_INSTANCE }));
  const type = failed.length === 0 ? 1 : 2;
  const request = new requests.NEventReportRequest(STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, type);
  request.setDataset(new Dataset(commitmentElements({ transaction, referenced, failed })));
  return sendRequests(to, { calling: ae, called: calling }, [request]);
}

interface Keeper extends Pick<DimsePeer, 'stored' | 'asked' | 'reported'> {
  readonly steps: Map<string, string>;
  readonly statusOfAction: () => number;
}

type Services = { [Name in keyof InstanceType<typeof Scp>]: InstanceType<typeof Scp>[Name] };
type Method<Name extends keyof Services> = Services[Name] extends (...all: infer All) => unknown
  ? All
  : never;

class ServiceScp extends Scp {
  keeper: Keeper | undefined;
  #calling = '';
  #called = '';

  override associationRequested(association: AssociationRequest): void {
    this.#calling = association.getCallingAeTitle().trim();
    this.#called = association.getCalledAeTitle().trim();
    for (const { context } of association.getPresentationContexts())
      context.setResult(constants.PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    this.sendAssociationAccept();
  }

  override associationReleaseRequested(): void {
    this.sendAssociationReleaseResponse();
  }

  override cStoreRequest(...[request, callback]: Method<'cStoreRequest'>): void {
    this.keeper!.stored.add(request.getAffectedSopInstanceUid());
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(0);
    callback(response);
  }

  /** Its data set is not looked at. */
  override createStoreWritableStream(): Writable {
    return new Writable({ write: (_chunk, _encoding, done) => done() });
  }

  override createDatasetFromStoreWritableStream(
    ...[, , callback]: Method<'createDatasetFromStoreWritableStream'>
  ): void {
    (callback as () => void)();
  }

  override nCreateRequest(...[request, callback]: Method<'nCreateRequest'>): void {
    this.keeper!.steps.set(request.getAffectedSopInstanceUid(), stateIn(request));
    const response = responses.NCreateResponse.fromRequest(request);
    response.setStatus(0);
    callback(response);
  }

  override nSetRequest(...[request, callback]: Method<'nSetRequest'>): void {
    const { steps } = this.keeper!;
    const isKnown = steps.has(request.getRequestedSopInstanceUid());
    if (isKnown) steps.set(request.getRequestedSopInstanceUid(), stateIn(request));
    const response = responses.NSetResponse.fromRequest(request);
    response.setStatus(isKnown ? 0 : NO_SUCH_OBJECT_INSTANCE);
    callback(response);
  }

  override nActionRequest(...[request, callback]: Method<'nActionRequest'>): void {
    const { asked, statusOfAction } = this.keeper!;
    asked.add(this.#received(request, request.getActionTypeId()));
    const response = responses.NActionResponse.fromRequest(request);
    response.setStatus(statusOfAction());
    callback(response);
  }

  override nEventReportRequest(...[request, callback]: Method<'nEventReportRequest'>): void {
    this.keeper!.reported.add(this.#received(request, request.getEventTypeId()));
    const response = responses.NEventReportResponse.fromRequest(request);
    response.setStatus(0);
    callback(response);
  }

  #received(request: { getDataset(): unknown }, type: number): ReceivedCommitment {
    const elements = elementsOf(request);
    return {
      calling: this.#calling,
      called: this.#called,
      type,
      transaction: String(elements.TransactionUID),
      referenced: itemsIn(elements.ReferencedSOPSequence).map(referenceIn),
      failed: itemsIn(elements.FailedSOPSequence).map((item) => ({
        ...referenceIn(item),
        reason: Number(item.FailureReason),
      })),
    };
  }
}

type Elements = Readonly<Record<string, unknown>>;

function elementsOf(request: { getDataset(): unknown }): Elements {
  return (request.getDataset() as InstanceType<typeof Dataset>).getElements();
}

function stateIn(request: { getDataset(): unknown }): string {
  return String(elementsOf(request).PerformedProcedureStepStatus);
}

function itemsIn(sequence: unknown): readonly Elements[] {
  if (sequence === undefined) return [];
  return Array.isArray(sequence) ? (sequence as Elements[]) : [sequence as Elements];
}

function referenceIn(item: Elements): Reference {
  return {
    sopClass: String(item.ReferencedSOPClassUID),
    sopInstance: String(item.ReferencedSOPInstanceUID),
  };
}

function commitmentElements({ transaction, referenced, failed }: CommitmentData): Record<string, unknown> {
  const item = ({ sopClass, sopInstance }: Reference) => ({
    ReferencedSOPClassUID: sopClass,
    ReferencedSOPInstanceUID: sopInstance,
  });
  return {
    TransactionUID: transaction,
    ...(referenced.length > 0 && { ReferencedSOPSequence: referenced.map(item) }),
    ...(failed.length > 0 && {
      FailedSOPSequence: failed.map((one) => ({ ...item(one), FailureReason: one.reason })),
    }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

interface RootLogger {
  setLevel(level: 'silent'): void;
  getLoggers(): Record<string, RootLogger>;
}

/** The library, and the one below it, log to the console. */
function silence(): void {
  dimse.log.setLevel('silent');
  const require = createRequire(import.meta.url);
  const dcmjs = createRequire(require.resolve('dcmjs-dimse'))('dcmjs') as { log: RootLogger };
  for (const logger of [dcmjs.log, ...Object.values(dcmjs.log.getLoggers())]) logger.setLevel('silent');
}
