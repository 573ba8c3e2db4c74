/** A DICOM client that a test drives, PDU by PDU or by whole operations. */
import { COMMAND, type Command } from './commands.ts';
import { type Arrival, codeOf, DicomConnection } from './dicom-peer.ts';
import {
  abort,
  associateRequest,
  PDU_TYPE,
  type RequestOptions,
  readAccept,
  readRequest,
  releaseRequest,
  releaseResponse,
  VERIFICATION,
} from './pdus.ts';
import { type Address, ConnectionEnded, openConnection, type TestConnection } from './test-connection.ts';

export interface ScuOptions extends RequestOptions {
  /** These very bytes instead of a request made from the other options. */
  readonly request?: Buffer;
  /** The client's address, for rules by client (127.0.0.2, …). */
  readonly localAddress?: string;
}

/** An instance to store. */
export interface Instance {
  readonly sopClass: string;
  readonly sopInstance: string;
  readonly dataSet: Buffer;
}

export class ScuAssociation extends DicomConnection {
  /** The A-ASSOCIATE-RQ as sent. */
  readonly request: Buffer;
  /** How the request was answered. */
  outcome: 'accepted' | 'rejected' | 'aborted' | 'end' | 'reset' | 'garbage' = 'garbage';
  /** `result/source/reason` or `source/reason` when it was rejected or aborted. */
  code: string | undefined;
  /** The answer, byte for byte: A-ASSOCIATE-AC, A-ASSOCIATE-RJ or A-ABORT. */
  answer: Buffer = Buffer.alloc(0);
  /** Context id → transfer syntax. */
  accepted = new Map<number, string>();
  #messageId = 0;

  constructor(connection: TestConnection, request: Buffer) {
    super(connection);
    this.request = request;
  }

  /** Waits for the answer to the request. */
  async receiveAnswer(): Promise<void> {
    try {
      const { type, bytes } = await this.readPdu('the answer to an A-ASSOCIATE-RQ');
      this.answer = bytes;
      if (type === PDU_TYPE.AC) {
        this.outcome = 'accepted';
        ({ accepted: this.accepted, maxLength: this.maxLength } = readAccept(bytes));
      } else if (type === PDU_TYPE.RJ || type === PDU_TYPE.ABORT) {
        this.outcome = type === PDU_TYPE.RJ ? 'rejected' : 'aborted';
        this.code = codeOf(bytes);
      }
    } catch (error) {
      if (!(error instanceof ConnectionEnded)) throw error;
      this.outcome = error.ending;
    }
  }

  /** The accepted context of an abstract syntax; throws when there is none. */
  contextFor(abstractSyntax: string): number {
    const context = readRequest(this.request).contexts.find(
      (one) => one.abstractSyntax === abstractSyntax && this.accepted.has(one.id),
    );
    if (!context) throw new Error(`${abstractSyntax} was not accepted`);
    return context.id;
  }

  /** C-ECHO; its status. */
  async echo(): Promise<number> {
    return this.operate({ field: COMMAND.C_ECHO_RQ, sopClass: VERIFICATION, hasDataSet: false });
  }

  /** C-STORE; its status. */
  async store(instance: Instance, priority = 0): Promise<number> {
    const { sopClass, sopInstance, dataSet } = instance;
    return this.operate(
      { field: COMMAND.C_STORE_RQ, sopClass, sopInstance, priority, hasDataSet: true },
      dataSet,
    );
  }

  /** Sends a request and does not wait for its response; its message id. */
  async start(command: Command, dataSet?: Buffer): Promise<number> {
    const messageId = ++this.#messageId;
    await this.send(this.contextFor(command.sopClass ?? VERIFICATION), { ...command, messageId }, dataSet);
    return messageId;
  }

  /** Sends a request and waits for its last response; its status. Pending responses are read over. */
  async operate(command: Command, dataSet?: Buffer): Promise<number> {
    const messageId = await this.start(command, dataSet);
    for (;;) {
      const arrival = await this.next();
      if (arrival.kind !== 'message')
        throw new Error(`a response was awaited, there came: ${nameOf(arrival)}`);
      const { respondsTo, status } = arrival.command;
      if (respondsTo !== messageId)
        throw new Error(`a response to ${messageId} was awaited, not to ${respondsTo}`);
      if (status !== undefined && (status & 0xff00) !== 0xff00) return status;
    }
  }

  /** A-RELEASE, and the end of the connection. */
  async release(): Promise<void> {
    await this.write(releaseRequest());
    const arrival = await this.next();
    if (arrival.kind === 'release-request') await this.write(releaseResponse());
    else if (arrival.kind !== 'release-response')
      throw new Error(`no release response but: ${nameOf(arrival)}`);
    this.connection.end();
    await this.connection.ending;
  }

  /** A-ABORT, and FIN. */
  async abort(source = 0, reason = 0): Promise<void> {
    await this.write(abort(source, reason));
    this.connection.end();
  }

  /** Reads on until the association is over; how it ended, as this side sees it. */
  async waitForEnd(): Promise<{ end: 'abort' | 'end' | 'reset'; code?: string }> {
    for (;;) {
      const arrival = await this.next();
      if (arrival.kind === 'abort') {
        this.connection.end();
        return { end: 'abort', code: codeOf(arrival.pdu.bytes) };
      }
      if (arrival.kind === 'ended') {
        this.connection.end();
        return { end: arrival.ending };
      }
    }
  }
}

/** Connects and sends the request, and does not wait for the answer (`receiveAnswer`). */
export async function requestAssociation(to: Address, options: ScuOptions = {}): Promise<ScuAssociation> {
  const connection = await openConnection(to, options.localAddress);
  const association = new ScuAssociation(connection, options.request ?? associateRequest(options));
  await association.write(association.request);
  return association;
}

/** Connects, asks for an association, and waits for the answer: look at `outcome`. */
export async function associate(to: Address, options: ScuOptions = {}): Promise<ScuAssociation> {
  const association = await requestAssociation(to, options);
  await association.receiveAnswer();
  if (association.outcome !== 'accepted') association.connection.end();
  return association;
}

/** Associates, echoes, releases; `0000` or what stood in the way (`rejected 2/3/1`, `reset`, …). */
export async function echoOnce(to: Address, options: ScuOptions = {}): Promise<string> {
  const association = await associate(to, options);
  if (association.outcome !== 'accepted') return `${association.outcome} ${association.code ?? ''}`.trim();
  const status = await association.echo();
  await association.release();
  return status.toString(16).padStart(4, '0');
}

function nameOf(arrival: Arrival): string {
  if (arrival.kind === 'abort') return `abort ${codeOf(arrival.pdu.bytes)}`;
  return arrival.kind === 'ended' ? arrival.ending : arrival.kind;
}
