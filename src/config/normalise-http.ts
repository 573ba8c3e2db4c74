/** What VIPs of protocol http and tcp have of their own. */
import type { File } from './file-schema.ts';
import { type FileVip, reaches } from './findings.ts';
import type { HttpAction, HttpTimeouts, HttpVip, TcpTimeouts, TcpVip } from './schema.ts';
import { closest } from './timeouts-schema.ts';
import type { When } from './vip-schema.ts';

const HTTP_TIMEOUTS: HttpTimeouts = {
  request: 30_000,
  stall: 60_000,
  response: 120_000,
  idle: 60_000,
  connect: 2000,
  queue: 5000,
  tunnel: 72 * 3_600_000,
};
const TCP_TIMEOUTS: TcpTimeouts = { connect: 2000, queue: 5000, idle: 72 * 3_600_000 };

export function normaliseHttp(vip: FileVip, general: File['timeouts']): HttpVip['http'] {
  const { headers, body, connections } = vip.limits;
  return {
    actions: vip.routes.map(actionOf),
    headers: vip.headers,
    forwarded: vip.forwarded,
    limits: { headers, body, connections },
    timeouts: closest(HTTP_TIMEOUTS, general, vip.timeouts),
  };
}

function actionOf({ when, rewrite, redirect, respond }: FileVip['routes'][number]): HttpAction {
  const paths = when.facts.find(({ name }) => name === 'path')?.patterns ?? [];
  return { paths, rewrite: rewrite?.path, redirect, respond };
}

export function normaliseTcp(vip: FileVip, file: File): TcpVip['tcp'] {
  const persistences = [vip, ...file.pools.filter((pool) => reaches(vip, pool))].map(
    (one) => one.persistence,
  );
  const asksForSni =
    vip.routes.some(({ when }) => asksFor('sni', when)) ||
    persistences.some((persistence) => persistence?.by.includes('sni'));
  return {
    limits: { connections: vip.limits.connections },
    timeouts: closest(TCP_TIMEOUTS, file.timeouts, vip.timeouts),
    peeksSni: vip.tls === undefined && asksForSni,
  };
}

function asksFor(fact: string, { facts, not, any }: When): boolean {
  return (
    facts.some(({ name }) => name === fact) ||
    (not !== undefined && asksFor(fact, not)) ||
    (any?.some((inner) => asksFor(fact, inner)) ?? false)
  );
}
