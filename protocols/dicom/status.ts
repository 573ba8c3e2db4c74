/** Status (0000,0900) of a response: what it says about the operation (PS3.7 Annex C, PS3.4 B.2.3, C.4). */

export type StatusClass = 'success' | 'warning' | 'pending' | 'cancel' | 'refused' | 'failure';

/**
 * The class of a status. `refused` is A7xxH, out of resources: the server is short of something that another one may
 * have; everything else that went wrong is `failure`.
 */
export function statusClass(status: number): StatusClass {
  if (status === 0x0000) return 'success';
  if (isPending(status)) return 'pending';
  if (status === 0xfe00) return 'cancel';
  if (status >>> 8 === 0xa7) return 'refused';
  // PS3.7 C.5: attribute list error 0107H, attribute value out of range 0116H, and the general warning 0001H.
  const isWarning = status >>> 12 === 0xb || status === 0x0001 || status === 0x0107 || status === 0x0116;
  return isWarning ? 'warning' : 'failure';
}

/** FF00H and FF01H: more responses to the same request follow. */
export function isPending(status: number): boolean {
  return status === 0xff00 || status === 0xff01;
}

/** Four hexadecimal digits, as the standard and operators write statuses: `A700`. */
export function hex16(value: number): string {
  return value.toString(16).toUpperCase().padStart(4, '0');
}
