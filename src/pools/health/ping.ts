/** ping: one ICMP echo, by the system's own `ping`, which has the privilege that it takes. */
import type { Cancel, CheckResult, CheckTarget } from './check.ts';
import { describeEnd, isSuccess, type ProgramEnd, programPath, runProgram } from './program.ts';

export function startPing(
  { host, timeout, deadlines, now }: Omit<CheckTarget, 'port'>,
  done: (result: CheckResult) => void,
): Cancel {
  // Whole seconds are all that every ping takes; our own time-out is the one that counts.
  const seconds = String(Math.ceil(timeout / 1000));
  const args = ['-n', '-c', '1', '-W', seconds, '--', host];
  const env = { PATH: programPath(), LC_ALL: 'C' };
  const started = now();
  return runProgram({ file: 'ping', args, env, timeout, deadlines }, (end) => {
    const reason = reasonOf(host, end, timeout);
    done({ outcome: isSuccess(end) ? 'up' : 'down', reason, ms: now() - started });
  });
}

function reasonOf(host: string, end: ProgramEnd, timeout: number): string {
  if (isSuccess(end)) return 'answers ping';
  // 1: no answer; anything else is ping's own trouble, such as a name that nobody knows.
  if (end.kind === 'timed-out' || (end.kind === 'exited' && end.code === 1)) {
    return `${host} does not answer ping within ${timeout} ms`;
  }
  if (end.kind === 'not-started' && end.code === 'ENOENT') {
    return 'ping is missing on this machine: install it (Debian: iputils-ping), or choose another check';
  }
  return describeEnd('ping', end, timeout);
}
