/** What the reports of a pool's servers say when they are laid side by side. */
import type { PoolReport, ServerReport, Title, TitleReport } from './prober.ts';
import { sopClassName, transferSyntaxName } from './proposals.ts';

interface Common {
  readonly pool: string;
  /** Servers that it is about. */
  readonly servers: readonly string[];
  /** Those that do what the others do not. */
  readonly others: readonly string[];
}

/** Nothing could be asked. */
interface UnreachableFinding extends Common {
  readonly kind: 'unreachable';
  readonly reason: string;
}

/** For the time being it cannot be told who is known, or what is taken. */
interface UndecidedFinding extends Common {
  readonly kind: 'undecided';
  readonly calling: readonly string[];
  readonly reason: string;
}

/** AE titles that are not accepted; without `others`: nowhere. */
interface TitleFinding extends Common {
  readonly kind: 'title';
  readonly calling: readonly string[];
  readonly called: readonly string[];
  /** `result/source/reason` of a rejection; undefined: it ends the association in another way. */
  readonly code: string | undefined;
  readonly reason: string;
}

/** SOP classes that are not accepted in these transfer syntaxes. */
interface ContextFinding extends Common {
  readonly kind: 'context';
  /** Empty: for every calling AE title. */
  readonly calling: readonly string[];
  readonly sopClasses: readonly string[];
  /** Empty: in none at all. */
  readonly transferSyntaxes: readonly string[];
}

export type Finding = UnreachableFinding | UndecidedFinding | TitleFinding | ContextFinding;

/** In the order of an operator's questions: who is there, who is known, what is taken. */
export function findingsOf(report: PoolReport): Finding[] {
  return [...unreachableOf(report), ...titleFindings(report), ...contextFindings(report)];
}

/** Do servers of the pool differ in it? Otherwise it is about all of them, or about how the probe went. */
export function isDifference({ kind, others }: Finding): boolean {
  return (kind === 'title' || kind === 'context') && others.length > 0;
}

/** For an operator: `pool archive: pacs-b does not accept JPEG Lossless SV1 for CT Image Storage, pacs-a does`. */
export function sentenceOf(finding: Finding): string {
  const { pool, servers, others } = finding;
  const not = `${listed(servers)} ${servers.length === 1 ? 'does' : 'do'} not accept`;
  const but = others.length === 0 ? '' : `, ${listed(others)} ${others.length === 1 ? 'does' : 'do'}`;
  switch (finding.kind) {
    case 'unreachable':
      return `pool ${pool}: ${listed(servers)} could not be asked: ${finding.reason}`;
    case 'undecided':
      return `pool ${pool}: as ${listed(finding.calling)}, ${listed(servers)} could not be asked: ${finding.reason}`;
    case 'title':
      return `pool ${pool}: ${not} ${titlesText(finding)} (${finding.reason})${but}`;
    case 'context': {
      const { calling, sopClasses, transferSyntaxes } = finding;
      const as = calling.length === 0 ? '' : `as ${listed(calling)}, `;
      const classes = listed(sopClasses.map(sopClassName), 'more SOP classes', 2);
      const syntaxes = listed(transferSyntaxes.map(transferSyntaxName), 'more transfer syntaxes');
      const what = syntaxes === '' ? classes : `${syntaxes} for ${classes}`;
      return `pool ${pool}: ${as}${not} ${what}${but}`;
    }
  }
}

/** A server that does not recognize the called title says nothing about the calling one. */
function titlesText({ code, calling, called }: TitleFinding): string {
  return code === '1/1/7'
    ? `called AE ${listed(called)} from ${listed(calling)}`
    : `calling AE ${listed(calling)}`;
}

/** `a`, `a and b`, `a, b and 12 more`: more than five are not all listed. */
function listed(all: readonly string[], more = 'more', shown = 4): string {
  const words = all.length > 5 ? [...all.slice(0, shown), `${all.length - shown} ${more}`] : all;
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

function unreachableOf({ pool, servers }: PoolReport): Finding[] {
  return servers.flatMap(({ server, problem }): Finding[] =>
    problem?.kind === 'unreachable'
      ? [{ kind: 'unreachable', pool, servers: [server], others: [], reason: problem.reason }]
      : [],
  );
}

function titleFindings({ pool, titles, servers }: PoolReport): Finding[] {
  const found = titles.flatMap((title) => {
    const answers = answersTo(title, servers);
    const others = namesOf(answers.filter(({ answer }) => answer === 'accepted'));
    return answers.flatMap(({ server, answer, code, reason }): (TitleFinding | UndecidedFinding)[] => {
      if (reason === undefined) return [];
      const calling = [title.calling];
      if (answer === 'accepted' || answer === 'busy')
        return [{ kind: 'undecided', pool, servers: [server], others: [], calling, reason }];
      const alike = answers.filter((one) => one.answer === answer && one.reason === reason);
      const called = [title.called];
      return [{ kind: 'title', pool, servers: namesOf(alike), others, calling, called, code, reason }];
    });
  });
  return merged(merged(found, 'called'), 'calling');
}

function contextFindings({ pool, titles, proposed, servers }: PoolReport): Finding[] {
  const found: ContextFinding[] = [];
  const compared = new Set<string>();
  for (const title of titles) {
    const answers = answersTo(title, servers).filter(({ contexts }) => contexts !== undefined);
    if (answers.length < 2) continue;
    compared.add(title.calling);
    /** Those among the servers that do take it. */
    const split = (among: readonly Answered[], sopClass: string, ...transferSyntaxes: string[]) => {
      const taking = among.filter(({ contexts }) => takes(contexts?.[sopClass], transferSyntaxes));
      const others = namesOf(taking);
      const lacking = namesOf(among).filter((name) => !others.includes(name));
      const what = { calling: [title.calling], sopClasses: [sopClass], transferSyntaxes };
      if (others.length > 0 && lacking.length > 0)
        found.push({ kind: 'context', pool, servers: lacking, others, ...what });
      return taking;
    };
    for (const [sopClass, syntaxes] of Object.entries(proposed)) {
      // Who takes no transfer syntax is told once, not once for each.
      const taking = split(answers, sopClass);
      for (const syntax of syntaxes) split(taking, sopClass, syntax);
    }
  }
  const alike = merged(merged(merged(found, 'sopClasses'), 'transferSyntaxes'), 'calling');
  return alike.map((one) => (one.calling.length === compared.size ? { ...one, calling: [] } : one));
}

/** Each of these transfer syntaxes; of none: any. */
function takes(taken: readonly string[] | undefined, wanted: readonly string[]): boolean {
  return taken !== undefined && wanted.every((syntax) => taken.includes(syntax));
}

type Answered = TitleReport & { readonly server: string };

/** Of the servers that were asked about it. */
function answersTo({ calling, called }: Title, servers: readonly ServerReport[]): Answered[] {
  return servers.flatMap(({ server, titles }) => {
    const answer = titles.find((one) => one.calling === calling && one.called === called);
    return answer ? [{ ...answer, server }] : [];
  });
}

function namesOf(answers: readonly Answered[]): string[] {
  return answers.map(({ server }) => server);
}

type ListName = 'calling' | 'called' | 'sopClasses' | 'transferSyntaxes';

/** Findings that differ in this list only are one, so that fifty AE titles are no fifty sentences. */
function merged<F extends Finding>(findings: readonly F[], list: ListName): F[] {
  const groups = Map.groupBy(findings, (finding) => JSON.stringify({ ...finding, [list]: undefined }));
  return [...groups.values()].map((alike) => {
    const first = alike[0]!;
    const values = alike.flatMap((one) => (one as Partial<Record<ListName, readonly string[]>>)[list] ?? []);
    return list in first ? { ...first, [list]: [...new Set(values)] } : first;
  });
}
