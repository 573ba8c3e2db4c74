/** The answers that are ours and not a server's: to what is kept, cannot be read, has no route, or cannot be delivered. */
import {
  type AcknowledgementCode,
  type AcknowledgementMode,
  type Answer,
  isSent,
  PROBLEM_ERRORS,
} from '../../../protocols/hl7/acknowledgement.ts';
import type { MessageProblem } from '../../../protocols/hl7/cursor.ts';
import { fieldPath } from '../../../protocols/hl7/field-path.ts';

/** The rejection of `tls.senders`. */
const NOT_ITS_APPLICATION = 'sender-not-allowed';

/**
 * The code of a rejection: AR in original mode, CR in enhanced mode (HL7 v2.5.1 2.9.3.2), AR again for a sender that
 * wants to hear from the application only; undefined for one that does not want to hear of errors.
 */
export function rejectionCode(mode: AcknowledgementMode): AcknowledgementCode | undefined {
  if (!mode.enhanced) return 'AR';
  if (isSent(mode.accept, false)) return 'CR';
  return isSent(mode.application, false) ? 'AR' : undefined;
}

export function unreadable(problem: MessageProblem): Answer {
  return { code: 'AR', text: `Unreadable: ${problem}`, error: PROBLEM_ERRORS[problem] };
}

export function overlong(code: AcknowledgementCode, most: number): Answer {
  return { code, text: `The message is longer than ${most} bytes`, error: { condition: 207 } };
}

export function unroutable(code: AcknowledgementCode, reject: string): Answer {
  if (reject === NOT_ITS_APPLICATION) {
    const text = 'The certificate may not send as this application';
    return { code, text, error: { condition: 103, field: fieldPath('MSH-3') } };
  }
  const text = reject === 'no-route' ? 'No rule takes this message' : `Rejected: ${reject}`;
  return { code, text, error: { condition: 200, field: fieldPath('MSH-9') } };
}

export function undeliverable(code: AcknowledgementCode): Answer {
  return { code, text: 'No server could take the message', error: { condition: 207 } };
}

/** To a message that is on the disk; undefined: its sender does not want to hear of success. */
export function kept({ enhanced, accept }: AcknowledgementMode): Answer | undefined {
  if (!enhanced) return { code: 'AA' };
  return isSent(accept, true) ? { code: 'CA' } : undefined;
}
