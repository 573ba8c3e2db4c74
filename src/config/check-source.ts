/** `source`: can servers see this address, and does it fit theirs? */
import { isIP } from 'node:net';
import type { File } from './file-schema.ts';
import { type FileVip, type Findings, reaches } from './findings.ts';
import { canonical, familyOf, packetAddressFault } from './ip-address.ts';

export function checkSource(vip: FileVip, file: File, findings: Findings): void {
  const at = ['vips', vip.name, 'source'];
  if (vip.source === undefined || findings.faulty(['vips', vip.name, 'mode'])) return;
  if (vip.mode === 'dr' || vip.mode === 'nat') {
    const message = `is for mode proxy or snat: with ${vip.mode}, servers see the address of the client`;
    findings.fault(at, message, true);
    return;
  }
  const fault = vip.source === 'client' ? clientFault(vip, file) : addressFault(vip.source, vip, file);
  if (fault !== undefined) findings.fault(at, fault);
}

function clientFault(vip: FileVip, file: File): string | undefined {
  if (vip.mode === 'snat') {
    return '"client" is what mode nat does: that mode, or an address of this machine, would be right';
  }
  if (vip.protocol === 'http') {
    return '"client" is for protocol dicom, hl7 or tcp: with http, X-Forwarded-For tells who the client is (`forwarded`), so leave it out';
  }
  if (vip.protocol === 'hl7' && vip.hl7?.delivery === 'store') {
    return '"client" is for `delivery: relay`: a message that was stored goes on when its sender may long be gone';
  }
  for (const { host } of vip.listen.filter((one) => canonical(one.host) !== '[::]')) {
    const other = serversOf(vip, file).find((server) => familyOf(server.host) !== familyOf(host));
    if (!other) continue;
    return `"client" needs one family: clients that come to ${host} have ${familyOf(host)} addresses, and server ${other.name} has an ${familyOf(other.host)} address; a VIP for each would be right`;
  }
  return undefined;
}

function addressFault(source: string, vip: FileVip, file: File): string | undefined {
  const wrong = packetAddressFault(source);
  if (wrong !== undefined) return wrong;
  const direct = file.vips.find(
    ({ mode, listen }) =>
      mode === 'dr' && listen.some(({ host, port }) => port === '*' && canonical(host) === canonical(source)),
  );
  if (direct) {
    return `is the address of VIP ${direct.name}, which takes all that comes there, answers to these connections too: another address of this machine would be right`;
  }
  const [first] = vip.listen;
  const family = familyOf(source);
  if (vip.mode === 'snat') {
    return first && familyOf(first.host) !== family
      ? `is ${family}, and this VIP is ${familyOf(first.host)}: an ${familyOf(first.host)} address of this machine would be right`
      : undefined;
  }
  const other = serversOf(vip, file).find(({ host }) => familyOf(host) !== family);
  return (
    other &&
    `is ${family}, and server ${other.name} has an ${familyOf(other.host)} address: servers of one family would be right`
  );
}

/** Those that are written as addresses, as `POOL/SERVER`. */
function serversOf(vip: FileVip, { pools }: File): { readonly name: string; readonly host: string }[] {
  return pools
    .filter((pool) => reaches(vip, pool))
    .flatMap((pool) => pool.servers.map(({ name, host }) => ({ name: `${pool.name}/${name}`, host })))
    .filter(({ host }) => isIP(host) !== 0);
}
