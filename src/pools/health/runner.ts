/**
 * Runs the checks: each at its interval with some jitter, faster while a server is in doubt, and once for all servers
 * that ask for the same, alone or as a part of something larger.
 */
import { NO_AGENT } from '../agent-word.ts';
import type { Server } from '../server.ts';
import type { AgentResult } from './agent.ts';
import type { CheckResult } from './check.ts';
import { createComposite, type Mode } from './composite.ts';
import { type Listener, Round, type RoundOptions, type Timing } from './round.ts';

export type HealthRunnerOptions = RoundOptions;

/** A check, or several that are one. */
export type WatchOptions =
  | Timing<CheckResult>
  | { readonly mode: Mode; readonly parts: readonly WatchOptions[] };

/** What is watched, as text: equal when it is the same. */
export function keyOf(watched: WatchOptions | Timing<unknown>): string {
  if ('parts' in watched) return JSON.stringify([watched.mode, ...watched.parts.map(keyOf)]);
  const { check, interval, takesSlot = false } = watched;
  return JSON.stringify([check.key, interval, takesSlot]);
}

export class HealthRunner {
  readonly #checks: Rounds<CheckResult>;
  readonly #agents: Rounds<AgentResult>;

  constructor(options: HealthRunnerOptions) {
    this.#checks = new Rounds(options);
    this.#agents = new Rounds(options);
  }

  /** Has `server` checked, from now on. Returns how to stop that. */
  watch(server: Server, watched: WatchOptions): () => void {
    const leaves: (() => void)[] = [];
    const rounds: Round<CheckResult>[] = [];
    const hurry = () => {
      for (const round of rounds) round.hurry();
    };
    const follow = (part: WatchOptions, tell: Listener<CheckResult>['tell']): void => {
      if ('parts' in part) {
        const composite = createComposite(part.mode, part.parts.length, tell);
        for (const [index, each] of part.parts.entries()) {
          follow(each, (result) => composite(index, result));
        }
      } else {
        const { round, leave } = this.#checks.join(part, { server, tell });
        rounds.push(round);
        leaves.push(leave);
      }
    };
    follow(watched, (result) => {
      if (!result) return;
      server.checked(result.outcome, result.reason);
      // A part's doubts are those of the whole.
      if (server.isInDoubt) hurry();
    });
    leaves.push(server.onDoubt(hurry));
    return () => {
      for (const leave of leaves) leave();
    };
  }

  /** Has `server` listen to its agent, from now on. Returns how to stop that: what the agent said is forgotten then. */
  listen(server: Server, agent: Timing<AgentResult>): () => void {
    const { leave } = this.#agents.join(agent, {
      server,
      tell(result) {
        if (result?.report) server.agent(result.report, result.reason);
      },
    });
    return () => {
      leave();
      server.agent(NO_AGENT, 'has no agent any more');
    };
  }

  /** Stops everything. */
  close(): void {
    this.#checks.close();
    this.#agents.close();
  }
}

/** Equal checks are one. */
class Rounds<R> {
  readonly #options: RoundOptions;
  readonly #rounds = new Map<string, Round<R>>();

  constructor(options: RoundOptions) {
    this.#options = options;
  }

  join(timing: Timing<R>, listener: Listener<R>): { readonly round: Round<R>; readonly leave: () => void } {
    const key = keyOf(timing);
    const round = this.#rounds.get(key) ?? new Round(timing, this.#options);
    this.#rounds.set(key, round);
    round.join(listener);
    const leave = () => {
      round.leave(listener);
      if (round.isEmpty && this.#rounds.get(key) === round) this.#rounds.delete(key);
    };
    return { round, leave };
  }

  close(): void {
    for (const round of this.#rounds.values()) round.stop();
    this.#rounds.clear();
  }
}
