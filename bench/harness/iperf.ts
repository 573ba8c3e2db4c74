/** One TCP stream by iperf3. */
import { setTimeout as pause } from 'node:timers/promises';

interface Report {
  readonly end: { readonly sum_received?: { readonly bytes: number; readonly seconds: number } };
  readonly error?: string;
}

/** A server that has not quite ended the run before says so, and is asked again. */
const TRIES = 20;
const BETWEEN_TRIES_MS = 100;

/** For so many seconds to an iperf3 server; what arrived there. `run` runs iperf3 and returns what it printed. */
export async function iperf(
  { host, port, seconds }: { readonly host: string; readonly port: number; readonly seconds: number },
  run: (args: readonly string[]) => Promise<string>,
): Promise<{ bytes: number; seconds: number }> {
  for (let tries = 1; ; tries += 1) {
    const { end, error } = JSON.parse(
      await run(['-c', host, '-p', String(port), '-t', String(seconds), '-J']),
    ) as Report;
    if (end.sum_received) return end.sum_received;
    if (tries === TRIES || !error?.includes('busy')) throw new Error(`iperf3: ${error}`);
    await pause(BETWEEN_TRIES_MS);
  }
}
