/**
 * The command line. Each command is a file of its own, and loads what it needs only when it is called, so that
 * `gantry check` does not wait for the balancer.
 *
 * Exit codes: 0 done, 1 it failed at run time, 2 the command line or the configuration is wrong.
 */
import { Command, CommanderError } from 'commander';
import { GantryError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { addCheck } from './check.ts';
import { addDemo } from './demo.ts';
import { addDicomSend } from './dicom-send.ts';
import { addEcho } from './echo.ts';
import { addExplain } from './explain.ts';
import { Failure } from './failure.ts';
import { addHl7Send } from './hl7-send.ts';
import { addImport } from './import.ts';
import { addInit } from './init.ts';
import { addPersistence } from './persistence.ts';
import { addProbe } from './probe.ts';
import { addProfiles } from './profiles.ts';
import { addQueue } from './queue.ts';
import { addReload } from './reload.ts';
import { addRun } from './run.ts';
import { addSchema } from './schema.ts';
import { addServerDuty } from './server-duty.ts';
import { addStatus } from './status.ts';
import { addVips } from './vips.ts';

/** Runs the command that `words` name, and sets the exit code of the process. */
export async function main(words: readonly string[]): Promise<void> {
  // `gantry vips | head` closes the pipe early: that is the reader's right.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  process.exitCode = await runCommand(words);
}

/** Runs a command and returns its exit code. */
export async function runCommand(words: readonly string[]): Promise<number> {
  try {
    const program = createProgram();
    if (words.length === 0) {
      process.stderr.write(program.helpInformation());
      return 2;
    }
    await program.parseAsync(words, { from: 'user' });
    return 0;
  } catch (error) {
    return failed(error);
  }
}

function createProgram(): Command {
  const program = new Command('gantry')
    .description('A load balancer that understands DICOM and HL7.')
    .version(VERSION, '--version', 'print the version')
    .enablePositionalOptions()
    .addHelpText('after', '\nMore about a command: gantry COMMAND --help');
  const add = [
    addRun,
    addCheck,
    addVips,
    addExplain,
    addStatus,
    addServerDuty,
    addReload,
    addPersistence,
    addQueue,
    addEcho,
    addProbe,
    addDicomSend,
    addHl7Send,
    addImport,
    addSchema,
    addInit,
    addProfiles,
    addDemo,
  ];
  for (const addCommand of add) addCommand(program);
  quietly(program);
  return program;
}

/** Faults of the command line come as errors, and are told once, by `failed`. */
function quietly(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => {} });
  for (const inner of command.commands) quietly(inner);
}

/** Says what went wrong and returns the exit code. */
function failed(error: unknown): number {
  if (error instanceof CommanderError) {
    // Help and the version come as errors too, with exit code 0.
    if (error.exitCode === 0) return 0;
    if (error.code !== 'commander.help')
      complain(error.message.replace(/^error: /, '').replaceAll('\n', ' '));
    return 2;
  }
  if (error instanceof Failure) {
    if (error.message !== '') complain(error.message);
    return error.exitCode;
  }
  if (error instanceof GantryError) {
    complain(`${error.message} (${error.code})`);
    return 1;
  }
  throw error;
}

function complain(sentence: string): void {
  process.stderr.write(`gantry: ${sentence}\n`);
}
