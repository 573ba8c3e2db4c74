/**
 * The PDUs of ten bytes: six of header, four of values.
 *
 *     offset  A-ASSOCIATE-RJ       A-RELEASE-RQ, -RP    A-ABORT
 *             (PS3.8 Table 9-21)   (Tables 9-24, 9-25)  (Table 9-26)
 *          6  reserved             reserved             reserved
 *          7  result               reserved             reserved
 *          8  source               reserved             source
 *          9  reason               reserved             reason
 */
import { PDU, PDU_HEADER_LENGTH, type PduType, pduName } from './pdu.ts';
import { invalid } from './pdu-fault.ts';

export const SMALL_PDU_LENGTH = 10;

export interface Reject {
  /** 1 rejected-permanent, 2 rejected-transient. */
  readonly result: number;
  /** 1 service-user, 2 service-provider (ACSE), 3 service-provider (presentation). */
  readonly source: number;
  /** Means something only together with `source`. */
  readonly reason: number;
}

export interface Abort {
  /** 0 service-user, 2 service-provider. */
  readonly source: number;
  /** Not significant when the source is the user. */
  readonly reason: number;
}

export function writeReject(result: number, source: number, reason: number): Buffer {
  return writeSmall(PDU.A_ASSOCIATE_RJ, result, source, reason);
}

export function writeAbort(source: number, reason: number): Buffer {
  return writeSmall(PDU.A_ABORT, 0, source, reason);
}

export function writeReleaseRq(): Buffer {
  return writeSmall(PDU.A_RELEASE_RQ, 0, 0, 0);
}

export function writeReleaseRp(): Buffer {
  return writeSmall(PDU.A_RELEASE_RP, 0, 0, 0);
}

/** Reads a whole A-ASSOCIATE-RJ, whatever its values mean: printers exist that send reason 56. Throws PduFault. */
export function readReject(pdu: Uint8Array): Reject {
  checkSmall(pdu, PDU.A_ASSOCIATE_RJ);
  return { result: pdu[7]!, source: pdu[8]!, reason: pdu[9]! };
}

/** Reads a whole A-ABORT. Throws PduFault. */
export function readAbort(pdu: Uint8Array): Abort {
  checkSmall(pdu, PDU.A_ABORT);
  return { source: pdu[8]!, reason: pdu[9]! };
}

/** Permanent means "do not call again", so only an explicit 1 counts as that (PS3.8 7.1.1.7). */
export function isTransient(reject: Reject): boolean {
  return reject.result !== 1;
}

/** The standard's words for a rejection: `called-AE-title-not-recognized`. Unknown triples get their numbers. */
export function rejectText({ source, reason }: Reject): string {
  return REJECT_REASONS[`${source}/${reason}`] ?? `source ${source} reason ${reason}`;
}

/** The standard's words for an abort: `unexpected-PDU`, `aborted by the user`. */
export function abortText({ source, reason }: Abort): string {
  if (source === 0) return 'aborted by the user';
  return ABORT_REASONS[reason] ?? `source ${source} reason ${reason}`;
}

/** PS3.8 Table 9-21, `source/reason`. */
const REJECT_REASONS: Readonly<Record<string, string>> = {
  '1/1': 'no-reason-given',
  '1/2': 'application-context-name-not-supported',
  '1/3': 'calling-AE-title-not-recognized',
  '1/7': 'called-AE-title-not-recognized',
  '2/1': 'no-reason-given',
  '2/2': 'protocol-version-not-supported',
  '3/1': 'temporary-congestion',
  '3/2': 'local-limit-exceeded',
};

/** PS3.8 Table 9-26, of the service-provider. */
const ABORT_REASONS: Readonly<Record<number, string>> = {
  0: 'reason-not-specified',
  1: 'unrecognized-PDU',
  2: 'unexpected-PDU',
  4: 'unrecognized-PDU-parameter',
  5: 'unexpected-PDU-parameter',
  6: 'invalid-PDU-parameter-value',
};

function writeSmall(type: PduType, second: number, third: number, fourth: number): Buffer {
  return Buffer.from([type, 0, 0, 0, 0, SMALL_PDU_LENGTH - PDU_HEADER_LENGTH, 0, second, third, fourth]);
}

function checkSmall(pdu: Uint8Array, type: PduType): void {
  if (pdu[0] !== type || pdu.length !== SMALL_PDU_LENGTH) {
    throw invalid(`${pduName(type)} is not ${SMALL_PDU_LENGTH} bytes long`);
  }
}
