/** quality.md, "choose a server": 100 rules, none of which matches, and a persistence table with few and with many entries. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Facts } from '../protocols/facts.ts';
import { createDirector, type Director, type Rule } from '../src/director/director.ts';
import { Persistence } from '../src/director/persistence.ts';
import { Pool } from '../src/pools/pool.ts';
import { createMemoryStore } from '../src/tables/memory.ts';
import { Table } from '../src/tables/table.ts';
import type { Bench } from './harness/options.ts';
import { publish } from './harness/report.ts';
import { interleave, type Subject } from './harness/rounds.ts';

const FEW = 1000;
const MANY = 1_000_000;
const CHOICES = 200_000;
const LIMIT = 'the figures to reach';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What 100 rules of a hospital look like: names, lists, globs, networks, regular expressions, several facts. */
function hundredRules(pool: Pool): Rule[] {
  const kinds: ((index: number) => Record<string, string[]>)[] = [
    (index) => ({ called: [`STAT${index}*`] }),
    (index) => ({ modality: [`M${index}`, `N${index}`] }),
    (index) => ({ calling: [`/^ER${index}_/`], client: [`10.${index}.0.0/16`] }),
    (index) => ({ client: [`172.16.${index}.0/24`] }),
    (index) => ({ called: [`ARCHIVE${index}`] }),
  ];
  return Array.from({ length: 100 }, (_, index) => ({
    when: {
      facts: Object.entries(kinds[index % kinds.length]!(index)).map(([name, patterns]) => ({
        name,
        patterns,
      })),
    },
    pool,
  }));
}

interface Setting {
  readonly director: Director;
  /** Bytes that an entry costs. */
  readonly bytes: number;
}

function createSetting(entries: number): Setting {
  const origin = performance.timeOrigin;
  const now = () => origin + performance.now();
  const pool = new Pool({
    name: 'archive',
    balance: 'least-busy',
    servers: ['pacs-a', 'pacs-b', 'pacs-c', 'pacs-d'].map((name, index) => ({
      name,
      host: `10.0.0.${index}`,
      port: 104,
      ae: undefined,
      weight: 1,
      maxConnections: 100,
      backup: false,
    })),
    health: { isChecked: true, rise: 2, fall: 3, startDown: false },
    now,
  });
  collectGarbage();
  const before = process.memoryUsage();
  const table = new Table(createMemoryStore({ ttl: 3_600_000, size: MANY, now }));
  const director = createDirector({
    vip: 'ARCHIVE',
    rules: hundredRules(pool),
    pool,
    persistence: new Persistence({ by: ['calling'], table }),
    now,
    random: Math.random,
  });
  for (let index = 0; index < entries; index++) choose(director, callingAe(index));
  collectGarbage();
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  return { director, bytes: grown / entries };
}

function callingAe(index: number): string {
  return `CT${String(index).padStart(10, '0')}`;
}

function choose(director: Director, calling: string): void {
  const known: Record<string, string> = { called: 'PACS', calling, modality: 'CT', client: '10.200.3.4' };
  const facts: Facts = { get: (name) => known[name] };
  const choice = director.choose(facts);
  if (!choice.next()) throw new Error('no server');
  choice.settle();
}

function subject(entries: number): Subject {
  let setting: Setting | undefined;
  const callings = Array.from({ length: CHOICES }, () => callingAe(Math.floor(Math.random() * entries)));
  return {
    name: `${entries} entries`,
    run: async () => {
      setting ??= createSetting(entries);
      const { director, bytes } = setting;
      const began = process.cpuUsage();
      for (const calling of callings) choose(director, calling);
      const { user, system } = process.cpuUsage(began);
      return { us: (user + system) / CHOICES, bytes };
    },
  };
}

export const bench: Bench = {
  title: 'Choose a server: 100 rules, persistence by calling AE',
  async run({ rounds }) {
    const few = subject(FEW);
    const many = subject(MANY);
    const limit: Subject = { name: LIMIT, run: async () => ({ us: 5, bytes: 250 }) };
    await publish({
      name: 'choose',
      title: bench.title,
      results: await interleave([few, many, limit], rounds),
      columns: [
        { figure: 'us', title: 'µs of CPU a choice', decimals: 2 },
        { figure: 'bytes', title: 'bytes an entry', decimals: 0 },
      ],
      goals: [
        { subject: many.name, rival: LIMIT, figure: 'us', atMost: 1 },
        { subject: many.name, rival: LIMIT, figure: 'bytes', atMost: 1 },
        { subject: many.name, rival: few.name, figure: 'us', atMost: 1.5 },
      ],
    });
  },
};
