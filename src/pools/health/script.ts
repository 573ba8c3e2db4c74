/**
 * script: a program of the operator's decides, called as ldirectord and HAProxy call theirs. Exit code 0 is up.
 *
 *     $1 VIP address    $2 VIP port    $3 server address    $4 server port
 *
 * `NOT_USED` stands for a VIP where there is none. Its environment is that of HAProxy's `external-check command`, and
 * nothing of the balancer's own, which may hold secrets.
 */
import type { Cancel, CheckResult, CheckTarget } from './check.ts';
import { describeEnd, isSuccess, programPath, runProgram } from './program.ts';

export interface ScriptOptions {
  /** An absolute path. */
  readonly script: string;
  /** The VIP that the server works for: the first, when there are several. */
  readonly vip: { readonly host: string; readonly port: number } | undefined;
  /** `id`: its number among the pools, from 1. */
  readonly pool: { readonly name: string; readonly id: number };
  readonly server: {
    readonly name: string;
    /** Its number in the pool, from 1. */
    readonly id: number;
    /** As the script starts. */
    readonly load: () => { readonly active: number; readonly maxConnections: number | undefined };
  };
}

/** What makes two scripts the same check, beside the address. */
export function scriptKey({ script, vip, pool, server }: ScriptOptions): readonly unknown[] {
  return [script, vip, pool.name, server.name];
}

export function startScript(
  target: CheckTarget,
  options: ScriptOptions,
  done: (result: CheckResult) => void,
): Cancel {
  const { host, port, timeout, deadlines, now } = target;
  const { script, vip } = options;
  const args = [vip?.host ?? 'NOT_USED', String(vip?.port ?? 'NOT_USED'), host, String(port)];
  const env = environment(target, options);
  const started = now();
  return runProgram({ file: script, args, env, timeout, deadlines }, (end) => {
    const reason = describeEnd(`check script ${script}`, end, timeout);
    done({ outcome: isSuccess(end) ? 'up' : 'down', reason, ms: now() - started });
  });
}

function environment(
  { host, port, link }: CheckTarget,
  { vip, pool, server }: ScriptOptions,
): Readonly<Record<string, string>> {
  const { active, maxConnections } = server.load();
  return {
    PATH: programPath(),
    HAPROXY_PROXY_NAME: pool.name,
    HAPROXY_PROXY_ID: String(pool.id),
    HAPROXY_PROXY_ADDR: vip?.host ?? '',
    HAPROXY_PROXY_PORT: String(vip?.port ?? ''),
    HAPROXY_SERVER_NAME: server.name,
    HAPROXY_SERVER_ID: String(server.id),
    HAPROXY_SERVER_ADDR: host,
    HAPROXY_SERVER_PORT: String(port),
    HAPROXY_SERVER_CURCONN: String(active),
    // 0 is none in HAProxy as well.
    HAPROXY_SERVER_MAXCONN: String(maxConnections ?? 0),
    HAPROXY_SERVER_SSL: link?.tls ? '1' : '0',
    HAPROXY_SERVER_PROTO: 'tcp',
  };
}
