/**
 * Keeps the operations of one association, fed with the commands of both directions. An operation is open from its
 * request until its final response: a pending status (FF00H, FF01H) does not end it. C-CANCEL opens none.
 */
import { COMMAND, type Command, isResponse, operationName } from './command-set.ts';
import { hex16, isPending, statusClass } from './status.ts';

export type Direction = 'toServer' | 'toClient';

/** How a server did: `refused` is out of resources (A7xxH). Warnings and cancelled operations are successes. */
export type Outcome = 'success' | 'failure' | 'refused';

export interface OperationsOptions {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** The client asked the server for something. */
  readonly started?: () => void;
  /** What the client asked for got its final response, `ms` after the request was whole. */
  readonly ended?: (ms: number, outcome: Outcome, kind: string, status: number) => void;
}

export interface Operations {
  /** Takes a command that passed in `direction`. */
  command(command: Command, direction: Direction): void;
  /** Takes the end of a data set that passed in `direction`: from here on a server's time is counted. */
  dataEnd(direction: Direction): void;
  /** Forgets what is open, for the association is over: `ended` is not called for it. */
  abandon(): void;
  /** Requests without a final response, those of both peers (C-GET sub-operations, N-EVENT-REPORT). */
  readonly inFlight: number;
  /** Nothing is in flight and no data set is under way: the association may be ended here without losing anything. */
  readonly atSafePoint: boolean;
  /** Operation → final status, four hexadecimal digits → count. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Responses that answered no open request. */
  readonly unmatched: number;
}

/** Distinct statuses that are counted apart for each operation; the log line stays short whatever a peer sends. */
const STATUS_CAP = 32;

interface Operation {
  readonly kind: string;
  readonly direction: Direction;
  since: number;
}

export function createOperations(options: OperationsOptions): Operations {
  return new OpenOperations(options);
}

class OpenOperations implements Operations {
  readonly #options: OperationsOptions;
  /** Message ids are unique per direction: each has its own table of open requests. */
  readonly #open: Record<Direction, Map<number, Operation>> = { toServer: new Map(), toClient: new Map() };
  /** The request whose data set is under way. */
  readonly #uploading: Record<Direction, Operation | undefined> = {
    toServer: undefined,
    toClient: undefined,
  };
  readonly #dataUnderWay: Record<Direction, boolean> = { toServer: false, toClient: false };
  readonly #counts: Record<string, Record<string, number>> = {};
  #unmatched = 0;

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#open.toServer.size + this.#open.toClient.size;
  }

  get atSafePoint(): boolean {
    return this.inFlight === 0 && !this.#dataUnderWay.toServer && !this.#dataUnderWay.toClient;
  }

  get counts(): Operations['counts'] {
    return this.#counts;
  }

  get unmatched(): number {
    return this.#unmatched;
  }

  command(command: Command, direction: Direction): void {
    this.#dataUnderWay[direction] = command.hasDataSet;
    this.#uploading[direction] = undefined;
    if (command.commandField === COMMAND.C_CANCEL) return;
    if (isResponse(command.commandField))
      this.#answer(command, direction === 'toServer' ? 'toClient' : 'toServer');
    else this.#ask(command, direction);
  }

  dataEnd(direction: Direction): void {
    this.#dataUnderWay[direction] = false;
    const operation = this.#uploading[direction];
    if (operation) operation.since = this.#options.now();
    this.#uploading[direction] = undefined;
  }

  abandon(): void {
    this.#open.toServer.clear();
    this.#open.toClient.clear();
    this.#dataUnderWay.toServer = false;
    this.#dataUnderWay.toClient = false;
  }

  #ask(command: Command, direction: Direction): void {
    if (command.messageId === undefined) return;
    const open = this.#open[direction];
    const isNew = !open.has(command.messageId);
    const kind = operationName(command.commandField) ?? 'unknown';
    const operation: Operation = { kind, direction, since: this.#options.now() };
    open.set(command.messageId, operation);
    if (command.hasDataSet) this.#uploading[direction] = operation;
    // A message id that is used again while it is open counts once: it can be answered only once.
    if (isNew && direction === 'toServer') this.#options.started?.();
  }

  #answer(command: Command, asked: Direction): void {
    const status = command.status ?? 0;
    if (isPending(status)) return;
    const open = this.#open[asked];
    const operation = open.get(command.messageIdRespondedTo ?? -1);
    if (!operation) {
      this.#unmatched++;
      return;
    }
    open.delete(command.messageIdRespondedTo!);
    this.#count(operation.kind, status);
    if (asked === 'toServer') {
      this.#options.ended?.(this.#options.now() - operation.since, outcomeOf(status), operation.kind, status);
    }
  }

  #count(kind: string, status: number): void {
    this.#counts[kind] ??= {};
    const statuses = this.#counts[kind];
    let text = hex16(status);
    if (statuses[text] === undefined && Object.keys(statuses).length >= STATUS_CAP) text = 'other';
    statuses[text] = (statuses[text] ?? 0) + 1;
  }
}

export function outcomeOf(status: number): Outcome {
  const kind = statusClass(status);
  return kind === 'failure' || kind === 'refused' ? kind : 'success';
}
