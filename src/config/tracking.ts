/** `health.track`: which server of which pool a result is taken from. */
import type { FilePool } from './findings.ts';

export interface Tracked {
  /** The pool that is checked, at the end of the chain. */
  readonly pool: FilePool;
  /** Name of the server → name of the one in `pool`. */
  readonly servers: Readonly<Record<string, string>>;
  readonly fault?: undefined;
}

/** Follows what `pool` tracks, over pools that track another; `fault` is a sentence. */
export function findTracked(
  pool: FilePool,
  pools: readonly FilePool[],
): Tracked | { readonly fault: string } {
  let servers: Readonly<Record<string, string>> = {};
  for (const { name } of pool.servers) servers = { ...servers, [name]: name };
  const passed = [pool.name];
  let last = pool;
  while (last.health.track !== undefined) {
    const next = pools.find(({ name }) => name === last.health.track);
    if (!next) return { fault: `there is no pool "${last.health.track}"` };
    passed.push(next.name);
    if (passed.indexOf(next.name) < passed.length - 1) {
      return {
        fault:
          pool === next && passed.length === 2
            ? 'is the pool itself'
            : `goes in a circle: ${passed.join(' → ')}`,
      };
    }
    const found: Record<string, string> = {};
    for (const server of pool.servers) {
      const own = last.servers.find(({ name }) => name === servers[server.name]);
      const same = own && sameServer(own, next);
      if (same === undefined) {
        return {
          fault: `pool "${next.name}" has no server "${server.name}": one of the same name, or one only of its address, is needed`,
        };
      }
      found[server.name] = same;
    }
    servers = found;
    last = next;
  }
  return { pool: last, servers };
}

/** The name of the server of `pool` that is meant: by its name, or by its address when only one has that. */
function sameServer(server: FilePool['servers'][number], { servers }: FilePool): string | undefined {
  if (servers.some(({ name }) => name === server.name)) return server.name;
  const alike = servers.filter(({ host }) => host === server.host);
  return alike.length === 1 ? alike[0]!.name : undefined;
}
