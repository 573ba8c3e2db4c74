/**
 * A message for finding out whether a receiver answers: NMD^N02, application management data (HL7 v2.5.1 14.3.2). It is
 * about no patient and no order, and says nothing that anybody would keep: that there are no statistics.
 *
 *     MSH|^~\&|GANTRY|GANTRY|||time||NMD^N02|control id|P|2.3.1
 *     NST|N                                                       NST-1 statistics available, table 0136
 */
import { timestamp } from './acknowledgement.ts';

/** `controlId`: MSH-10, at most 20 characters without delimiters. `now`: milliseconds since 1970. */
export function writeManagementMessage(controlId: string, now: number): Buffer {
  const header = ['MSH', '^~\\&', 'GANTRY', 'GANTRY', '', '', timestamp(now), '', 'NMD^N02'];
  return Buffer.from(`${[...header, controlId, 'P', '2.3.1'].join('|')}\rNST|N\r`, 'latin1');
}
