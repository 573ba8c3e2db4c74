/** `cookie`, `stick` and the balances that hash → `balance` and `persistence` of a pool (HAProxy's manual, 4.2). */
import { durationText, type Tree } from './draft.ts';
import { type Criteria, keyFact } from './haproxy-criteria.ts';
import { type Directive, keyOf, lastOf, type Section } from './haproxy-sections.ts';
import { prefixOf, sizeOf, timeOf } from './haproxy-values.ts';
import { type Ledger, Loss } from './losses.ts';

export interface PersistenceOptions {
  readonly criteria: Criteria;
  readonly ledger: Ledger;
  /** Tables by the name of their section. */
  readonly tables: ReadonlyMap<string, Directive>;
}

const BALANCES: Readonly<Record<string, string>> = {
  roundrobin: 'round-robin',
  'static-rr': 'round-robin',
  leastconn: 'least-busy',
  first: 'first',
  random: 'random-two',
  source: 'hash',
};

interface Persistence {
  readonly balance: string;
  readonly persistence: Tree | undefined;
}

export function persistenceOf(section: Section, options: PersistenceOptions): Persistence {
  const { ledger } = options;
  const hashed = balanceOf(section, options);
  const stuck = stickOf(section, options);
  const cookie = cookieOf(section, options);
  const by = [cookie && 'cookie', stuck?.by ?? hashed.by].filter((name) => name !== undefined);
  if (by.length === 0) return { balance: hashed.balance, persistence: undefined };
  if (stuck && hashed.by !== undefined && hashed.by !== 'source-ip')
    ledger.changed(lastOf(section, 'balance')!, `hashed by ${stuck.by}, which is what \`stick\` goes by`);
  const { ttl, size, netmask, share } = stuck ?? {};
  return {
    balance: hashed.balance,
    persistence: { by: by.length === 1 ? by[0]! : by, name: cookie, ttl, netmask, size, share },
  };
}

/** HAProxy's own default is roundrobin. */
function balanceOf(
  section: Section,
  { criteria, ledger }: PersistenceOptions,
): { balance: string; by: string | undefined } {
  const line = lastOf(section, 'balance');
  if (!line) return { balance: 'round-robin', by: undefined };
  const [, word = '', argument = ''] = line.words;
  const name = word.replace(/\(.*$/s, '');
  ledger.take(line);
  if (Object.hasOwn(BALANCES, name)) return { balance: BALANCES[name]!, by: undefined };
  const expression =
    ({ uri: 'path', url_param: `url_param(${argument})`, hash: argument } as Record<string, string>)[name] ??
    word;
  try {
    if (!/^(?:uri|url_param|hdr|hash)$/.test(name))
      throw new Loss("there is no balance like it: `least-busy`, Gantry's own, is what it is now");
    const { by } = keyFact(expression, criteria);
    if (by === 'source-ip') return { balance: 'hash', by: undefined };
    ledger.changed(line, `hashed by \`${by}\`, and remembered for 30m, also while servers come and go`);
    return { balance: 'hash', by };
  } catch (error) {
    if (!(error instanceof Loss)) throw error;
    ledger.lost(line, error.message);
    return { balance: 'least-busy', by: undefined };
  }
}

/** The name of the cookie that is inserted. */
function cookieOf(section: Section, { criteria, ledger }: PersistenceOptions): string | undefined {
  const line = lastOf(section, 'cookie');
  if (!line || criteria.protocol === 'tcp') return undefined;
  const [, name = '', ...options] = line.words;
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    ledger.lost(line, 'it has no name that a cookie can have');
    return undefined;
  }
  ledger.take(line);
  for (const option of ['domain', 'maxidle', 'maxlife', 'dynamic', 'attr', 'preserve']) {
    const at = options.indexOf(option);
    if (at !== -1)
      ledger.lost(
        line,
        "the cookie lives as long as the browser's session, for this host, and names the server in a signed value",
        option,
      );
  }
  if (options.includes('insert')) return name;
  // The application's own cookie stays the application's.
  ledger.changed(
    line,
    `"${name}" is left to the application: a cookie of the balancer's own, SRV, is set beside it`,
  );
  return 'SRV';
}

interface Stuck {
  by: string;
  ttl: string | undefined;
  size: number | undefined;
  netmask: number | undefined;
  share: string | undefined;
}

function stickOf(section: Section, options: PersistenceOptions): Stuck | undefined {
  const { criteria, ledger, tables } = options;
  let stuck: Stuck | undefined;
  for (const line of section.directives.filter(({ words }) => words[0] === 'stick')) {
    const [, kind = '', expression = '', ...words] = line.words;
    try {
      if (kind === 'store-response')
        throw new Loss('nothing is learnt from answers: `by: cookie` brings browsers back');
      const { by, netmask } = keyFact(expression, criteria);
      if (words.includes('if') || words.includes('unless')) throw new Loss('persistence has no conditions');
      if (stuck && stuck.by !== by)
        throw new Loss('one `stick` is taken over, the first: `by: [..., ...]` makes a chain');
      const name = words[0] === 'table' ? words[1] : undefined;
      const table = name === undefined ? lastOf(section, 'stick-table') : tables.get(name);
      if (!table) throw new Loss('there is no `stick-table` for it');
      ledger.take(line);
      stuck ??= {
        by,
        ...tableOf(table, ledger),
        share: isShared(section, name, options) ? (name ?? section.name) : undefined,
      };
      stuck.netmask ??= netmask;
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      ledger.lost(line, error.message);
    }
  }
  const own = lastOf(section, 'stick-table');
  if (own && !ledger.isJudged(own))
    ledger.lost(own, 'it counts what clients do, or nothing sticks to it: `limits` and a firewall would do');
  return stuck;
}

/** Do others stick to the table that this section sticks to? */
function isShared(section: Section, name: string | undefined, { tables }: PersistenceOptions): boolean {
  const table = name ?? section.name;
  return name !== undefined && name !== section.name
    ? tables.has(table)
    : tables.get(`shared ${table}`) !== undefined;
}

/** `stick-table type ip size 200k expire 30m`. Without `expire` an entry is for ever. */
function tableOf(
  line: Directive,
  ledger: Ledger,
): { ttl: string; size: number | undefined; netmask: undefined } {
  const { words } = line;
  const after = (word: string) => (words.includes(word) ? words[words.indexOf(word) + 1] : undefined);
  ledger.take(line);
  if (after('peers') !== undefined)
    ledger.lost(line, 'tables are not shared between balancers', `peers ${after('peers')}`);
  if (after('store') !== undefined)
    ledger.lost(line, 'the table remembers servers, and counts nothing', `store ${after('store')}`);
  const expire = after('expire');
  const size = after('size');
  return {
    ttl: expire === undefined ? '87600h' : durationText(timeOf(expire)),
    size: size === undefined ? undefined : Math.min(Math.max(sizeOf(size), 1), 10_000_000),
    netmask: undefined,
  };
}

/** Every `stick-table` by the name of its section; `shared NAME` too, where other sections stick to it. */
export function tablesOf(sections: readonly Section[]): ReadonlyMap<string, Directive> {
  const tables = new Map<string, Directive>();
  for (const section of sections) {
    const own = section.directives.findLast((line) => keyOf(line) === 'stick-table');
    if (own) tables.set(section.name, own);
  }
  for (const { name, directives } of sections) {
    for (const { words } of directives.filter((line) => line.words[0] === 'stick')) {
      const at = words.indexOf('table');
      const table = at === -1 ? undefined : tables.get(words[at + 1] ?? '');
      if (table && words[at + 1] !== name) tables.set(`shared ${words[at + 1]}`, table);
    }
  }
  return tables;
}

/** `255.255.255.0` or `24` → 24; undefined: the whole address. */
export function netmaskOf(written: string): number | undefined {
  const prefix = /^\d{1,3}$/.test(written) ? Number(written) : prefixOf(written);
  if (prefix === undefined || prefix < 1 || prefix > 128)
    throw new Loss(`"${written}" is not a mask: 255.255.255.0 would be right`);
  return written.includes('.') && prefix === 32 ? undefined : prefix;
}
