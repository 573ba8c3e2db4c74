/**
 * Which patient became which: the ids that a message does away with (HL7 v2.5.1 chapter 3).
 *
 *     PID-3  the surviving id                      MRG-1  the prior one, in the same group: "would then logically never
 *                                                         be referenced in future transactions" (3.3.40)
 *
 * 3.5.2 has four levels of ids, person (PID-2), patient (PID-3), account (PID-18) and visit (PV1-19), and three ways to
 * put one right. Only the first two can do away with what patients are kept apart by, PID-3, and only at the upper
 * levels: below, both segments name the same patient.
 *
 *     merge    patient and above: A18 A30 A34 A36 A39 A40    below: A35 A41 A42
 *     change   patient and above: A46 A47                    below: A48 A49 A50 A51
 *     move     A43 A44 A45: what was filed under a patient goes to another, and both remain
 *     others   A17 swaps beds, A24 and A37 link and unlink records: both patients remain
 */
import type { Message } from './cursor.ts';
import { identifierKeys, type PatientRule, patientKeyAt } from './patient.ts';
import { segmentCode } from './segments.ts';

/** Keys of patients (`patient.ts`). */
export interface Merge {
  readonly from: string;
  readonly to: string;
}

const PID = segmentCode('PID');
const MRG = segmentCode('MRG');
const EVENTS: ReadonlySet<string> = new Set(['A18', 'A30', 'A34', 'A36', 'A39', 'A40', 'A46', 'A47']);

/**
 * The merges of a message, over all its groups of PID and MRG and all repetitions of MRG-1; none for a message that does
 * away with no id. An id without an assigning authority stands for that of the surviving one as well.
 */
export function mergesIn(message: Message, rule: PatientRule = {}): readonly Merge[] {
  // Before v2.2 only EVN-1 names the event.
  if (!EVENTS.has(message.header(9, 2) || (message.text('EVN-1') ?? ''))) return [];
  const merges = new Map<string, Merge>();
  let to: string | undefined;
  for (let at = message.firstSegment; at >= 0; at = message.nextSegment(at)) {
    const code = message.segmentCode(at);
    if (code === PID) to = patientKeyAt(message, at, rule);
    if (code !== MRG || to === undefined) continue;
    const authority = to.includes('^') ? to.slice(to.indexOf('^')) : '';
    for (const key of identifierKeys(message, at, 1)) {
      for (const from of key.includes('^') ? [key] : [key, key + authority]) {
        if (from !== to) merges.set(from, { from, to });
      }
    }
  }
  return [...merges.values()];
}
