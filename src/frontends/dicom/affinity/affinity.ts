/**
 * What a VIP with study routing remembers over associations: where instances and performed procedure steps are, and who
 * asked for which storage commitment (PS3.4 F and J). A place is `POOL/SERVER`; nothing here knows more of it than that.
 */
import { COMMAND, type Command } from '../../../../protocols/dicom/command-set.ts';
import { type StatusClass, statusClass } from '../../../../protocols/dicom/status.ts';
import type { Table } from '../../../tables/table.ts';
import { type Commitment, createCommitment } from './commitment.ts';
import { instanceKey } from './instance-key.ts';
import { LONGEST_UID } from './transactions.ts';

export interface Affinity {
  /** Who asks: clients, or servers that come to the egress. */
  readonly side: 'clients' | 'servers';
  /**
   * A server gave its final answer: where an instance is stored is remembered (C-STORE), and where an object was made
   * that later requests name, such as a performed procedure step (N-CREATE).
   */
  answered(request: Command, response: Command, place: string): void;
  /** Where the object is that N-SET, N-GET, N-ACTION or N-DELETE name; undefined: nobody knows it. */
  placeOf(request: Command): string | undefined;
  readonly commitment: Commitment;
}

export interface AffinityOptions {
  /** SOP Instance UID of what an N-CREATE made → place. */
  readonly objects: Table;
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

/** For the egress of the same VIP: what servers store there is nothing to be found again. */
export function affinityOfEgress({ commitment }: Affinity): Affinity {
  return { side: 'servers', answered() {}, placeOf: () => undefined, commitment };
}

/** With these a server has done it. */
const DONE: ReadonlySet<StatusClass> = new Set(['success', 'warning']);

class TableAffinity implements Affinity {
  readonly side = 'clients';
  readonly commitment: Commitment;
  readonly #objects: Table;
  readonly #instances: Table;
  /** Of equal texts, the one that entries keep: there may be half a million of them. */
  readonly #places = new Map<string, string>();

  constructor(options: AffinityOptions) {
    const { objects, instances } = options;
    this.#objects = objects;
    this.#instances = instances;
    const placeOf = (sopInstance: string) => instances.serverOf(instanceKey(sopInstance));
    this.commitment = createCommitment({ ...options, placeOf });
  }

  answered({ commandField, affectedSopInstance }: Command, response: Command, place: string): void {
    if (response.status === undefined || !DONE.has(statusClass(response.status))) return;
    if (commandField === COMMAND.C_STORE && affectedSopInstance !== undefined) {
      this.#put(this.#instances, instanceKey(affectedSopInstance), place);
    } else if (commandField === COMMAND.N_CREATE) {
      // The server names what it made when the client does not (PS3.7 10.1.5.1.3).
      const made = response.affectedSopInstance ?? affectedSopInstance;
      if (made !== undefined && made.length <= LONGEST_UID) this.#put(this.#objects, made, place);
    }
  }

  placeOf({ requestedSopInstance }: Command): string | undefined {
    return requestedSopInstance === undefined ? undefined : this.#objects.serverOf(requestedSopInstance);
  }

  #put(table: Table, key: string, place: string): void {
    let one = this.#places.get(place);
    if (one === undefined) {
      one = place;
      this.#places.set(place, one);
    }
    table.put(key, one);
  }
}
