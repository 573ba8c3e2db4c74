/** Bytes that are no valid PDU, and the A-ABORT that answers them (PS3.8 Table 9-26). */

/** A-ABORT reasons of the service-provider (source 2). 3 is reserved. */
export const ABORT_REASON = {
  NOT_SPECIFIED: 0,
  UNRECOGNIZED_PDU: 1,
  UNEXPECTED_PDU: 2,
  UNRECOGNIZED_PARAMETER: 4,
  UNEXPECTED_PARAMETER: 5,
  INVALID_PARAMETER_VALUE: 6,
} as const;

export type AbortReason = (typeof ABORT_REASON)[keyof typeof ABORT_REASON];

/**
 * What the bytes are instead: a TLS ClientHello on a plain port, no DICOM at all, or DICOM that breaks a rule.
 * Only the last is worth an A-ABORT; the others would not understand one.
 */
export type FaultKind = 'tls' | 'not-dicom' | 'malformed';

export class PduFault extends Error {
  /** Always 2: the service-provider. */
  readonly abortSource = 2;
  readonly abortReason: AbortReason;
  readonly kind: FaultKind;

  /** `message`: the rule that was broken. It may be logged: no text of the peer's. */
  constructor(abortReason: AbortReason, message: string, kind: FaultKind = 'malformed') {
    super(message);
    this.name = 'PduFault';
    this.abortReason = abortReason;
    this.kind = kind;
  }
}

/** A parameter with a value that the standard does not allow: the most common fault. */
export function invalid(message: string): PduFault {
  return new PduFault(ABORT_REASON.INVALID_PARAMETER_VALUE, message);
}
