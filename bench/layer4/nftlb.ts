/** nftlb, another program that makes nftables rules of a configuration, as the rival: of the same kernel. */
import { writeFile } from 'node:fs/promises';
import type { Namespace, Site } from '../../test/peers/namespaces.ts';

export interface NftlbFarm {
  readonly mode: 'dsr' | 'dnat';
  readonly host: string;
  readonly ports: readonly number[];
  /** The interface that clients come in by. */
  readonly device: string;
}

/** Makes the rules, with clients that come back by their addresses; nothing of it runs on. */
export async function applyNftlb(
  { lb, servers }: Site,
  { mode, host, ports, device }: NftlbFarm,
  file: string,
): Promise<void> {
  const server = servers[0]!;
  const backend = { name: 'one', 'ip-addr': server.address, 'ether-addr': await hardwareAddress(server) };
  const farm = {
    name: 'bench',
    family: 'ipv4',
    'virtual-addr': host,
    'virtual-ports': ports.join(),
    iface: device,
    oface: 'eth0',
    mode,
    protocol: 'tcp',
    scheduler: 'rr',
    persistence: 'srcip',
    'persist-ttl': '1800',
    state: 'up',
    backends: [{ ...backend, weight: '1', state: 'up' }],
  };
  await writeFile(file, JSON.stringify({ farms: [farm] }));
  await lb.must('nftlb', ['-e', '-c', file]);
}

async function hardwareAddress(namespace: Namespace): Promise<string> {
  const links = JSON.parse(await namespace.must('ip', ['-j', 'link', 'show', 'eth0']));
  return (links as readonly { readonly address: string }[])[0]!.address;
}
