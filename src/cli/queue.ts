/** `gantry queue`: the durable queues of the running balancer, and what is in quarantine. */
import type { Command } from 'commander';
import type { HeldDocument, QueueDocument } from '../admin/documents.ts';
import {
  type AdminOptions,
  AdminRefusal,
  askAdmin,
  askAdminForBytes,
  withAdminOptions,
} from './admin-client.ts';
import { runFailure, usageFailure } from './failure.ts';
import { printable } from './table.ts';

interface JsonOptions extends AdminOptions {
  readonly json?: true;
}

interface MoveOptions extends AdminOptions {
  readonly all?: true;
  readonly yes?: true;
}

/** Messages of one page of the list. */
const PAGE = 1000;

export function addQueue(program: Command): void {
  const queue = program
    .command('queue')
    .description('the durable queues of HL7 messages, and what is in quarantine')
    .addHelpText(
      'after',
      `
A message that no server takes, however often it is tried, goes into quarantine. There it keeps its place: later
messages of its patients wait, unless hl7.onPoison is skip.

Example:
  gantry queue status
  gantry queue list ORDERS
  gantry queue show ORDERS 1207 > message.hl7
  gantry queue release ORDERS 1207`,
    );
  addStatus(queue);
  addList(queue);
  addShow(queue);
  addMove(queue, {
    name: 'release',
    done: 'released',
    description: 'have messages in quarantine delivered next, at their old place',
    note: 'They go before the later messages of their patients: for what was refused for a reason that is gone.',
  });
  addMove(queue, {
    name: 'replay',
    done: 'replayed',
    description: 'have messages in quarantine delivered after all that wait',
    note: 'They get new ids. What came later has overtaken them then: for messages that do not depend on order.',
  });
  addMove(queue, {
    name: 'drop',
    done: 'dropped',
    description: 'remove messages in quarantine for ever',
    note: 'Their senders were told that they are safe: nobody sends them again. Keep them first: gantry queue show.',
  });
}

function addStatus(queue: Command): void {
  withAdminOptions(queue.command('status'))
    .description('show each queue: how many messages, how old, how fast')
    .option('--json', 'the document of GET /api/v1/queues')
    .addHelpText('after', '\nExample:\n  gantry queue status')
    .action(async ({ json, ...admin }: JsonOptions) => {
      const queues = (await askAdmin(admin, {
        method: 'GET',
        path: '/api/v1/queues',
      })) as readonly QueueDocument[];
      const { queuesText } = await import('./queue-text.ts');
      if (json) print(`${JSON.stringify(queues, null, 2)}\n`);
      else print(queues.length === 0 ? 'no VIP has a durable queue\n' : queuesText(queues));
    });
}

function addList(queue: Command): void {
  withAdminOptions(queue.command('list'))
    .description('list the messages in quarantine, without what is in them')
    .argument('<vip>')
    .option('--json', 'as GET /api/v1/queues/VIP/quarantine has them')
    .addHelpText('after', '\nExample:\n  gantry queue list ORDERS')
    .action(async (vip: string, { json, ...admin }: JsonOptions) => {
      const messages = await heldIn(admin, vip);
      const { heldText } = await import('./queue-text.ts');
      if (json) print(`${JSON.stringify(messages, null, 2)}\n`);
      else print(messages.length === 0 ? 'nothing is in quarantine\n' : heldText(messages));
    });
}

function addShow(queue: Command): void {
  withAdminOptions(queue.command('show'))
    .description('print a message in quarantine: patient data')
    .argument('<vip>')
    .argument('<id>', 'as gantry queue list shows it')
    .addHelpText(
      'after',
      `
Needs the token, and the log of the balancer says who looked. To a terminal each segment is a line; to a file or a pipe
go the bytes as they came.

Example:
  GANTRY_TOKEN=... gantry queue show ORDERS 1207 > message.hl7`,
    )
    .action(async (vip: string, id: string, admin: AdminOptions) => {
      const body = await askAdminForBytes(admin, `${pathOf(vip)}/${idOf(id)}/body`);
      if (process.stdout.isTTY) print(readable(body));
      else process.stdout.write(body);
    });
}

interface Move {
  readonly name: 'release' | 'replay' | 'drop';
  readonly done: string;
  readonly description: string;
  readonly note: string;
}

function addMove(queue: Command, { name, done, description, note }: Move): void {
  const command = withAdminOptions(queue.command(name))
    .description(description)
    .argument('<vip>')
    .argument('[id...]', 'as gantry queue list shows them')
    .option('--all', 'all that are in quarantine now')
    .addHelpText('after', `\n${note}\n\nExample:\n  gantry queue ${name} ORDERS 1207`);
  if (name === 'drop') command.option('--yes', 'more than one, or all: yes, I mean it');
  command.action(async (vip: string, given: string[], { all, yes, ...admin }: MoveOptions) => {
    if (all && given.length > 0) throw usageFailure('give ids or --all, not both');
    if (!all && given.length === 0) throw usageFailure(`which messages? Give ids, or --all`);
    if (name === 'drop' && !yes && (all || given.length > 1))
      throw usageFailure('more than one message is dropped only with --yes: they are gone then');
    const ids = all ? (await heldIn(admin, vip)).map(({ id }) => id) : [...new Set(given.map(idOf))];
    let refused = 0;
    for (const id of ids) {
      const path = `${pathOf(vip)}/${id}${name === 'drop' ? '' : `/${name}`}`;
      try {
        const moved = (await askAdmin(admin, { method: name === 'drop' ? 'DELETE' : 'POST', path })) as {
          id: number;
        };
        print(`${vip} ${id}: ${done}${moved.id === id ? '' : ` as ${moved.id}`}\n`);
      } catch (error) {
        // Of several, the others may be there.
        const isGone = error instanceof AdminRefusal && (error.status === 404 || error.status === 409);
        if (!isGone || ids.length === 1) throw error;
        process.stderr.write(`${vip} ${id}: ${String(error.problem.detail)}\n`);
        refused++;
      }
    }
    if (refused > 0) throw runFailure(`${refused} of ${ids.length} messages were not ${done}`);
    if (ids.length === 0) print('nothing is in quarantine\n');
  });
}

async function heldIn(admin: AdminOptions, vip: string): Promise<readonly HeldDocument[]> {
  const messages: HeldDocument[] = [];
  for (;;) {
    const after = messages.at(-1)?.id ?? 0;
    const path = `${pathOf(vip)}?after=${after}&limit=${PAGE}`;
    const page = (await askAdmin(admin, { method: 'GET', path })) as readonly HeldDocument[];
    messages.push(...page);
    if (page.length < PAGE) return messages;
  }
}

function pathOf(vip: string): string {
  return `/api/v1/queues/${encodeURIComponent(vip)}/quarantine`;
}

function idOf(written: string): number {
  const id = Number(written);
  if (!/^[1-9]\d*$/.test(written) || !Number.isSafeInteger(id))
    throw usageFailure(`"${written}" is not the id of a message, such as 1207`);
  return id;
}

/** Segments as lines; what a terminal would obey is shown, not sent. */
function readable(message: Buffer): string {
  const lines = message.toString('utf8').split(/\r\n?|\n/);
  return `${lines.map(printable).join('\n').trimEnd()}\n`;
}

function print(text: string): void {
  process.stdout.write(text);
}
