/** A DICOM server that a test scripts: it accepts, refuses, stalls, resets, dribbles, lies. */
import { COMMAND, responseTo } from './commands.ts';
import { codeOf, DicomConnection, type DimseMessage } from './dicom-peer.ts';
import {
  type AcceptOptions,
  abort,
  associateAccept,
  associateReject,
  type ParsedRequest,
  pData,
  readRequest,
  releaseResponse,
} from './pdus.ts';
import { type Address, ConnectionEnded, type TestConnection, TestListener } from './test-connection.ts';
import { Journal } from './waiting.ts';

/** One connection that came in, and what is known of it so far. */
export class ScpAssociation extends DicomConnection {
  /** The A-ASSOCIATE-RQ, byte for byte; empty before it came. */
  request: Buffer = Buffer.alloc(0);
  parsed: ParsedRequest | undefined;
  /** The A-ASSOCIATE-AC, byte for byte, once sent. */
  accept: Buffer | undefined;
  /** DIMSE requests received whole. */
  readonly messages: DimseMessage[] = [];
  end: 'open' | 'release' | 'abort' | 'end' | 'reset' = 'open';
  /** `source/reason` of an A-ABORT that came. */
  abortCode: string | undefined;
  readonly #changed: () => void;

  constructor(connection: TestConnection, changed: () => void) {
    super(connection);
    this.#changed = changed;
  }

  async receiveRequest(): Promise<void> {
    this.request = (await this.readPdu('an A-ASSOCIATE-RQ')).bytes;
    this.parsed = readRequest(this.request);
    this.maxLength = this.parsed.maxLength;
    this.#changed();
  }

  async sendAccept(options?: AcceptOptions): Promise<void> {
    this.accept = associateAccept(this.request, options);
    await this.write(this.accept);
    this.#changed();
  }

  record(message: DimseMessage): void {
    this.messages.push(message);
    this.#changed();
  }

  ended(end: ScpAssociation['end'], abortCode?: string): void {
    this.end = end;
    this.abortCode = abortCode;
    this.#changed();
  }
}

/** What the server does with a connection. */
export type ScpScript = (association: ScpAssociation) => Promise<void>;

export interface ScpOptions extends AcceptOptions {
  /** Awaited before the A-ASSOCIATE-AC is sent. */
  readonly holdAccept?: Promise<void>;
  /** Awaited before each response. */
  readonly holdResponse?: Promise<void>;
  /** Status of a response; undefined: none is sent. Default: success. */
  readonly status?: (message: DimseMessage, association: ScpAssociation) => number | undefined;
  /** Requests that are answered in another way than by one response; true when it did. */
  readonly answer?: (message: DimseMessage, association: ScpAssociation) => Promise<boolean>;
}

/** Accepts every association and answers every request. */
export function accepting(options: ScpOptions = {}): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    await options.holdAccept;
    await association.sendAccept(options);
    await serve(association, options);
  };
}

/** The rest of an association after its accept: requests are answered until it is released, aborted or lost. */
export async function serve(association: ScpAssociation, options: ScpOptions = {}): Promise<void> {
  for (;;) {
    const arrival = await association.next();
    if (arrival.kind === 'message') {
      association.record(arrival);
      await options.holdResponse;
      if (await options.answer?.(arrival, association)) continue;
      // A C-CANCEL has no response of its own; a response needs none.
      if (arrival.command.field === COMMAND.C_CANCEL_RQ || arrival.command.field & 0x8000) continue;
      const status = options.status ? options.status(arrival, association) : 0;
      if (status === undefined) continue;
      await association.send(arrival.contextId, responseTo(arrival.command, status));
    } else if (arrival.kind === 'release-request') {
      await association.write(releaseResponse());
      association.ended('release');
      await association.connection.ending;
      association.connection.end();
      return;
    } else if (arrival.kind === 'abort') {
      association.ended('abort', codeOf(arrival.pdu.bytes));
      association.connection.end();
      return;
    } else if (arrival.kind === 'ended') {
      association.ended(arrival.ending);
      association.connection.end();
      return;
    }
  }
}

/** Answers every request with this A-ASSOCIATE-RJ. */
export function rejecting(result: number, source: number, reason: number): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    await association.write(associateReject(result, source, reason));
    association.ended(await association.connection.ending);
    association.connection.end();
  };
}

/** Takes the connection and the request, and says nothing until the other side gives up. */
export function stalling(): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    await noteEnd(association);
  };
}

/** Resets: as soon as TCP is up, or once the request came. */
export function resetting(when: 'connected' | 'requested' = 'requested'): ScpScript {
  return async (association) => {
    if (when === 'requested') await association.receiveRequest();
    association.connection.reset();
  };
}

/** Closes in order (FIN) instead of answering. */
export function closing(): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    association.connection.end();
  };
}

/** Answers the request with an A-ABORT. */
export function aborting(source = 0, reason = 0): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    await association.write(abort(source, reason));
    association.connection.end();
  };
}

/** Answers with bytes that are no PDU. */
export function talkingGarbage(bytes: Buffer = Buffer.from('HTTP/1.0 400 Bad Request\r\n\r\n')): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    await association.write(bytes);
    await noteEnd(association);
  };
}

/** Sends its accept a byte at a time, `everyMs` apart; serves as usual when it got that far. */
export function dribbling(everyMs = 0, options: ScpOptions = {}): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    association.accept = associateAccept(association.request, options);
    await association.connection.dribble(association.accept, everyMs);
    await serve(association, options);
  };
}

/** Accepts, and at the first request sends half of a P-DATA-TF and resets: the client is inside a PDU when it happens. */
export function dyingInsidePdu(options: ScpOptions = {}): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    await association.sendAccept(options);
    const arrival = await association.next();
    if (arrival.kind !== 'message') return;
    association.record(arrival);
    const whole = pData(arrival.contextId, 'command', true, Buffer.alloc(200));
    await association.write(whole.subarray(0, 100));
    association.connection.reset();
  };
}

/** Accepts, and resets once `bytes` came in after its accept: usually inside a PDU towards it. */
export function dyingAfter(bytes: number, options: ScpOptions = {}): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    await association.sendAccept(options);
    await association.connection.read(bytes);
    association.connection.reset();
  };
}

/** Reads on until the peer ends the association, and notes how. */
export async function noteEnd(association: ScpAssociation): Promise<void> {
  for (;;) {
    const arrival = await association.next();
    if (arrival.kind === 'abort') return association.ended('abort', codeOf(arrival.pdu.bytes));
    if (arrival.kind === 'ended') return association.ended(arrival.ending);
  }
}

export interface Scp {
  readonly address: Address;
  /** `host:port`, as configurations want it. */
  readonly endpoint: string;
  /** What happens to the connections that come from now on. */
  script: ScpScript;
  /** Every connection that came, in order. */
  readonly associations: Journal<ScpAssociation>;
  /** DIMSE requests received, over all associations. */
  messages(): DimseMessage[];
  /** As a killed process: nothing listens, open connections are reset. */
  stop(): Promise<void>;
  /** Nothing listens any more, open connections live on. */
  refuse(): Promise<void>;
  /** Listens again, on the same port. */
  restart(): Promise<void>;
}

/** Starts a scripted server on a free port. */
export async function startScp(script: ScpScript = accepting()): Promise<Scp> {
  const associations = new Journal<ScpAssociation>('associations');
  const listener = new TestListener((connection) => {
    const association = new ScpAssociation(connection, () => associations.changed());
    associations.add(association);
    scp.script(association).catch((error: unknown) => {
      if (error instanceof ConnectionEnded) {
        association.ended(error.ending);
        connection.end();
      } else if (!connection.socket.destroyed) connection.socket.destroy(error as Error);
    });
  });
  await listener.start();
  const scp: Scp = {
    address: listener.address,
    endpoint: `${listener.address.host}:${listener.address.port}`,
    script,
    associations,
    messages: () => associations.items.flatMap((association) => association.messages),
    stop: () => listener.stop(),
    refuse: () => listener.refuse(),
    restart: () => listener.start(),
  };
  return scp;
}
