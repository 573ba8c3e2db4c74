/** Whether a server is to work at all: an operator's word, or that of its agent. */

/**
 * online: as health says. drain: nothing new but what persistence brings. strict-drain: nothing new. halt: nothing new,
 * and what is open ends.
 */
export type Duty = 'online' | 'drain' | 'strict-drain' | 'halt';

const BY_STRICTNESS: readonly Duty[] = ['online', 'drain', 'strict-drain', 'halt'];

export function strictest(...duties: readonly Duty[]): Duty {
  return BY_STRICTNESS.findLast((duty) => duties.includes(duty)) ?? 'online';
}
