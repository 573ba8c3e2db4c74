/** The reports of a probe, for people and for programs. */
import { findingsOf, sentenceOf } from '../probe/compare.ts';
import type { PoolReport, ServerReport, Title } from '../probe/prober.ts';
import { sopClassName, transferSyntaxName } from '../probe/proposals.ts';
import { formatTable } from './table.ts';

/** Everything that was asked and answered; UIDs are those of PS3.6. */
export function probeJson(reports: readonly PoolReport[]): string {
  const pools = reports.map((report) => ({
    ...report,
    findings: findingsOf(report).map((finding) => ({ ...finding, sentence: sentenceOf(finding) })),
  }));
  return `${JSON.stringify({ pools }, null, 2)}\n`;
}

/** Of each pool who is known where, what is accepted, and a sentence a finding. */
export function probeText(reports: readonly PoolReport[]): string {
  return reports.map(poolText).join('\n');
}

function poolText(report: PoolReport): string {
  const sentences = findingsOf(report).map((finding) => `${sentenceOf(finding)}\n`);
  const nothing = `pool ${report.pool}: no differences\n`;
  return [
    `pool ${report.pool}\n`,
    titleTable(report),
    syntaxTable(report),
    classTable(report),
    sentences.length === 0 ? nothing : sentences.join(''),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** A row an AE title, a column a server. */
function titleTable({ titles, servers }: PoolReport): string {
  const ofServers = servers.map(({ server, ae }) => (ae === undefined ? server : `${server} (AE ${ae})`));
  return formatTable(
    ['CALLING', 'CALLED', ...ofServers],
    titles.map((title) => [
      title.calling,
      servers.every(({ ae }) => ae !== undefined) ? '-' : title.called,
      ...servers.map((server) => answerOf(server, title)),
    ]),
  );
}

function answerOf({ problem, titles }: ServerReport, { calling, called }: Title): string {
  if (problem) return problem.kind;
  const report = titles.find((one) => one.calling === calling && one.called === called);
  return report?.code ?? report?.answer ?? '-';
}

/** In how many SOP classes each transfer syntax is accepted. */
function syntaxTable({ proposed, servers }: PoolReport): string {
  const asked = [...new Set(Object.values(proposed).flat())];
  return countTable('TRANSFER SYNTAX', servers, asked, transferSyntaxName, (contexts, syntax) =>
    countText(Object.values(contexts).filter((syntaxes) => syntaxes.includes(syntax)).length, [
      'SOP class',
      'SOP classes',
    ]),
  );
}

/** In how many transfer syntaxes the SOP classes are accepted that not every server accepts. */
function classTable(report: PoolReport): string {
  const findings = findingsOf(report).filter((one) => one.kind === 'context');
  const differing = findings.flatMap((one) => (one.transferSyntaxes.length === 0 ? one.sopClasses : []));
  const asked = [...new Set(differing)];
  return countTable('SOP CLASS', report.servers, asked, sopClassName, (contexts, sopClass) =>
    countText(contexts[sopClass]?.length ?? 0, ['transfer syntax', 'transfer syntaxes']),
  );
}

type Contexts = Readonly<Record<string, readonly string[]>>;

/** A row a UID, a column a server; nothing when no server told of any context. */
function countTable(
  head: string,
  servers: readonly ServerReport[],
  uids: readonly string[],
  nameOf: (uid: string) => string,
  cellOf: (contexts: Contexts, uid: string) => string,
): string {
  const known = servers.map(contextsOf);
  if (uids.length === 0 || known.every((contexts) => contexts === undefined)) return '';
  return formatTable(
    [head, ...servers.map(({ server }) => server)],
    uids.map((uid) => [
      nameOf(uid),
      ...known.map((contexts) => (contexts === undefined ? '-' : cellOf(contexts, uid))),
    ]),
  );
}

/** What a server accepts from anybody. */
function contextsOf({ titles }: ServerReport): Contexts | undefined {
  const all = titles.flatMap(({ contexts }) => (contexts === undefined ? [] : Object.entries(contexts)));
  if (titles.every(({ contexts }) => contexts === undefined)) return undefined;
  const classes = Map.groupBy(all, ([sopClass]) => sopClass);
  return Object.fromEntries(
    [...classes].map(([sopClass, each]) => [
      sopClass,
      [...new Set(each.flatMap(([, syntaxes]) => syntaxes))],
    ]),
  );
}

function countText(count: number, [one, many]: readonly [string, string]): string {
  return count === 0 ? 'none' : `${count} ${count === 1 ? one : many}`;
}
