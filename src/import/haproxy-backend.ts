/** A `backend`, or the back half of a `listen` → a pool, and what of it belongs to the VIPs that lead there. */
import { durationText, filled, Names, type Part } from './draft.ts';
import type { Acls } from './haproxy-acl.ts';
import type { Criteria } from './haproxy-criteria.ts';
import { type HealthOptions, healthOf } from './haproxy-health.ts';
import { type PersistenceOptions, persistenceOf } from './haproxy-persistence.ts';
import { type Directive, lastOf, type Section } from './haproxy-sections.ts';
import { poolTls, readServers, type Server, type ServerOptions, sourceText } from './haproxy-server.ts';
import { endpoint, timeOf } from './haproxy-values.ts';
import { type Ledger, Loss } from './losses.ts';

export interface Backend {
  readonly section: Section;
  readonly acls: Acls;
  readonly isHttp: boolean;
  /** undefined: it has no server. */
  readonly pool: Part | undefined;
  /** `source` of the VIPs in front. */
  readonly source: string | undefined;
  /** It has servers, and none of them could be taken over. */
  readonly isLost: boolean;
}

export interface BackendOptions extends ServerOptions, Omit<PersistenceOptions, 'criteria'>, HealthOptions {
  readonly criteria: Criteria;
  readonly acls: Acls;
  readonly pools: Names;
}

export function readBackend(section: Section, options: BackendOptions): Backend {
  const { ledger, acls, criteria } = options;
  const isHttp = criteria.protocol === 'http';
  const servers = alike(readServers(section, options), ledger);
  const source = sourceOf(section, servers, ledger);
  const isLost = servers.length === 0 && section.directives.some(({ words }) => words[0] === 'server');
  const base = { section, acls, isHttp, source, isLost };
  if (servers.length === 0) return { ...base, pool: undefined };
  const [first] = servers;
  const { balance, persistence } = persistenceOf(section, options);
  const { slowStart, proxyProtocol } = first!.settings;
  const body = {
    servers: serversOf(section, servers, ledger),
    balance,
    health: filled(healthOf(section, servers, options)),
    slowStart: slowStart ? durationText(slowStart) : undefined,
    persistence: persistence && filled(persistence),
    tls: poolTls(first!.settings),
    proxyProtocol,
    timeouts: filled({
      connect: timeoutOf(section, 'connect', ledger),
      response: isHttp ? timeoutOf(section, 'server', ledger) : undefined,
    }),
  };
  const name = options.poolOf(section.name) ?? options.pools.take(section.name);
  return {
    ...base,
    pool: { name, comments: [`${section.kind} ${section.name}, line ${section.line.number}`], body },
  };
}

/** Milliseconds as text; undefined: not said, or for ever. */
export function timeoutOf(section: Section, name: string, ledger: Ledger): string | undefined {
  const ms = timeoutMs(section, name, ledger);
  return ms === undefined || ms === 0 ? undefined : durationText(ms);
}

export function timeoutMs(section: Section, name: string, ledger: Ledger): number | undefined {
  const line = lastOf(section, `timeout ${name}`);
  if (!line) return undefined;
  try {
    const ms = timeOf(line.words[2]);
    ledger.take(line);
    return ms;
  } catch (error) {
    if (!(error instanceof Loss)) throw error;
    ledger.lost(line, error.message);
    return undefined;
  }
}

/** Those that are spoken to as the first one is. */
function alike(servers: readonly Server[], ledger: Ledger): readonly Server[] {
  const [first] = servers;
  return servers.filter((server) => {
    const [one, other] = [first!, server].map(({ settings }) =>
      JSON.stringify([poolTls(settings), settings.proxyProtocol]),
    );
    if (one === other) return true;
    ledger.lost(
      server.line,
      `all servers of a pool are spoken to alike (TLS, PROXY protocol), as that of line ${first!.line.number}: give this one a pool of its own`,
    );
    return false;
  });
}

function serversOf(section: Section, servers: readonly Server[], ledger: Ledger) {
  const names = new Names();
  const usesAll = lastOf(section, 'option allbackups');
  if (usesAll) ledger.take(usesAll);
  const backups = servers.filter(({ settings }) => settings.backup);
  for (const { line } of usesAll ? [] : backups.slice(1))
    ledger.changed(line, 'all servers with `backup: true` help out together, not one after the other');
  return servers.map(({ line, name, host, port, settings }) => {
    const { weight, maxConnections, backup, disabled } = settings;
    if (disabled)
      ledger.changed(line, 'it has weight 0 now: give it back its weight when it may work', 'disabled');
    return {
      name: names.take(name),
      address: endpoint(host, port),
      weight: disabled ? 0 : weight === 1 ? undefined : weight,
      maxConnections: maxConnections || undefined,
      backup: backup || undefined,
    };
  });
}

function sourceOf(section: Section, servers: readonly Server[], ledger: Ledger): string | undefined {
  const line: Directive | undefined = lastOf(section, 'source');
  if (line) {
    try {
      const source = sourceText(line.words.slice(1));
      ledger.take(line);
      return source;
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      ledger.lost(line, error.message);
      return undefined;
    }
  }
  const [first] = servers;
  for (const server of servers.slice(1)) {
    if (server.settings.source !== first?.settings.source)
      ledger.changed(server.line, '`source` is of the VIP: that of the first server counts', 'source');
  }
  return first?.settings.source;
}
