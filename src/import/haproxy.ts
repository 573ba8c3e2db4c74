/** A HAProxy configuration → the draft of one for Gantry, and what became of each line. */
import { type Draft, Names, type Part } from './draft.ts';
import type { Files } from './files.ts';
import { Acls } from './haproxy-acl.ts';
import { type Backend, readBackend } from './haproxy-backend.ts';
import type { Criteria } from './haproxy-criteria.ts';
import { readFrontend } from './haproxy-frontend.ts';
import { judgeRest } from './haproxy-keywords.ts';
import { type Environment, readLines } from './haproxy-lexer.ts';
import { tablesOf } from './haproxy-persistence.ts';
import { type Directive, isSectionStart, lastOf, readSections, type Section } from './haproxy-sections.ts';
import { Ledger, type Note } from './losses.ts';

export interface ImportOptions {
  /** As it is named in comments. */
  readonly file: string;
  readonly files: Files;
  readonly environment: Environment;
  /** DICOM and HL7 services get front-ends that understand them. */
  readonly protocolAware: boolean;
}

export interface Imported {
  /** undefined: nothing could be taken over, and `reason` says why. */
  readonly draft: Draft | undefined;
  readonly reason: string | undefined;
  readonly notes: readonly Note[];
  /** Lines that say something; those that are in the draft; those that were told of together with the head of their section. */
  readonly lines: {
    readonly all: readonly number[];
    readonly taken: readonly number[];
    readonly covered: readonly number[];
  };
}

export function importHaproxy(text: string, options: ImportOptions): Imported {
  const { lines, faults, missing } = readLines(text, options.environment);
  const all = [...lines, ...faults.map(({ line }) => line)];
  const ledger = new Ledger(all);
  const result = (draft: Draft | undefined, reason: string | undefined): Imported => ({
    draft,
    reason,
    notes: ledger.notes(),
    lines: {
      all: all.map(({ number }) => number).sort((a, b) => a - b),
      taken: all.filter((line) => ledger.isTaken(line)).map(({ number }) => number),
      covered: all.filter((line) => ledger.isCovered(line)).map(({ number }) => number),
    },
  });
  for (const { line, message } of faults) ledger.lost(line, message);
  for (const { line, name } of missing)
    ledger.changed(
      line,
      'the environment has no such variable, and HAProxy takes that for nothing: set it, and import again',
      `$${name}`,
    );
  if (!lines.some(isSectionStart)) {
    for (const line of ledger.unjudged()) ledger.lost(line, 'it stands in no section');
    return result(
      undefined,
      'is not a HAProxy configuration: it has no section (global, defaults, frontend, backend, listen)',
    );
  }
  const { global, proxies } = readSections(lines, ledger);
  const { pools, vips } = translate(proxies, global, options, ledger);
  judgeRest(global, true, ledger);
  for (const section of proxies) {
    const rest = section.directives.filter(({ words }) => words[0] !== 'acl');
    judgeRest(rest, isServed(section, [...pools, ...vips], ledger), ledger);
  }
  for (const line of ledger.unjudged())
    ledger.idle(
      line,
      line.words[0] === 'acl' ? 'nothing that was taken over asks for it' : 'no section uses it',
    );
  if (vips.length === 0) return result(undefined, 'has no frontend or listen that could be taken over');
  if (pools.length === 0) return result(undefined, 'has no server that could be taken over');
  return result(draftOf(options.file, pools, vips, proxies, ledger), undefined);
}

function translate(
  proxies: readonly Section[],
  global: readonly Directive[],
  { files, protocolAware }: ImportOptions,
  ledger: Ledger,
): { pools: readonly Part[]; vips: readonly Part[] } {
  const setting = (name: string) => global.findLast(({ words }) => words[0] === name)?.words[1];
  const base = { crt: setting('crt-base'), ca: setting('ca-base') };
  const inUse = proxies.filter((section) => isOn(section, ledger));
  const backs = inUse.filter((section) => isBackend(section) && isFirst(section, inUse, ledger));
  const names = new Names();
  const poolNames = new Map(backs.map(({ name }) => [name, names.take(name)]));
  const tables = tablesOf(proxies);
  const backends = new Map<string, Backend>();
  for (const section of backs) {
    const criteria: Criteria = {
      protocol: lastOf(section, 'mode')?.words[1] === 'http' ? 'http' : 'tcp',
      isTls: false,
      ports: [],
      readFile: (path) => files.read(files.resolve(path, undefined)),
    };
    const poolOf = (backend: string) => poolNames.get(backend);
    const options = {
      files,
      base,
      ledger,
      tables,
      poolOf,
      criteria,
      acls: new Acls(section, ledger),
      pools: names,
    };
    backends.set(section.name, readBackend(section, options));
    const mode = lastOf(section, 'mode');
    if (mode) ledger.take(mode);
  }
  const vipNames = new Names();
  const taken = new Set<string>();
  const take = (address: string): boolean => !taken.has(address) && taken.add(address).size > 0;
  const vips = inUse
    .filter(({ kind }) => kind !== 'backend')
    .flatMap((section) =>
      readFrontend(section, {
        files,
        base,
        ledger,
        take,
        vips: vipNames,
        backendOf: (name) => backends.get(name),
        protocolAware,
      }),
    );
  return { pools: [...backends.values()].flatMap(({ pool }) => pool ?? []), vips };
}

/** The first line of the comments of what came of a section. */
function originOf({ kind, name, line }: Section): string {
  return `${kind} ${name}, line ${line.number}`;
}

/** Is there a pool or a VIP of it, or a rule that others use? HAProxy's own statistics are served elsewhere. */
function isServed(section: Section, parts: readonly Part[], ledger: Ledger): boolean {
  const rules = section.directives.filter(({ words }) => /-request$|^redirect$|^stats$/.test(words[0]!));
  const isUsed = rules.some((line) => line.words[0] === 'stats' || ledger.isTaken(line));
  return isUsed || parts.some(({ comments }) => comments[0] === originOf(section));
}

function isBackend({ kind }: Section): boolean {
  return kind !== 'frontend';
}

/** Of two backends of one name HAProxy refuses the second. */
function isFirst(section: Section, sections: readonly Section[], ledger: Ledger): boolean {
  const first = sections.find((each) => isBackend(each) && each.name === section.name);
  if (first !== section)
    ledger.lost(section.line, `line ${first!.line.number} has a section of that name already`);
  return first === section;
}

/** A section that is `disabled` is told of, line by line, and left out. */
function isOn(section: Section, ledger: Ledger): boolean {
  const isDisabled = lastOf(section, 'disabled') !== undefined;
  if (!isDisabled) ledger.take(section.line);
  const own = section.directives.filter(({ isInherited }) => !isInherited);
  for (const line of isDisabled ? [section.line, ...own] : []) ledger.lost(line, 'the section is `disabled`');
  return !isDisabled;
}

/** Each part says in a comment what of its section is not in it. */
function draftOf(
  file: string,
  pools: readonly Part[],
  vips: readonly Part[],
  proxies: readonly Section[],
  ledger: Ledger,
): Draft {
  const notes = ledger.notes().filter(({ fate }) => fate !== 'idle');
  const told = new Set<Section>();
  const remarked = ({ name, comments, body }: Part): Part => {
    const section = proxies.find((each) => comments[0] === originOf(each));
    if (!section || told.has(section)) return { name, comments, body };
    told.add(section);
    const own = new Set(section.directives.filter((line) => !line.isInherited).map(({ number }) => number));
    const losses = notes.filter(({ line }) => own.has(line) || line === section.line.number);
    return {
      name,
      comments: [...comments, ...losses.map(({ line, says, fate }) => `${fate}, line ${line}: ${says}`)],
      body,
    };
  };
  const [remarkedVips, remarkedPools] = [vips.map(remarked), pools.map(remarked)];
  return {
    comments: [
      `From ${file}, a HAProxy configuration: \`line N\` is one of it.`,
      '`lost`: not taken over. `changed`: not quite the same. `gantry import` says why.',
    ],
    top: { admin: { listen: adminAddress(vips) } },
    pools: remarkedPools,
    vips: remarkedVips,
  };
}

/** The admin API's usual place, or the next that no VIP has. */
export function adminAddress(vips: readonly Part[]): string {
  const ports = new Set(
    vips.flatMap(({ body }) => body.listen as string[]).map((listen) => listen.split(':').at(-1)),
  );
  let port = 9090;
  while (ports.has(String(port))) port += 1;
  return `127.0.0.1:${port}`;
}
