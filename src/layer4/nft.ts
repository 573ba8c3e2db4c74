/** nft as a child: changes and listings, and what its complaints mean. */
import { GantryError } from '../errors.ts';
import type { Finished, RunProgram } from './programs.ts';

export class Nft {
  readonly #run: RunProgram;

  constructor(run: RunProgram) {
    this.#run = run;
  }

  /** One transaction: all of it, or nothing and GTY_LAYER4. */
  async change(edits: readonly string[]): Promise<void> {
    if (edits.length === 0) return;
    const done = await this.#run('nft', ['-f', '-'], `${edits.join('\n')}\n`);
    if (done.code !== 0) throw failure(done);
  }

  /**
   * The rules of a family (all, unless said), with comments and counters, without elements. nft 1.0.6 asks the kernel
   * for every element of every map when it is to list tables, a table or counters; this is the one that does not.
   */
  ruleset(family = ''): Promise<string> {
    return this.#list(`-t list ruleset ${family}`.trimEnd());
  }

  /** The elements of maps, `netdev gantry_dr_eis sticky_ip_1000`, as text that is handed on as it comes. */
  async maps(names: readonly string[], onOutput: (text: string) => void): Promise<void> {
    // Each is a process, because nft 1.0.6 finds only the tables of the last one otherwise.
    for (const name of names) await this.#list(`list map ${name}`, onOutput);
  }

  async #list(command: string, onOutput?: (text: string) => void): Promise<string> {
    const done = await this.#run('nft', ['-n', ...command.split(' ')], '', onOutput);
    if (done.code !== 0) throw failure(done);
    return done.output;
  }
}

/** nft found that something is not there that a command names. */
export class Missing extends GantryError {
  constructor(message: string) {
    super('GTY_LAYER4', message);
    this.name = 'Missing';
  }
}

function failure({ error, reason }: Finished): GantryError {
  const layer4 = (message: string) => new GantryError('GTY_LAYER4', message);
  if (reason === 'ENOENT')
    return layer4('nft is not installed, or not on the PATH: install the package nftables');
  if (reason === 'ETIMEDOUT')
    return layer4('nft did not finish in time: is another program changing rules without end?');
  if (/Operation not permitted|must be root/.test(error) || reason === 'EACCES' || reason === 'EPERM') {
    return layer4(
      'rules of the kernel may not be changed: layer 4 needs root or the capability CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN)',
    );
  }
  const complaint =
    /Error: (.*)/.exec(error)?.[1] ?? (error.trim().split('\n')[0] || reason) ?? 'it was ended';
  const message = `nft did not take the rules: ${complaint}`;
  return /No such file or directory/.test(error) ? new Missing(message) : layer4(message);
}
