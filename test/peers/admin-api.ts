/** What the admin API of a balancer under test says. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ConnectionDocument, StatusDocument } from '../../src/admin/documents.ts';
import type { TestBalancer } from './start-balancer.ts';

export async function statusOf(balancer: TestBalancer): Promise<StatusDocument> {
  return (await get(balancer, 'status')) as StatusDocument;
}

export async function connectionsOf(balancer: TestBalancer): Promise<readonly ConnectionDocument[]> {
  return (await get(balancer, 'connections')) as readonly ConnectionDocument[];
}

/** Asks for the open connections until `wanted` likes what it sees; throws with the last answer after 30 s. */
export async function untilConnections(
  balancer: TestBalancer,
  wanted: (connections: readonly ConnectionDocument[]) => boolean,
): Promise<readonly ConnectionDocument[]> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const connections = await connectionsOf(balancer);
    if (wanted(connections)) return connections;
    if (performance.now() > deadline) throw new Error(`still open: ${JSON.stringify(connections, null, 2)}`);
    await pause(5);
  }
}

/** Waits until no connection is open, and throws when a server has anything left. */
export async function expectNothingLeft(balancer: TestBalancer): Promise<void> {
  await untilConnections(balancer, (connections) => connections.length === 0);
  const { pools } = await statusOf(balancer);
  const busy = pools.flatMap(({ servers }) => servers).filter(({ active }) => active !== 0);
  if (busy.length > 0) throw new Error(`servers with something left: ${JSON.stringify(busy, null, 2)}`);
}

/** `change`: `drain`, `drain?strict=true`, `halt`, `online` of `POOL/SERVER`; throws when the API says no. */
export async function changeServer({ admin }: TestBalancer, name: string, change: string): Promise<void> {
  const [pool, server] = name.split('/');
  const url = `http://${admin.host}:${admin.port}/api/v1/pools/${pool}/servers/${server}/${change}`;
  const answer = await fetch(url, { method: 'POST' });
  if (!answer.ok) throw new Error(`${change} of ${name}: ${answer.status} ${await answer.text()}`);
}

async function get({ admin }: TestBalancer, what: string): Promise<unknown> {
  const answer = await fetch(`http://${admin.host}:${admin.port}/api/v1/${what}`);
  if (!answer.ok) throw new Error(`${what}: ${answer.status}`);
  return answer.json();
}
