/**
 * Storage commitment (PS3.4 J) over several servers: a request names SOP instances, which may be on several of them.
 * Then each server is asked for its own under a Transaction UID of ours, and what they report comes together under the
 * UID of the client.
 */
import { type DataSet, textOf } from '../../../../protocols/dicom/data-set.ts';
import { TAG } from '../../../../protocols/dicom/tags.ts';
import type { Table } from '../../../tables/table.ts';
import {
  LARGEST_COMMITMENT,
  mergedReport,
  readCommitment,
  referencesIn,
  requestFor,
  writeCommitment,
} from './commitment-data.ts';
import { LONGEST_UID, type PartReport, Transactions } from './transactions.ts';

/** Storage Commitment Push Model (PS3.4 J.3.5). */
export const STORAGE_COMMITMENT = '1.2.840.10008.1.20.1';
/** N-ACTION: Request Storage Commitment (PS3.4 J.3.2.1.1). */
export const REQUEST_COMMITMENT = 1;
/** N-EVENT-REPORT: Storage Commitment Request Complete, with failures or without (PS3.4 J.3.3.1.1). */
const EVENT = { SUCCESSFUL: 1, FAILURES_EXIST: 2 } as const;

/** Processing failure (PS3.7 C.5.21): the client keeps its instances, and may ask again. */
const PROCESSING_FAILURE = 0x0110;

export interface Commitment {
  /** An N-ACTION-RQ of that class and action type. */
  request(dataSet: Buffer, transferSyntax: string, from: Asking): Requested | Refused;
  /** An N-EVENT-REPORT-RQ of that class. */
  report(dataSet: Buffer, transferSyntax: string): Report | 'answered';
}

export interface Asking {
  /** The calling AE title, which the report is for. */
  readonly ae: string;
  /** The place of the lead: with shared storage, what nobody knows goes there too. undefined: it has none now. */
  readonly lead: string | undefined;
  /** May that server be asked now? With shared storage the lead is, instead of one that may not. */
  readonly canReach: (place: string) => boolean;
}

export interface Requested {
  /** At least one. When it is only one, its data set is the client's own, the same buffer. */
  readonly parts: readonly CommitmentPart[];
  /**
   * A server did not take its part, and the client is told so. What is reported of the others is answered here, and
   * nobody hears of it.
   */
  readonly withdraw: () => void;
}

export interface CommitmentPart {
  /** undefined: the lead. */
  readonly place: string | undefined;
  readonly dataSet: Buffer;
}

/** The status of the N-ACTION-RSP. */
export interface Refused {
  readonly refuse: number;
  /** For the operator. */
  readonly why: string;
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
  readonly delivered: () => void;
}

export interface CommitmentOptions {
  readonly placeOf: (sopInstance: string) => string | undefined;
  readonly transactions: Table;
  readonly storage: 'shared' | 'separate';
  /**
   * What servers report on associations of their own comes through this balancer. If not, nothing is split: the parts
   * would reach the client one by one, under UIDs that it does not know.
   */
  readonly hasEgress: boolean;
  /** So many random bytes. */
  readonly randomBytes: (count: number) => Buffer;
}

export function createCommitment(options: CommitmentOptions): Commitment {
  return new TableCommitment(options);
}

/** Place → indices of the instances that are there; undefined is the lead. */
type Groups = ReadonlyMap<string | undefined, ReadonlySet<number>>;

class TableCommitment implements Commitment {
  readonly #options: CommitmentOptions;
  readonly #transactions: Transactions;

  constructor(options: CommitmentOptions) {
    this.#options = options;
    this.#transactions = new Transactions(options.transactions, LARGEST_COMMITMENT);
  }

  request(bytes: Buffer, transferSyntax: string, from: Asking): Requested | Refused {
    const dataSet = readCommitment(bytes, transferSyntax);
    const uid = dataSet && uidIn(textOf(dataSet, TAG.TRANSACTION_UID));
    // Its server says what is wrong with it.
    if (!dataSet || uid === undefined) return whole(from.lead, bytes);
    const groups = this.#groups(referencesIn(dataSet), from);
    if (!groups) return { refuse: PROCESSING_FAILURE, why: 'nobody knows where its instances are' };
    const { storage, hasEgress } = this.#options;
    const isOnSeveral = groups.size > 1;
    if (isOnSeveral && hasEgress) return this.#split(dataSet, uid, transferSyntax, groups, from.ae);
    if (isOnSeveral && storage === 'separate')
      return { refuse: PROCESSING_FAILURE, why: 'its instances are on several servers: configure an egress' };
    this.#transactions.begin(uid, { ae: from.ae });
    const [place = from.lead] = isOnSeveral ? [] : groups.keys();
    return { ...whole(place, bytes), withdraw: () => this.#transactions.withdraw(uid) };
  }

  #split(dataSet: DataSet, uid: string, transferSyntax: string, groups: Groups, ae: string): Requested {
    const parts = [...groups].map(([place, wanted]) => ({ place, wanted, uid: this.#newUid() }));
    this.#transactions.begin(uid, { ae, parts: parts.map((part) => part.uid) });
    return {
      parts: parts.map((part) => ({
        place: part.place,
        dataSet: writeCommitment(requestFor(dataSet, part.uid, part.wanted), transferSyntax),
      })),
      withdraw: () => this.#transactions.withdraw(uid),
    };
  }

  report(bytes: Buffer, transferSyntax: string): Report | 'answered' {
    const dataSet = readCommitment(bytes, transferSyntax);
    const uid = dataSet && uidIn(textOf(dataSet, TAG.TRANSACTION_UID));
    const asItIs = { deliver: bytes, eventType: undefined };
    if (uid === undefined) return { ...asItIs, toAe: undefined, delivered: () => {} };
    const of = this.#transactions.wholeOf(uid);
    if (of === undefined) return { ...asItIs, toAe: this.#transactions.get(uid)?.ae, delivered: () => {} };
    const transaction = this.#transactions.get(of);
    if (!transaction?.parts?.includes(uid) || transaction.told) return 'answered';
    this.#transactions.keep(uid, { dataSet: bytes, transferSyntax });
    const reports = transaction.parts.map((part) => this.#transactions.reported(part));
    if (!reports.every(isThere)) return 'answered';
    const { merged, hasFailures } = mergedReport(of, reports);
    return {
      deliver: writeCommitment(merged, transferSyntax),
      eventType: hasFailures ? EVENT.FAILURES_EXIST : EVENT.SUCCESSFUL,
      toAe: transaction.ae,
      delivered: () => this.#transactions.told(of),
    };
  }

  /** undefined: nobody knows where one of them is, and only one of the archives has it. */
  #groups(instances: readonly (string | undefined)[], { lead, canReach }: Asking): Groups | undefined {
    const { placeOf, storage } = this.#options;
    const groups = new Map<string | undefined, Set<number>>();
    for (const [index, instance] of instances.entries()) {
      let place = instance === undefined ? undefined : placeOf(instance);
      if (place === undefined && storage === 'separate') return undefined;
      if (storage === 'shared' && (place === undefined || !canReach(place))) place = lead;
      let group = groups.get(place);
      if (!group) {
        group = new Set();
        groups.set(place, group);
      }
      group.add(index);
    }
    return groups;
  }

  /** A UID from a random UUID (PS3.5 B.2). */
  #newUid(): string {
    const bytes = this.#options.randomBytes(16);
    bytes[6] = (bytes[6]! & 0x0f) | 0x40;
    bytes[8] = (bytes[8]! & 0x3f) | 0x80;
    return `2.25.${BigInt(`0x${bytes.toString('hex')}`)}`;
  }
}

function whole(place: string | undefined, dataSet: Buffer): Requested {
  return { parts: [{ place, dataSet }], withdraw: () => {} };
}

function uidIn(text: string | undefined): string | undefined {
  return text !== undefined && text.length <= LONGEST_UID ? text : undefined;
}

function isThere(report: PartReport | undefined): report is PartReport {
  return report !== undefined;
}
