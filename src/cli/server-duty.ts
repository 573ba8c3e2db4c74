/** `gantry drain`, `halt`, `online` and `weight`: what a server of the running balancer is to do. */
import type { Command } from 'commander';
import type { ServerStatus } from '../admin/documents.ts';
import { type AdminOptions, type AdminRequest, askAdmin, withAdminOptions } from './admin-client.ts';
import { usageFailure } from './failure.ts';

export function addServerDuty(program: Command): void {
  withAdminOptions(program.command('drain'))
    .description('give a server no new work; what it has in hand finishes')
    .argument('<pool/server>')
    .option('--strict', 'not even to those whose persistence leads there')
    .addHelpText('after', '\nExample:\n  gantry drain archive/pacs-a')
    .action(async (name: string, { strict, ...admin }: AdminOptions & { readonly strict?: true }) => {
      await tell(admin, name, { method: 'POST', path: `/drain${strict ? '?strict=true' : ''}` });
    });
  withAdminOptions(program.command('halt'))
    .description('take a server out: what is open ends at its next safe point')
    .argument('<pool/server>')
    .addHelpText('after', '\nExample:\n  gantry halt archive/pacs-a')
    .action(async (name: string, admin: AdminOptions) => {
      await tell(admin, name, { method: 'POST', path: '/halt' });
    });
  withAdminOptions(program.command('online'))
    .description('put a server back to work after drain or halt')
    .argument('<pool/server>')
    .addHelpText('after', '\nExample:\n  gantry online archive/pacs-a')
    .action(async (name: string, admin: AdminOptions) => {
      await tell(admin, name, { method: 'POST', path: '/online' });
    });
  withAdminOptions(program.command('weight'))
    .description("set a server's part of the work, against the others of its pool")
    .argument('<pool/server>')
    .argument('<weight>', '0 to 1000; 0: nothing new')
    .addHelpText('after', '\nExample:\n  gantry weight archive/pacs-a 3')
    .action(async (name: string, weight: string, admin: AdminOptions) => {
      if (!/^\d{1,4}$/.test(weight) || Number(weight) > 1000)
        throw usageFailure(`"${weight}" is not a weight: 0 to 1000 would be right`);
      await tell(admin, name, { method: 'PATCH', path: '', body: { weight: Number(weight) } });
    });
}

/** Asks for the change of `POOL/SERVER` and prints the server's new status. */
async function tell(admin: AdminOptions, name: string, { method, path, body }: AdminRequest): Promise<void> {
  const [pool, server, ...more] = name.split('/');
  if (!pool || !server || more.length > 0)
    throw usageFailure(`"${name}" is not POOL/SERVER, such as archive/pacs-a`);
  const at = `/api/v1/pools/${encodeURIComponent(pool)}/servers/${encodeURIComponent(server)}${path}`;
  const answer = await askAdmin(
    admin,
    body === undefined ? { method, path: at } : { method, path: at, body },
  );
  const { state, weight, active, reason } = answer as ServerStatus;
  process.stdout.write(`${name}: ${state}, weight ${weight}, ${active} active (${reason})\n`);
}
