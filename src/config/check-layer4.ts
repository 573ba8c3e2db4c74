/** A VIP with `mode: dr`, `nat` or `snat`: what is for proxies only, and what the kernel cannot do. */
import { checkForwarding } from './check-forwarding.ts';
import type { File } from './file-schema.ts';
import type { FileVip, Findings, Path } from './findings.ts';
import { familyOf, packetAddressFault } from './ip-address.ts';
import { NOWHERE } from './judge.ts';
import type { FilePersistence } from './persistence-schema.ts';

/** Keys of what is read by this process, or said by it. */
const OF_PROXIES = [
  'protocol',
  'routes',
  'tls',
  'dicom',
  'hl7',
  'headers',
  'forwarded',
  'limits',
  'proxyProtocol',
  'trustedProxies',
  'urgent',
];

export function checkLayer4(vip: FileVip, file: File, findings: Findings): void {
  const at = ['vips', vip.name];
  for (const key of OF_PROXIES) {
    if (!findings.has([...at, key])) continue;
    const message = `is for mode proxy; this is ${vip.mode}, whose packets do not come to this process`;
    findings.fault([...at, key], message, true);
  }
  for (const key of Object.keys(vip.timeouts ?? {})) {
    if (key === 'idle') continue;
    findings.fault([...at, 'timeouts', key], `is for mode proxy; ${vip.mode} has only \`idle\``, true);
  }
  if (!findings.has([...at, 'pool'])) {
    findings.fault([...at, 'pool'], `is missing: mode ${vip.mode} has no other way to servers`);
  }
  checkAddresses(vip, findings);
  const of = `mode ${vip.mode}`;
  if (vip.persistence) checkPersistence(vip.persistence, [...at, 'persistence'], { vip, of }, findings);
  const pool = file.pools.find((one) => one.name === vip.pool);
  if (!pool) return;
  checkForwarding(vip, pool, file, findings);
  if (!pool.persistence) return;
  const place = ['pools', pool.name, 'persistence'];
  checkPersistence(pool.persistence, place, { vip, of: `${of} of VIP ${vip.name}` }, findings);
}

/** `interface`, wherever it stands. */
export function checkInterface({ name, mode, interface: names = [] }: FileVip, findings: Findings): void {
  const at = ['vips', name, 'interface'];
  if (!findings.has(at) || findings.faulty(['vips', name, 'mode'])) return;
  if (mode !== 'dr') {
    findings.fault(at, `is for mode dr; ${mode} takes what comes to its address by whatever interface`, true);
    return;
  }
  for (const [written, path] of findings
    .items(at, names)
    .filter(([one], index) => names.indexOf(one) < index)) {
    findings.fault(path, `"${written}" is there twice: once would be right`);
  }
}

function checkAddresses({ name, mode, listen }: FileVip, findings: Findings): void {
  const family = listen[0] && familyOf(listen[0].host);
  for (const [{ host, port }, path] of findings.items(['vips', name, 'listen'], listen)) {
    if (host === NOWHERE) continue;
    const wrong = packetAddressFault(host);
    if (wrong !== undefined) {
      findings.fault(path, wrong);
    } else if (port === 0) {
      const message = `port 0 lets the system choose, and mode ${mode} has no listener that it could choose for: a port, or "*" for all, would be right`;
      findings.fault(path, message);
    } else if (familyOf(host) !== family) {
      const message = `is ${familyOf(host)}, and ${listen[0]!.host} is ${family}: mode ${mode} needs a VIP for each`;
      findings.fault(path, message);
    }
  }
}

/** Of the VIP or its pool; the kernel knows a client by its address, and by nothing else. */
function checkPersistence(
  { by, netmask, share }: FilePersistence,
  at: Path,
  { vip, of }: { readonly vip: FileVip; readonly of: string },
  findings: Findings,
): void {
  for (const [name, path] of findings.items(findings.has([...at, 'by']) ? [...at, 'by'] : at, by)) {
    if (name === 'none' || name === 'source-ip') continue;
    const is = name === 'cookie' ? 'is for protocol http' : 'is not known';
    findings.fault(path, `"${name}" ${is}: ${of} reads no protocol, so source-ip or none would be right`);
  }
  if (share !== undefined) {
    findings.fault([...at, 'share'], `shares nothing: what ${of} remembers stays in the kernel`, true);
  }
  if (netmask !== undefined && netmask > 32 && vip.listen.some(({ host }) => familyOf(host) === 'IPv4')) {
    findings.fault(
      [...at, 'netmask'],
      'is more than the 32 bits of an IPv4 address: 32 at most would be right',
    );
  }
}
