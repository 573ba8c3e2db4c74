/**
 * What a VIP with study routing remembers over associations: where MPPS objects and instances are, and who asked for
 * which storage commitment (PS3.4 F and J). A place is `POOL/SERVER`; nothing here knows more of it than that.
 */
import type { Table } from '../../../tables/table.ts';
import { type Commitment, createCommitment } from './commitment.ts';
import { instanceKey } from './instance-key.ts';
import { LONGEST_UID } from './transactions.ts';

/** Modality Performed Procedure Step (PS3.4 F.7). */
export const PERFORMED_PROCEDURE_STEP = '1.2.840.10008.3.1.2.3.3';

export interface Affinity {
  /** A C-STORE of this SOP instance ended well there (success or a warning). */
  stored(sopInstance: string, place: string): void;
  /** An N-CREATE of the Modality Performed Procedure Step class ended well there. */
  mppsCreated(sopInstance: string, place: string): void;
  /** Where N-SET and N-GET of this performed procedure step go; undefined: nobody knows it. */
  mppsPlace(sopInstance: string): string | undefined;
  readonly commitment: Commitment;
}

export interface AffinityOptions {
  /** SOP Instance UID → place. */
  readonly mpps: Table;
  /** `instanceKey` → place. */
  readonly instances: Table;
  /** See transactions.ts. */
  readonly transactions: Table;
  readonly storage: 'shared' | 'separate';
  /** What servers report on associations of their own comes through this balancer. */
  readonly hasEgress: boolean;
  /** So many random bytes. */
  readonly randomBytes: (count: number) => Buffer;
}

export function createAffinity(options: AffinityOptions): Affinity {
  return new TableAffinity(options);
}

class TableAffinity implements Affinity {
  readonly commitment: Commitment;
  readonly #mpps: Table;
  readonly #instances: Table;
  /** Of equal texts, the one that entries keep: there may be half a million of them. */
  readonly #places = new Map<string, string>();

  constructor(options: AffinityOptions) {
    const { mpps, instances } = options;
    this.#mpps = mpps;
    this.#instances = instances;
    const placeOf = (sopInstance: string) => instances.serverOf(instanceKey(sopInstance));
    this.commitment = createCommitment({ ...options, placeOf });
  }

  stored(sopInstance: string, place: string): void {
    this.#put(this.#instances, instanceKey(sopInstance), place);
  }

  mppsCreated(sopInstance: string, place: string): void {
    if (sopInstance.length <= LONGEST_UID) this.#put(this.#mpps, sopInstance, place);
  }

  mppsPlace(sopInstance: string): string | undefined {
    return this.#mpps.serverOf(sopInstance);
  }

  #put(table: Table, key: string, place: string): void {
    let one = this.#places.get(place);
    if (one === undefined) {
      one = place;
      this.#places.set(place, one);
    }
    table.confirm(table.claim(key, one), true);
  }
}
