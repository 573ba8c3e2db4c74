/** What a server's own agent says of it (`health.agent`). What a report does not mention stays as it was. */
import type { Duty } from './duty.ts';

export interface AgentReport {
  /** The part of its weight that it wants; 1 is all of it. */
  readonly share?: number;
  /** Connections at once, at most, and never more than an operator allows; Infinity: as many as that. */
  readonly maxConnections?: number;
  /** Never `halt`: an agent cuts nothing off. */
  readonly duty?: Duty;
  /** down: it is down whatever the checks say. up: they decide. */
  readonly health?: 'up' | 'down';
}

export type AgentWord = Required<AgentReport>;

/** What a server without an agent is, and one whose agent has said nothing yet. */
export const NO_AGENT: AgentWord = { share: 1, maxConnections: Infinity, duty: 'online', health: 'up' };

/** What holds after `report`, when `known` held before it; `known` itself when nothing is new. */
export function heardFrom(known: AgentWord, report: AgentReport): AgentWord {
  const names = Object.keys(report) as (keyof AgentReport)[];
  return names.every((name) => report[name] === known[name]) ? known : { ...known, ...report };
}
