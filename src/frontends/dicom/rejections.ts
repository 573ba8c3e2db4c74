/** The rejections the balancer itself sends: name → result, source, reason (PS3.8 Table 9-21). */
import type { Reject } from '../../../protocols/dicom/small-pdus.ts';

/**
 * Everything that will pass by itself is transient, so that modalities keep their queue: permanent means "do not call
 * again" (PS3.8 7.1.1.7), and many drop the job.
 */
export const REJECTIONS = {
  'no-reason-given': { result: 1, source: 1, reason: 1 },
  'application-context-not-supported': { result: 1, source: 1, reason: 2 },
  'calling-ae-not-recognized': { result: 1, source: 1, reason: 3 },
  'called-ae-not-recognized': { result: 1, source: 1, reason: 7 },
  'protocol-version-not-supported': { result: 1, source: 2, reason: 2 },
  'temporary-congestion': { result: 2, source: 3, reason: 1 },
  'local-limit-exceeded': { result: 2, source: 3, reason: 2 },
} as const satisfies Record<string, Reject>;

export type RejectionName = keyof typeof REJECTIONS;

/** The rejection that a rule's `reject` names; no rule and no pool means that nobody here has this AE title. */
export function rejectionNamed(name: string): Reject {
  return REJECTIONS[name as RejectionName] ?? REJECTIONS['called-ae-not-recognized'];
}

/** `result/source/reason`, as operators write it. */
export function tripleOf({ result, source, reason }: Reject): string {
  return `${result}/${source}/${reason}`;
}
