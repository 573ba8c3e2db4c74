/** A process inside a network namespace that connects, asks and listens as a test tells it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Verbs } from './namespace-agent-process.ts';
import { findProgram } from './processes.ts';
import { within } from './waiting.ts';

export interface NamespaceAgent {
  readonly pid: number;
  /**
   * Does something in the namespace: see the verbs of namespace-agent-process.ts. Rejects with its error's message, or
   * after 30 s.
   */
  ask<V extends keyof Verbs>(
    verb: V,
    argument: Parameters<Verbs[V]>[0],
  ): Promise<Awaited<ReturnType<Verbs[V]>>>;
  /** SIGKILL: what listened and what was connected is gone, with resets. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const agent of running) agent.kill('SIGKILL');
});

export async function startNamespaceAgent(namespace: string): Promise<NamespaceAgent> {
  const program = fileURLToPath(new URL('./namespace-agent-process.ts', import.meta.url));
  const child = spawn(findProgram('ip')!, ['netns', 'exec', namespace, process.execPath, program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  running.add(child);
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const closed = new Promise<void>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child);
      for (const { reject } of waiting.values()) reject(new Error(`the agent ended with ${code ?? signal}`));
      resolve();
    });
  });
  // Writing to one that was stopped: its `close` tells.
  child.stdin.on('error', () => {});
  createInterface(child.stdout).on('line', (line) => {
    const { id, result, error } = JSON.parse(line) as { id: number; result?: unknown; error?: string };
    const request = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) request?.resolve(result);
    else request?.reject(new Error(error));
  });
  let last = 0;
  const ask = (verb: string, argument: unknown) => {
    const id = ++last;
    const request = Promise.withResolvers<unknown>();
    waiting.set(id, request);
    child.stdin.write(`${JSON.stringify({ id, verb, argument })}\n`);
    return within(request.promise, `${verb} ${JSON.stringify(argument)} in ${namespace}`);
  };
  await ask('ready', {});
  return {
    pid: child.pid!,
    ask: ask as NamespaceAgent['ask'],
    async stop() {
      child.kill('SIGKILL');
      await within(closed, 'the agent to end');
    },
  };
}
