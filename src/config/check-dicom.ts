/** Study routing and urgent work: do the keys fit each other, the pools and the table? */
import { overlap } from './check-listeners.ts';
import { patternFault } from './check-pattern.ts';
import { isOfMessages } from './fact-names.ts';
import { advice } from './fault.ts';
import type { File } from './file-schema.ts';
import { type FilePool, type FileVip, type Findings, type Path, reaches } from './findings.ts';
import { factsIn, keepsStudies } from './normalise-dicom.ts';

export function checkDicom(vip: FileVip, file: File, findings: Findings): void {
  const at = ['vips', vip.name];
  const pools = file.pools.filter((pool) => reaches(vip, pool));
  checkReserve(vip, pools, findings);
  checkOrders(vip, file, findings);
  checkClients(vip, findings);
  if (findings.faulty([...at, 'dicom']) || findings.faulty([...at, 'dicom', 'route'])) return;
  if (vip.dicom?.route === 'study') checkStudyRouting(vip, vip.dicom, pools, file, findings);
  else refuseStudyKeys(at, findings);
}

/** The AE titles of `clients` are patterns of a rule. */
function checkClients({ name, dicom }: FileVip, findings: Findings): void {
  for (const ae of Object.keys(dicom?.clients ?? {})) {
    const wrong = patternFault('calling', ae);
    if (wrong !== undefined) findings.fault(['vips', name, 'dicom', 'clients', ae], wrong, true);
  }
}

function refuseStudyKeys(at: Path, findings: Findings): void {
  for (const key of ['storage', 'replay', 'egress']) {
    if (findings.has([...at, 'dicom', key])) {
      findings.fault([...at, 'dicom', key], 'is for `route: study`', true);
    }
  }
  if (findings.has([...at, 'urgent', 'fromOrders'])) {
    const message = 'is for `dicom: { route: study }`: only a message says what it was ordered for';
    findings.fault([...at, 'urgent', 'fromOrders'], message, true);
  }
}

function checkStudyRouting(
  vip: FileVip,
  { replay, egress }: NonNullable<FileVip['dicom']>,
  pools: readonly FilePool[],
  file: File,
  findings: Findings,
): void {
  const at = ['vips', vip.name];
  if (!findings.has([...at, 'dicom', 'storage'])) {
    const right = '`shared` (nodes of one archive) or `separate` (independent archives) would be right';
    findings.fault([...at, 'dicom', 'storage'], `is missing: ${right}`);
  }
  if (replay.perInstance > replay.total) {
    const isWritten = findings.has([...at, 'dicom', 'replay', 'perInstance']);
    const message = isWritten
      ? 'is more than `total`: less, or a higher `total`, would be right'
      : 'is less than `perInstance`: more, or a lower `perInstance`, would be right';
    findings.fault([...at, 'dicom', 'replay', isWritten ? 'perInstance' : 'total'], message);
  }
  if (keepsStudies(vip)) checkSeparate(vip, pools, file, findings);
  if (egress) checkDestinations(egress, [...at, 'dicom', 'egress'], findings);
  for (const [index, { when, reject }] of vip.routes.entries()) {
    const late = reject === undefined ? undefined : factsIn(when).find(isOfMessages);
    if (late === undefined) continue;
    findings.fault(
      [...at, 'routes', index, 'reject'],
      `turns away associations, and "${late}" is of the messages that come in one: a rule by other facts would be right`,
    );
  }
}

/** Independent archives: nothing may take a study away from its server. */
function checkSeparate(vip: FileVip, pools: readonly FilePool[], file: File, findings: Findings): void {
  const at = ['vips', vip.name];
  const storage = [...at, 'dicom', 'storage'];
  if (file.table.file === undefined && !findings.faulty(['table'])) {
    const right = '`table: { memory: { file: /var/lib/gantry/table } }` at the top would be right';
    findings.fault(storage, `"separate" needs a table that outlives a restart: ${right}`);
  }
  if (vip.persistence && vip.persistence.by.join() !== 'study') {
    const by = findings.has([...at, 'persistence', 'by']) ? ['by'] : [];
    const message =
      'would spread a study over archives: with `storage: separate`, `by: study` would be right';
    findings.fault([...at, 'persistence', ...by], message);
  }
  if (findings.has([...at, 'persistence', 'ttl'])) {
    const message = 'is of no use: with `storage: separate`, no study is ever forgotten';
    findings.fault([...at, 'persistence', 'ttl'], message, true);
  }
  for (const pool of pools) {
    const place = ['pools', pool.name];
    if (pool.persistence) {
      const message = `goes before that of VIP ${vip.name}, where \`storage: separate\` needs its own: leave it out`;
      findings.fault([...place, 'persistence'], message, true);
    }
    if (pool.mode === 'single-active') {
      const message = `takes studies from their server, which \`storage: separate\` of VIP ${vip.name} forbids: \`balance: first\` would be right`;
      findings.fault([...place, 'mode'], message);
    }
    const before = file.vips.slice(0, file.vips.indexOf(vip));
    for (const other of before.filter((one) => reaches(one, pool))) checkPeers(vip, other, pool, findings);
  }
}

/** Two VIPs that both keep studies in the archives of one pool must know of each other where they are. */
function checkPeers(vip: FileVip, other: FileVip, { name }: FilePool, findings: Findings): void {
  const share = vip.persistence?.share;
  if (!keepsStudies(other) || (share !== undefined && share === other.persistence?.share)) return;
  findings.fault(
    ['vips', vip.name, 'dicom', 'storage'],
    `VIP ${other.name} keeps studies in pool ${name} too: \`persistence: { by: study, share: NAME }\` at both would be right`,
  );
}

type Egress = NonNullable<NonNullable<FileVip['dicom']>['egress']>;

function checkDestinations({ listen, destinations }: Egress, at: Path, findings: Findings): void {
  const entries = Object.entries(destinations);
  if (entries.length === 0 && findings.keys([...at, 'destinations']).length === 0) {
    findings.fault([...at, 'destinations'], 'is empty: at least one is needed');
  }
  for (const [title, address] of entries) {
    if (!listen.some((own) => overlap(own, address))) continue;
    findings.fault(
      [...at, 'destinations', title],
      'is this listener itself: where the AE listens would be right',
    );
  }
}

function checkReserve({ name, urgent }: FileVip, pools: readonly FilePool[], findings: Findings): void {
  const at = ['vips', name, 'urgent', 'reserve'];
  if (urgent.reserve === 0) return;
  const limited = pools.flatMap((pool) =>
    pool.servers.flatMap((server) =>
      server.maxConnections === undefined
        ? []
        : [{ owner: `${pool.name}/${server.name}`, most: server.maxConnections }],
    ),
  );
  const starved = limited.find(({ most }) => most <= urgent.reserve);
  if (starved) {
    const { owner, most } = starved;
    const right =
      most > 1 ? `${most - 1} at most would be right` : 'a higher `maxConnections` would be right';
    findings.fault(at, `leaves routine work none of the ${most} connections of ${owner}: ${right}`);
  } else if (limited.length === 0 && pools.length > 0) {
    findings.fault(at, 'reserves nothing: no server of its pools has `maxConnections`');
  }
}

function checkOrders({ name, urgent }: FileVip, file: File, findings: Findings): void {
  const at = ['vips', name, 'urgent', 'fromOrders'];
  const known = file.vips.filter(({ protocol }) => protocol === 'hl7').map((vip) => vip.name);
  for (const [wanted, path] of findings.items(at, urgent.fromOrders ?? [])) {
    const vip = file.vips.find((one) => one.name === wanted);
    if (vip ? vip.protocol === 'hl7' || isUnclear(vip) : findings.has(['vips', wanted])) continue;
    const of = vip?.mode === 'proxy' ? `protocol ${vip.protocol}` : `mode ${vip?.mode}`;
    const what = vip ? `VIP "${wanted}" is of ${of}` : `there is no VIP "${wanted}"`;
    const right = known.length > 0 ? advice(wanted, known) : 'one of protocol hl7 would be right';
    findings.fault(path, `${what}: ${right}`);
  }
}

/** Its protocol is missing, or faulty. */
function isUnclear({ mode, protocol }: FileVip): boolean {
  return mode === 'proxy' && protocol === undefined;
}
