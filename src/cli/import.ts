/** `gantry import haproxy FILE`, `gantry import ldirectord FILE`: another balancer's configuration as one of Gantry's. */
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Draft } from '../import/draft.ts';
import type { Imported, ImportOptions } from '../import/haproxy.ts';
import { usageFailure } from './failure.ts';
import { readInput } from './input.ts';

interface Options {
  readonly protocolAware?: true;
  readonly all?: true;
}

const HELP = `
The configuration goes to standard output; what of the file is not in it goes to standard error, line by line:
  FILE:LINE: lost: what it says: why, and what would do instead
  FILE:LINE: changed: what it says: what is different now
Lines that have no meaning here, such as tuning of the other's process, are only counted; --all tells of them too.

Exit code 0: there is a configuration, also when lines were lost. Exit code 2: there is none, and nothing was written.

Example:
  gantry import NAME FILE > gantry.yaml && gantry check -c gantry.yaml`;

export function addImport(program: Command): void {
  const group = program
    .command('import')
    .description('translate the configuration of another balancer, and tell what could not be');
  const add = (
    name: string,
    { description, file, load }: { description: string; file: string; load: () => Promise<Import> },
  ) =>
    group
      .command(`${name} <file>`)
      .description(description)
      .option(
        '--protocol-aware',
        'DICOM and HL7 services, known by port or name, get front-ends that understand them',
      )
      .option('--all', 'tell of lines without a meaning here too')
      .addHelpText('after', HELP.replace('NAME', name).replace('FILE >', `${file} >`))
      .action(async (path: string, options: Options) => run(path, options, await load()));
  add('haproxy', {
    description: 'a configuration of HAProxy',
    file: '/etc/haproxy/haproxy.cfg',
    load: async () => (await import('../import/haproxy.ts')).importHaproxy,
  });
  add('ldirectord', {
    description: 'a configuration of ldirectord (LVS)',
    file: '/etc/ha.d/ldirectord.cf',
    load: async () => (await import('../import/ldirectord.ts')).importLdirectord,
  });
}

type Import = (text: string, options: ImportOptions) => Imported;

async function run(path: string, { protocolAware, all }: Options, translate: Import): Promise<void> {
  const bytes = readInput(path);
  if (bytes.includes(0)) throw usageFailure(`${path} is not a text file: nothing was written`);
  const { filesBeside } = await import('../import/files.ts');
  const { draft, reason, notes } = translate(bytes.toString('utf8'), {
    file: path,
    files: filesBeside(resolve(dirname(path))),
    environment: process.env,
    protocolAware: protocolAware ?? false,
  });
  for (const { line, fate, says, why } of notes) {
    if (fate !== 'idle' || all) process.stderr.write(`${path}:${line}: ${fate}: ${says}: ${why}\n`);
  }
  if (!draft) throw usageFailure(`${path} ${reason}: nothing was written`);
  const { text, lost } = await acceptedText(draft, path);
  process.stdout.write(text);
  const count = (fate: string) => {
    const lines = notes.filter((note) => note.fate === fate).map(({ line }) => line);
    return new Set(fate === 'lost' ? [...lines, ...lost] : lines).size;
  };
  process.stderr.write(
    `${path}: lines lost in whole or in part: ${count('lost')}; changed: ${count('changed')}; without a meaning here: ${count('idle')}\n`,
  );
}

/** What is written is what `gantry check` accepts, but for files that are on another machine; and lines that are lost for it. */
async function acceptedText(
  draft: Draft,
  path: string,
): Promise<{ readonly text: string; readonly lost: readonly number[] }> {
  const { readConfiguration } = await import('../config/load.ts');
  const { repair } = await import('../import/repair.ts');
  const { writeDraft } = await import('../import/write.ts');
  const { draft: accepted, removed } = repair(draft, (each) => {
    const { faults = [] } = readConfiguration(writeDraft(each), { file: path });
    return faults.filter(({ message }) => !message.includes('cannot be read'));
  });
  for (const { line, path: key, message, whole } of removed) {
    const rest = whole === undefined ? '' : `; so ${whole} is left out as a whole`;
    process.stderr.write(`${path}:${line}: lost: ${key}: ${message}${rest}\n`);
  }
  if (!accepted) throw usageFailure(`${path} says what a configuration cannot say: nothing was written`);
  return { text: writeDraft(accepted), lost: removed.map(({ line }) => line) };
}
