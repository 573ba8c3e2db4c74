/** Where an operation belongs, by what is known of it: decided here, and carried out in placement.ts. */
import { COMMAND, type Command } from '../../../../protocols/dicom/command-set.ts';
import type { Facts } from '../../../../protocols/facts.ts';
import type { Choice, Director, Whereabouts } from '../../../director/director.ts';
import type { Server } from '../../../pools/server.ts';
import { STATUS, unavailableStatus } from './operation.ts';

export type Destination =
  | { readonly to: 'lead' }
  /** This server and no other. */
  | { readonly to: 'server'; readonly server: Server }
  /** The candidates of a choice. */
  | { readonly to: 'choice'; readonly choice: Choice }
  | { readonly to: 'nobody'; readonly status: number; readonly why: string };

export interface Circumstances {
  readonly director: Director;
  readonly storage: 'shared' | 'separate';
  /** The name of the pool that the lead is of. */
  readonly leadPool: string | undefined;
  readonly choose: (facts: Facts) => Choice;
  /** What is remembered of the object that a request names: `POOL/SERVER`. */
  readonly placeOf: (command: Command) => string | undefined;
  /** The server of a place, unless it may not have work now. */
  readonly serverAt: (place: string) => Server | undefined;
}

const LEAD: Destination = { to: 'lead' };

/** `facts`: those of the message, when it has a data set that was looked into. */
export function destinationOf(
  command: Command,
  facts: Facts | undefined,
  circumstances: Circumstances,
): Destination {
  if (!facts) return ofObject(command, circumstances);
  if (command.commandField === COMMAND.C_STORE) return ofInstance(facts, circumstances);
  if (command.commandField === COMMAND.N_EVENT_REPORT) return ofReport(facts, circumstances);
  return ofQuery(command, facts, circumstances);
}

/** Where the director has its study; what no key brings back anywhere stays with the lead. */
function ofInstance(facts: Facts, { choose, leadPool }: Circumstances): Destination {
  const choice = choose(facts);
  if (choice.reject !== undefined)
    return { to: 'nobody', status: STATUS.SOP_CLASS_NOT_SUPPORTED, why: 'no rule takes it' };
  const isForAnybody = !choice.persistence && !choice.urgent && choice.pool?.name === leadPool;
  return isForAnybody ? LEAD : { to: 'choice', choice };
}

/** Where the AE title leads that asked for what is reported. */
function ofReport(facts: Facts, { choose, leadPool }: Circumstances): Destination {
  const choice = choose(facts);
  const isElsewhere = choice.reject === undefined && choice.pool?.name !== leadPool;
  return isElsewhere ? { to: 'choice', choice } : LEAD;
}

/** Where the object is that the request names, such as a performed procedure step; what names none is for the lead. */
function ofObject(command: Command, { placeOf, serverAt, storage }: Circumstances): Destination {
  const place = placeOf(command);
  if (place === undefined) return LEAD;
  const server = serverAt(place);
  if (server) return { to: 'server', server };
  if (storage === 'shared') return LEAD;
  return { to: 'nobody', status: STATUS.PROCESSING_FAILURE, why: 'the server that has the object is away' };
}

/**
 * Where its study is, else where a rule sends it, else where its images were sent by rules that do not say so of queries
 * (such as by modality), else the lead.
 */
function ofQuery(command: Command, facts: Facts, circumstances: Circumstances): Destination {
  const { director, storage, leadPool, choose } = circumstances;
  const hasStudy = facts.get('study') !== undefined;
  const known = hasStudy && ofPlace(director.whereabouts(facts), command, storage);
  if (known) return known;
  const choice = choose(facts);
  if (choice.reject === undefined && choice.pool?.name !== leadPool) return { to: 'choice', choice };
  if (hasStudy) return ofPlace(director.whereabouts(facts, { inAnyPool: true }), command, storage) ?? LEAD;
  if (storage === 'separate' && asksAll(command))
    return {
      to: 'nobody',
      status: STATUS.UNABLE_TO_PROCESS,
      why: 'no rule says which pool sees all studies',
    };
  return LEAD;
}

/** undefined: it may be answered elsewhere. */
function ofPlace(
  place: Whereabouts | undefined,
  command: Command,
  storage: Circumstances['storage'],
): Destination | undefined {
  if (place?.server) return { to: 'server', server: place.server };
  if (!place || storage === 'shared') return undefined;
  return { to: 'nobody', status: unavailableStatus(command), why: 'the server that has the study is away' };
}

/** Of independent archives, each one would answer for a part of the studies as if that were all. */
function asksAll({ affectedSopClass }: Command): boolean {
  // Patient Root, Study Root and Patient/Study Only Query/Retrieve (PS3.4 C.6), not worklists.
  return affectedSopClass?.startsWith('1.2.840.10008.5.1.4.1.2.') === true;
}
