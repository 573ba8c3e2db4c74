/** The sections of a HAProxy configuration, and what each proxy has of its `defaults`. */
import type { Ledger, Line } from './losses.ts';

/** One line of a section. `words[0]` is the keyword; `no` before it is taken off. */
export interface Directive extends Line {
  readonly isNegated: boolean;
  /** It stands in the `defaults`, not in the section itself. */
  readonly isInherited: boolean;
}

export interface Section {
  readonly kind: string;
  readonly name: string;
  readonly line: Line;
  readonly directives: readonly Directive[];
}

export interface Sections {
  readonly global: readonly Directive[];
  /** Frontends, backends and listens, with what is theirs of their defaults first. */
  readonly proxies: readonly Section[];
}

/** Sections that are told of as a whole: what they are for, and what would do instead. */
const OTHERS: Readonly<Record<string, string>> = {
  userlist:
    'Gantry asks for no passwords: keep people out by `client` in `routes`, or by certificates (`tls.clientCa`)',
  peers: 'tables are not shared between balancers: `persistence` with `by: cookie` needs no table',
  resolvers:
    'names are looked up as the system does it (/etc/resolv.conf): write addresses where that is not enough',
  cache: 'Gantry keeps no answers: let the web servers or a cache behind it do so',
  mailers: 'Gantry sends no mail: alert on its metrics (docs/metrics.md)',
  program: 'Gantry starts no other programs: use a unit of systemd',
  ring: 'the log goes to standard output: journald or a log shipper takes it from there',
  'log-forward': 'Gantry relays no syslog: rsyslog does',
  'log-profile': 'lines of the log are JSON, and always have the same keys',
  'http-errors': "error pages are the balancer's own: `respond` in `routes` answers with a page of yours",
  'fcgi-app': 'Gantry speaks no FastCGI: put nginx between',
  'crt-store': 'write the certificates under `tls.certificates` of each VIP',
  traces: 'Gantry has no traces: its log has a line for each connection, message and request',
  acme: 'Gantry asks for no certificates: let certbot renew the files, then `gantry reload`',
};

const PROXIES = ['frontend', 'backend', 'listen'];

/** Does a line begin a section? */
export function isSectionStart({ words }: Line): boolean {
  const [word = ''] = words;
  return word === 'global' || word === 'defaults' || PROXIES.includes(word) || Object.hasOwn(OTHERS, word);
}

export function readSections(lines: readonly Line[], ledger: Ledger): Sections {
  const raw: Section[] = [];
  let depth = 0;
  for (const line of lines) {
    const [word = '', name = ''] = line.words;
    if (word.startsWith('.')) {
      if (word === '.if') depth += 1;
      if (word === '.endif') depth = Math.max(0, depth - 1);
      if (/^\.(notice|diag|warning|alert)$/.test(word)) ledger.idle(line, 'it only prints a message');
      else ledger.lost(line, CONDITIONAL);
    } else if (depth > 0) {
      ledger.lost(line, CONDITIONAL);
    } else if (isSectionStart(line)) {
      raw.push({ kind: word, name, line, directives: [] });
    } else {
      const section = raw.at(-1);
      if (section) (section.directives as Directive[]).push(directive(line));
      else ledger.lost(line, 'it stands before any section: HAProxy refuses it there');
    }
  }
  return {
    global: raw
      .filter(({ kind }) => kind === 'global')
      .flatMap((section) => taken(section, ledger).directives),
    proxies: withDefaults(raw, ledger),
  };
}

const CONDITIONAL =
  'Gantry has no conditional blocks: leave the branch that is meant in a copy of the file, and import that';

function directive(line: Line): Directive {
  const isNegated = line.words[0] === 'no' && line.words.length > 1;
  const isDefault = line.words[0] === 'default' && line.words.length > 1;
  return {
    number: line.number,
    words: isNegated || isDefault ? line.words.slice(1) : line.words,
    isNegated,
    isInherited: false,
  };
}

function taken(section: Section, ledger: Ledger): Section {
  ledger.take(section.line);
  return section;
}

/** Goes through the sections in their order: a `defaults` is in force until the next one, or for who names it. */
function withDefaults(raw: readonly Section[], ledger: Ledger): Section[] {
  const named = new Map<string, readonly Directive[]>();
  let current: readonly Directive[] = [];
  const proxies: Section[] = [];
  for (const section of raw) {
    const { kind, name, line } = section;
    const from = /^from$/.test(line.words.at(-2) ?? '') ? (line.words.at(-1) ?? '') : undefined;
    const isAnonymous = kind === 'defaults' && (line.words.length === 1 || line.words[1] === 'from');
    const parent = from === undefined ? undefined : named.get(from);
    if (from !== undefined && parent === undefined)
      ledger.lost(line, `there is no \`defaults ${from}\` before it`, `from ${from}`);
    if (kind === 'defaults') {
      ledger.take(line);
      current = merged(parent ?? [], section.directives).map((each) => ({ ...each, isInherited: true }));
      if (!isAnonymous) named.set(name, current);
    } else if (PROXIES.includes(kind)) {
      proxies.push({
        ...section,
        directives: merged(parent ?? (from === undefined ? current : []), section.directives),
      });
    } else if (kind !== 'global') {
      const count = section.directives.length;
      const inside = count === 0 ? '' : ` (with it ${count === 1 ? 'its line' : `its ${count} lines`})`;
      ledger.lost(line, `${OTHERS[kind]!}${inside}`);
      // Told of as a whole: what is in it may be secret, and says nothing by itself.
      for (const each of section.directives) ledger.cover(each);
    }
  }
  return proxies;
}

/** Keywords whose lines add to each other; of the others, those of the section itself go before inherited ones. */
const CUMULATIVE =
  /^(?:acl|bind|server|server-template|use_backend|use-server|http-(?:request|response|after-response|check|error)|tcp-(?:request|response|check)|redirect|default-server|stick|log|capture|errorfile|stats|filter|declare|email-alert|compression|block|external-check)$/;

function merged(inherited: readonly Directive[], own: readonly Directive[]): readonly Directive[] {
  const said = new Set(own.map(keyOf));
  const isChecked =
    said.has('option httpchk') || own.some(({ words }) => /^(?:http|tcp)-check$/.test(words[0]!));
  const kept = inherited.filter((each) => {
    const isCheck = /^(?:http|tcp)-check$/.test(each.words[0]!);
    return CUMULATIVE.test(each.words[0]!) ? !(isCheck && isChecked) : !said.has(keyOf(each));
  });
  return [...kept, ...own];
}

/** What of two lines of one section says the same thing. */
export function keyOf({ words: [word = '', second = ''] }: Line): string {
  return word === 'option' || word === 'timeout' ? `${word} ${second}` : word;
}

/** The last line with that key, unless it takes back what it says. */
export function lastOf(section: Section, key: string): Directive | undefined {
  const found = section.directives.findLast((each) => keyOf(each) === key);
  return found?.isNegated ? undefined : found;
}
