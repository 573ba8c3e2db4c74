/**
 * Storage commitment (PS3.4 J) over several servers: a request names SOP instances, which may be on several of them.
 * Then each server is asked for its own under a Transaction UID of ours, and what they report comes together under the
 * UID of the client.
 */
import type { Table } from '../../../tables/table.ts';

/** Storage Commitment Push Model (PS3.4 J.3.5), and its one instance. */
export const STORAGE_COMMITMENT = '1.2.840.10008.1.20.1';
/** N-ACTION: Request Storage Commitment (PS3.4 J.3.2.1.1). */
export const REQUEST_COMMITMENT = 1;

export interface Commitment {
  /** An N-ACTION-RQ of that class and action type. */
  request(dataSet: Buffer, transferSyntax: string, from: Asking): Requested | Refused;
  /** An N-EVENT-REPORT-RQ of that class. */
  report(dataSet: Buffer, transferSyntax: string): Report | 'answered';
}

export interface Asking {
  /** The calling AE title, which the report is for. */
  readonly ae: string;
  /** The place of the lead: what nobody knows goes there too. undefined: it has none. */
  readonly lead: string | undefined;
  /** May that server be asked now? With shared storage the lead is, instead of one that may not. */
  readonly canReach: (place: string) => boolean;
}

export interface Requested {
  /** At least one. When it is only one, its data set is the client's own, the same buffer. */
  readonly parts: readonly {
    /** undefined: the lead. */
    readonly place: string | undefined;
    readonly dataSet: Buffer;
  }[];
  /**
   * A server did not take its part: the client has been told so. What is reported of the others is answered here, and
   * nobody hears of it.
   */
  withdraw(): void;
}

/** The status of the N-ACTION-RSP. */
export interface Refused {
  readonly refuse: number;
}

/** `answered`: a part of a transaction that is not whole yet: the server is told success, the client nothing. */
export interface Report {
  /** The data set for whoever asked: the same buffer when nothing in it had to change. */
  readonly deliver: Buffer;
  /** Event Type ID (0000,1002) that goes with it; undefined: the server's own. */
  readonly eventType: number | undefined;
  /** The AE title of whoever asked; undefined: not known. */
  readonly toAe: string | undefined;
  /** It took the report: whichever part is reported again is answered here. */
  delivered(): void;
}

export interface CommitmentOptions {
  readonly placeOf: (sopInstance: string) => string | undefined;
  readonly transactions: Table;
  readonly storage: 'shared' | 'separate';
  readonly randomBytes: (count: number) => Buffer;
}

export function createCommitment(options: CommitmentOptions): Commitment {
  const { transactions } = options;
  return {
    request: (dataSet) => ({ parts: [{ place: undefined, dataSet }], withdraw: () => {} }),
    report: (dataSet) => ({
      deliver: dataSet,
      eventType: undefined,
      toAe: transactions.serverOf(''),
      delivered: () => {},
    }),
  };
}
