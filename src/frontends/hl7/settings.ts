/** How one HL7 VIP behaves: `vips.NAME.hl7` of the configuration, with every default filled in. */
import type {
  AcknowledgementCode,
  AcknowledgementMatch,
  AcknowledgementMode,
} from '../../../protocols/hl7/acknowledgement.ts';
import type { Message } from '../../../protocols/hl7/cursor.ts';
import type { FieldPath } from '../../../protocols/hl7/field-path.ts';
import type { PatientRule } from '../../../protocols/hl7/patient.ts';
import type { Endpoint } from '../../relay/channel.ts';

/** What is done with a message that was sent whole and not answered: it may have arrived. */
export type Ambiguity = 'hold' | 'any' | 'fail';

/** `delivery: store`: what is kept on the disk before it is delivered, and who hears of it. */
export interface StoreSettings {
  /** Messages in original mode are kept too, and answered so when they are on the disk. Else they are relayed. */
  readonly ackOnStore: 'AA' | undefined;
  /** Where the answers of applications go that MSH-16 asks for, by sending application; undefined: nowhere. */
  readonly returnTo: {
    readonly default: Endpoint | undefined;
    readonly byApplication: Readonly<Record<string, Endpoint>>;
  };
}

export interface Hl7Settings {
  /** undefined: `delivery: relay`. Then there is no queue. */
  readonly store?: StoreSettings | undefined;
  readonly order: 'patient' | 'sender' | 'none';
  /** Which repetition of PID-3 names the patient; undefined: the first of type MR or PI, else the first. */
  readonly patient?: PatientRule;
  /** Where the accession number is, the first that has a value; undefined: IPC-1, OBR-18, OBR-3.1. */
  readonly accession?: readonly FieldPath[];
  /** Milliseconds for everything that happens to one message, by sending application (MSH-3). */
  readonly senderTimeout: {
    readonly default: number;
    readonly byApplication: Readonly<Record<string, number>>;
  };
  /** Milliseconds a server has to answer; undefined: follows from `senderTimeout`. */
  readonly ackTimeout: number | undefined;
  readonly ackMatch: AcknowledgementMatch;
  readonly onAmbiguous: Ambiguity;
  /** `close` the sender's connection without an answer, or the code of the answer it gets. */
  readonly whenUnavailable: 'close' | Extract<AcknowledgementCode, 'AE' | 'AR' | 'CE' | 'CR'>;
  /** Repetitions of a message are recognised for `ms` milliseconds, the latest `entries` of them; 0 ms: never. */
  readonly duplicates?: { readonly ms: number; readonly entries: number };
  /** Messages on their way at once on one connection to a server. Default 1. */
  readonly pipeline?: number;
  /** Senders speak MLLP release 2: each block is answered by a commit acknowledgement. */
  readonly release2?: boolean;
  /** Bytes. */
  readonly maxFrame: number;
  readonly startBlock: number;
  readonly endBlock: number;
  readonly timeouts: {
    /** Milliseconds until a server must have taken the connection. */
    readonly connect: number;
    /** Milliseconds without a byte inside a frame. */
    readonly stall: number;
    /** Milliseconds a sender may be silent between messages; undefined: for ever. */
    readonly idle: number | undefined;
  };
}

/**
 * Is a message kept on the disk before it is delivered? In enhanced mode the acknowledgement that it is kept is what the
 * sender asks for (HL7 v2.5.1 2.9.3); one that waits for the application alone is not content with it. In original mode
 * it must be wanted (`ackOnStore`).
 */
export function isStored({ store }: Pick<Hl7Settings, 'store'>, mode: AcknowledgementMode): boolean {
  if (!store) return false;
  if (!mode.enhanced) return store.ackOnStore !== undefined;
  return mode.accept !== 'NE' || mode.application === 'NE';
}

/** All the time that this message has, in milliseconds: by its sending application, MSH-3.1. */
export function senderTimeoutOf({ senderTimeout }: Hl7Settings, message: Message): number {
  for (const application in senderTimeout.byApplication) {
    if (application === message.header(3, 1)) return senderTimeout.byApplication[application]!;
  }
  return senderTimeout.default;
}

/**
 * How long a server has to answer, in milliseconds. Unless set, it ends a tenth (200 ms to 1 s) before the sender's
 * patience, so that what is decided then still finds the sender; where another server may be asked, that one gets as
 * long again.
 */
export function ackTimeoutOf(settings: Hl7Settings, senderTimeout: number, onAmbiguous: Ambiguity): number {
  if (settings.ackTimeout !== undefined) return settings.ackTimeout;
  const margin = Math.min(Math.max(senderTimeout / 10, 200), 1000);
  const time = Math.max(senderTimeout - margin, senderTimeout / 2);
  return onAmbiguous === 'any' ? time / 2 : time;
}
