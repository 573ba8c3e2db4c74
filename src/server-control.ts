/** What an operator does to the servers of a running balancer, and what persistence remembers of them. */
import type { ServerChange } from './admin/changes.ts';
import type { ServerStatus } from './admin/documents.ts';
import type { Entry } from './admin/persistence.ts';
import type { Assembly } from './assemble.ts';
import { entryParts } from './director/persistence.ts';
import type { Server } from './pools/server.ts';
import { serverStatus } from './report.ts';

export interface ServerControl {
  readonly change: (pool: string, server: string, change: ServerChange) => ServerStatus | undefined;
  readonly entries: () => Iterable<Entry>;
  readonly clear: (entry: Entry) => void;
}

/** The names of the tables that are persistence: the others are not for operators. */
const PERSISTENCE = /^(vip|pool|share) /;

/** `assembly`: the one in force. */
export function createServerControl(assembly: () => Assembly): ServerControl {
  return {
    change(pool, name, change) {
      const server = assembly().pools.get(pool)?.server(name);
      if (!server) return undefined;
      carryOut(server, change);
      return serverStatus(server);
    },
    *entries() {
      for (const [name, table] of assembly().tables) {
        if (!PERSISTENCE.test(name)) continue;
        for (const { key, server, remaining } of table.entries()) {
          const { pool, by, key: value } = entryParts(key);
          yield { table: name, entry: key, pool, by, value, server, remaining };
        }
      }
    },
    clear({ table, entry }) {
      assembly().tables.get(table)?.delete(entry);
    },
  };
}

function carryOut(server: Server, change: ServerChange): void {
  switch (change.to) {
    case 'drain':
      server.drain(change.strict);
      break;
    case 'halt':
      server.halt();
      break;
    case 'online':
      server.online();
      break;
    case 'set':
      if (change.weight !== undefined) server.weight = change.weight;
      if (change.maxConnections !== undefined) server.maxConnections = change.maxConnections ?? undefined;
  }
}
