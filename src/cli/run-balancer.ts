/** The balancer as a process: its log, its signals, its end. */
import { startBalancer } from '../balancer.ts';
import { loadConfiguration } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { notice } from '../observe/events.ts';
import { startLog } from '../observe/log.ts';
import { createKeyedHash } from '../observe/privacy.ts';

/**
 * Runs until SIGTERM or SIGINT, then lets the work in hand finish; a second signal ends the process at once. SIGHUP
 * has it read `file` again, which `configuration` came from.
 */
export async function runBalancer(configuration: Configuration, file: string): Promise<void> {
  const hash = createKeyedHash();
  const log = startLog({ ...configuration.log, hash });
  const asked = stopAsked();
  // From here on the signal does not end the process, also while it starts: it is heeded then.
  let isReloadAsked = false;
  let reload = () => {
    isReloadAsked = true;
  };
  process.on('SIGHUP', () => reload());
  // With layer 4 VIPs only and no admin API, nothing else would keep this process.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    const load = () => loadConfiguration(file);
    const balancer = await startBalancer(configuration, { hash, load, tidies: true });
    reload = () => void balancer.reload();
    if (isReloadAsked) reload();
    const signal = await asked;
    notice('info', 'draining', { signal });
    await balancer.stop({ drain: true });
    notice('info', 'stopped');
  } finally {
    clearInterval(alive);
    await log.close();
  }
}

/** Resolves with the first signal that asks the process to end. */
function stopAsked(): Promise<string> {
  return new Promise((resolve) => {
    let isAsked = false;
    for (const signal of ['SIGTERM', 'SIGINT']) {
      process.on(signal, () => {
        if (isAsked) process.exit(0);
        isAsked = true;
        resolve(signal);
      });
    }
  });
}
