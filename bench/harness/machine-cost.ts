/**
 * What the whole machine has done so far, from /proc: packets that the kernel forwards are nobody's process, so the cost
 * of layer 4 is seen nowhere else. It holds the clients, the servers and whatever else runs: subjects are compared, and
 * the machine has to be quiet.
 */
import { readFileSync } from 'node:fs';

/** Clock ticks a second in /proc/stat (USER_HZ): 100 on every Linux there is. */
const TICKS_PER_SECOND = 100;

/** Time that all processors were busy, in seconds: user, nice, system, irq and softirq (proc(5), /proc/stat). */
export function machineCpuSeconds(): number {
  const [cpu] = readFileSync('/proc/stat', 'latin1').split('\n', 1);
  const [user, nice, system, , , irq, softirq] = cpu!.trim().split(/\s+/).slice(1).map(Number);
  return (user! + nice! + system! + irq! + softirq!) / TICKS_PER_SECOND;
}
