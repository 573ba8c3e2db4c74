/** `gantry reload`: the running balancer reads its configuration again. */
import type { Command } from 'commander';
import type { FaultDocument, ReloadDocument } from '../admin/documents.ts';
import { type AdminOptions, AdminRefusal, askAdmin, withAdminOptions } from './admin-client.ts';
import { faultLines } from './configuration.ts';
import { Failure } from './failure.ts';

export function addReload(program: Command): void {
  withAdminOptions(program.command('reload'))
    .description('have the running balancer read its configuration again')
    .addHelpText(
      'after',
      `
Prints what is different now. A faulty file changes nothing: every fault is printed, and the exit code is 2.

Example:
  gantry reload`,
    )
    .action(async (admin: AdminOptions) => {
      const { changes } = await reload(admin);
      for (const { kind, name, what, nextStart } of changes) {
        const which = kind === name ? name : `${kind} ${name}`;
        process.stdout.write(`${which} ${what}${nextStart ? ', from the next start on' : ''}\n`);
      }
      if (changes.length === 0) process.stdout.write('nothing is different\n');
    });
}

async function reload(admin: AdminOptions): Promise<ReloadDocument> {
  try {
    return (await askAdmin(admin, { method: 'POST', path: '/api/v1/reload' })) as ReloadDocument;
  } catch (error) {
    if (!(error instanceof AdminRefusal) || error.status !== 422) throw error;
    const faults = (error.problem.faults ?? []) as readonly FaultDocument[];
    process.stderr.write(faultLines(faults));
    throw faults.length === 0 ? error : new Failure('', 2);
  }
}
