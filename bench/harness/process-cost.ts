/** What a process has cost so far, from /proc: its own user and system time, and its resident memory. */
import { readFileSync } from 'node:fs';

/** Clock ticks a second in /proc/PID/stat (USER_HZ): 100 on every Linux there is. */
const TICKS_PER_SECOND = 100;

/** User and system time of all threads of process `pid`, in seconds (proc(5), /proc/PID/stat fields 14 and 15). */
export function cpuSeconds(pid: number): number {
  return seconds(pid, [14, 15]);
}

/** The same with that of the programs it ran and that have ended (fields 16 and 17). */
export function cpuSecondsWithChildren(pid: number): number {
  return seconds(pid, [14, 15, 16, 17]);
}

function seconds(pid: number, fields: readonly number[]): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is the command in parentheses, and may hold anything; what follows begins with the third.
  const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.reduce((sum, field) => sum + Number(rest[field - 3]), 0) / TICKS_PER_SECOND;
}

/** Resident memory in bytes: now, and the most it ever was. */
export function residentBytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const kibibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { now: kibibytes('VmRSS') * 1024, peak: kibibytes('VmHWM') * 1024 };
}
