/**
 * A small PACS node for the demo: answers C-ECHO, keeps what C-STORE brings in memory, up to a cap. On dcmjs-dimse,
 * which is for demonstrations and tools, not for the data path.
 */
import { createServer } from 'node:net';
import { Writable } from 'node:stream';
import dimse from 'dcmjs-dimse';
import { closeAll, type DemoServer, listenOnLoopback } from './demo-server.ts';

const { constants, responses, Scp } = dimse;

// The library logs to the console, AE titles and data set values among it.
dimse.log.setLevel('silent');

/** Bytes of data sets that a node keeps; the oldest instances go first. */
const CAP = 256 * 1024 * 1024;

export interface PacsNode extends DemoServer {
  /** SOP Instance UID → data set, in the order they came. */
  readonly instances: ReadonlyMap<string, Buffer>;
}

export async function startPacsNode(name: string): Promise<PacsNode> {
  const instances = new Map<string, Buffer>();
  let held = 0;
  const store = (sopInstance: string, dataSet: Buffer): boolean => {
    if (dataSet.length > CAP) return false;
    held += dataSet.length - (instances.get(sopInstance)?.length ?? 0);
    instances.set(sopInstance, dataSet);
    for (const [oldest, { length }] of instances) {
      if (held <= CAP) break;
      instances.delete(oldest);
      held -= length;
    }
    return true;
  };
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    // Nobody hears of it: the balancer's own line says what became of the association.
    socket.on('error', () => {});
    const scp = new NodeScp(socket, { pduTimeout: PATIENCE_MS });
    scp.store = store;
    scp.on('networkError', () => socket.destroy());
  });
  return { name, instances, port: await listenOnLoopback(server), close: () => closeAll(server) };
}

/** The library would abort an association that is silent for a minute; the balancer has its own time-outs. */
const PATIENCE_MS = 24 * 3_600_000;

/** Keeps the fragments of a data set as they come: nothing is parsed, so nothing of a patient is looked at. */
class Fragments extends Writable {
  readonly parts: Buffer[] = [];

  constructor() {
    // Never full: the library loses the order of fragments when it has to wait.
    super({ highWaterMark: Number.MAX_SAFE_INTEGER });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.parts.push(Buffer.from(chunk));
    done();
  }
}

type AssociationRequest = Parameters<InstanceType<typeof Scp>['associationRequested']>[0];
type StoreRequest = Parameters<InstanceType<typeof Scp>['cStoreRequest']>[0];
type StoreCallback = Parameters<InstanceType<typeof Scp>['cStoreRequest']>[1];
type EchoRequest = Parameters<InstanceType<typeof Scp>['cEchoRequest']>[0];
type EchoCallback = Parameters<InstanceType<typeof Scp>['cEchoRequest']>[1];
type DatasetCallback = Parameters<InstanceType<typeof Scp>['createDatasetFromStoreWritableStream']>[2];

class NodeScp extends Scp {
  store: (sopInstance: string, dataSet: Buffer) => boolean = () => false;
  #dataSet = Buffer.alloc(0);

  override associationRequested(association: AssociationRequest): void {
    for (const { context } of association.getPresentationContexts()) {
      // Whatever it is, it is kept as it came: any transfer syntax will do.
      context.setResult(constants.PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    }
    this.sendAssociationAccept();
  }

  override associationReleaseRequested(): void {
    this.sendAssociationReleaseResponse();
  }

  override cEchoRequest(request: EchoRequest, callback: EchoCallback): void {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  override createStoreWritableStream(): Writable {
    return new Fragments();
  }

  override createDatasetFromStoreWritableStream(
    writable: Writable,
    _context: unknown,
    callback: DatasetCallback,
  ): void {
    this.#dataSet = Buffer.concat((writable as Fragments).parts);
    (callback as () => void)();
  }

  override cStoreRequest(request: StoreRequest, callback: StoreCallback): void {
    const response = responses.CStoreResponse.fromRequest(request);
    const kept = this.store(request.getAffectedSopInstanceUid(), this.#dataSet);
    response.setStatus(kept ? constants.Status.Success : constants.Status.ResourceLimitation);
    callback(response);
  }
}
