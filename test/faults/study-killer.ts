/** Kills storage servers (-9) at random while they have something to do, and starts them again on the same port. */
import { statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { DcmtkServer } from '../peers/dcmtk.ts';
import type { Outage } from './study-disks.ts';

export interface StudyServer extends DcmtkServer {
  readonly name: string;
}

export interface KillerOptions {
  readonly servers: readonly StudyServer[];
  readonly kills: number;
  readonly random: () => number;
  /** Part of the work that is done, 0 to 1: the kills are spread over it. */
  readonly progress: () => number;
  /** Names of the servers that the balancer would use. */
  readonly usable: () => Promise<ReadonlySet<string>>;
  readonly print: (line: string) => void;
  /** No kill begins any more. */
  readonly over: AbortSignal;
}

/** Milliseconds between two looks. */
const LOOK_MS = 20;
/** Part of the work over which the kills are spread: the last of them may have to wait for servers to be back. */
const SPREAD = 0.75;
/** Of so many kills, one does not ask whether the server is storing: it may be the one that an association began with. */
const ANY_OF = 4;

/** Resolves when all kills are done, or no more are wanted, and every server is back; with what was away when. */
export async function killServers(options: KillerOptions): Promise<readonly Outage[]> {
  const { servers, kills, random, progress, usable, print, over } = options;
  const outages: Outage[] = [];
  const coming = new Set<Promise<void>>();
  const since = new Map(servers.map(({ name }) => [name, Date.now()]));
  for (let kill = 0; kill < kills && !over.aborted; kill++) {
    const due = ((kill + random()) / kills) * SPREAD;
    const anyone = kill % ANY_OF === ANY_OF - 1;
    const victim = await choose(due, anyone);
    if (!victim) break;
    await pause(random() * 200);
    const from = Date.now();
    await victim.stop();
    since.delete(victim.name);
    const away = 100 + random() * 1400;
    print(`${kill + 1}/${kills} killed ${victim.name}, for ${Math.round(away)} ms`);
    const back = pause(away).then(async () => {
      await victim.restart();
      since.set(victim.name, Date.now());
      outages.push({ server: victim.name, from, to: Date.now() });
    });
    coming.add(back);
    void back.then(() => coming.delete(back));
  }
  await Promise.all(coming);
  return outages;

  /** Waits until `due`, then for a server that stores something (or `anyone`) while another could take over. */
  async function choose(due: number, anyone: boolean): Promise<StudyServer | undefined> {
    for (; !over.aborted; await pause(LOOK_MS)) {
      if (progress() < due) continue;
      const known = await usable();
      // The balancer need not have noticed the last kill.
      const up = servers.filter(({ name }) => since.has(name) && known.has(name));
      if (up.length < 2) continue;
      const fitting = up.filter(({ name, folder }) => anyone || statSync(folder).mtimeMs > since.get(name)!);
      if (fitting.length > 0) return fitting[Math.floor(random() * fitting.length)]!;
    }
    return undefined;
  }
}
