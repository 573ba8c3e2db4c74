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
   * What commands (`list …`) print; each is a process, because nft 1.0.6 finds only the tables of the last one otherwise.
   * `onOutput`: it is handed on as it comes.
   */
  async list(
    commands: readonly string[],
    { terse = false, onOutput }: { terse?: boolean; onOutput?: (text: string) => void } = {},
  ): Promise<string> {
    let output = '';
    for (const command of commands) {
      const args = [...(terse ? ['-n', '-t'] : ['-n']), ...command.split(' ')];
      const done = await this.#run('nft', args, '', onOutput);
      if (done.code !== 0) throw failure(done);
      output += done.output;
    }
    return output;
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
