/** The servers that a VIP at layer 4 forwards to: can packets get there, and what of their pool means nothing then? */
import { isIP } from 'node:net';
import { serverPath } from './check-listeners.ts';
import type { File } from './file-schema.ts';
import { type FilePool, type FileVip, type Findings, type Path, reaches } from './findings.ts';
import type { CheckPart } from './health-schema.ts';
import { canonical, familyOf, isLoopback, packetAddressFault } from './ip-address.ts';

type FileServer = FilePool['servers'][number];

export function checkForwarding(vip: FileVip, pool: FilePool, file: File, findings: Findings): void {
  for (const [index, server] of pool.servers.entries()) {
    const fault = hostFault(server, vip, file) ?? portFault(server, vip) ?? twinFault(server, vip, pool);
    if (fault !== undefined) findings.fault(serverPath(pool.name, index, findings), fault);
  }
  checkUseless(vip, pool, file, findings);
}

/** What is wrong with where a server is. */
function hostFault({ host }: FileServer, vip: FileVip, { vips }: File): string | undefined {
  const who = `mode ${vip.mode} of VIP ${vip.name}`;
  if (isIP(host) === 0)
    return `"${host}" is a name, and ${who} needs to know where packets go: an IP address would be right`;
  const wrong = packetAddressFault(host);
  if (wrong !== undefined) return wrong;
  if (isLoopback(host)) return `is this machine itself: ${who} forwards to other machines only`;
  const own = [vip, ...vips].find(({ listen }) =>
    listen.some((one) => canonical(one.host) === canonical(host)),
  );
  if (own)
    return `is the address of VIP ${own.name}, on this machine: ${who} would forward to itself; the server's own would be right`;
  const [first] = vip.listen;
  return first && familyOf(first.host) !== familyOf(host)
    ? `is ${familyOf(host)}, and VIP ${vip.name} is ${familyOf(first.host)}: mode ${vip.mode} does not translate between them`
    : undefined;
}

function portFault({ port }: FileServer, { name, mode, listen }: FileVip): string | undefined {
  if (port === undefined || listen.length === 0) return undefined;
  if (mode === 'dr') {
    return listen.some((one) => one.port !== port)
      ? `clients of VIP ${name} come to other ports than ${port}, and mode dr translates none: leave it out`
      : undefined;
  }
  return listen.some((one) => one.port === '*')
    ? `clients of VIP ${name} come to all ports, and would all get to port ${port}: leave it out`
    : undefined;
}

/** The kernel knows a server by where packets for it go. */
function twinFault(server: FileServer, vip: FileVip, { servers }: FilePool): string | undefined {
  const place = ({ host, port }: FileServer) => `${canonical(host)} ${vip.mode === 'dr' ? '' : port}`;
  const twin = servers.find((one) => place(one) === place(server));
  return twin === server
    ? undefined
    : `is where server ${twin!.name} is already: mode ${vip.mode} of VIP ${vip.name} cannot tell them apart, so one of them, with its \`weight\`, would be right`;
}

/** Of a pool that proxies have too, what means something to those is a warning only. */
function checkUseless(vip: FileVip, pool: FilePool, file: File, findings: Findings): void {
  const at = ['pools', pool.name];
  const isShared = file.vips.some((one) => one.mode === 'proxy' && reaches(one, pool));
  const useless = (path: Path, why: string): void => {
    if (!findings.has(path)) return;
    const message = `is of no use to VIP ${vip.name} with mode ${vip.mode}: ${why}`;
    if (isShared) findings.warn(path, message);
    else findings.fault(path, message, true);
  };
  useless([...at, 'tls'], 'TLS is between its clients and the servers');
  useless([...at, 'proxyProtocol'], 'nothing is put into what its clients send');
  useless([...at, 'hl7'], 'its clients make the connections to the servers');
  for (const key of ['connect', 'response']) {
    useless([...at, 'timeouts', key], 'its clients are the ones who wait');
  }
  if (asks('dicom-echo', pool.health)) return;
  for (const index of pool.servers.keys()) {
    useless([...at, 'servers', index, 'ae'], 'what its clients call stays as it is');
  }
}

function asks(check: CheckPart['check'], part: CheckPart): boolean {
  const parts = part.all ?? part.any;
  return parts ? parts.some((inner) => asks(check, inner)) : part.check === check;
}

interface Use {
  readonly vip: FileVip;
  readonly host: string;
  readonly port: number | '*';
  readonly path: Path;
}

/** To a server, connections of a proxy and those that the kernel makes look alike: both come from this machine. */
export function checkSnat(file: File, findings: Findings): void {
  const uses = file.vips.flatMap((vip) =>
    file.pools.filter((pool) => reaches(vip, pool)).flatMap((pool) => usesOf(vip, pool, findings)),
  );
  const proxied = uses.filter(({ vip }) => vip.mode === 'proxy');
  for (const { vip, host, port, path } of uses.filter((use) => use.vip.mode === 'snat')) {
    const other = proxied.find((use) => use.host === host && isSamePort(use.port, port));
    if (!other) continue;
    findings.fault(
      path,
      `has the connections of both VIP ${other.vip.name}, a proxy, and VIP ${vip.name} with mode snat, which may get in each other's way: mode nat, or a port of the server for each, would be right`,
    );
  }
}

function usesOf(vip: FileVip, pool: FilePool, findings: Findings): Use[] {
  return pool.servers.flatMap((server, index) => {
    const ports = server.port === undefined ? vip.listen.map(({ port }) => port) : [server.port];
    const path = serverPath(pool.name, index, findings);
    return ports.map((port) => ({ vip, host: canonical(server.host), port, path }));
  });
}

function isSamePort(a: number | '*', b: number | '*'): boolean {
  return a === '*' || b === '*' || (a === b && a !== 0);
}
