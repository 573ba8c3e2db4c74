/** What a bench says in the end: a table for the reader, JSON for whoever compares. */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, release } from 'node:os';
import { haproxyVersion } from './haproxy.ts';
import { output } from './processes.ts';
import { difference, figure, type Results, ratio, type Spread } from './rounds.ts';

/** A column: which figure, what the reader calls it, how many decimals. */
export interface Column {
  readonly figure: string;
  readonly title: string;
  readonly decimals: number;
}

/** A goal of quality.md: subject ÷ rival at least or at most so much, or subject − rival at most so much. */
export interface Goal {
  readonly subject: string;
  readonly rival: string;
  readonly figure: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly addsAtMost?: number;
}

export interface Report {
  readonly name: string;
  readonly title: string;
  readonly results: Results;
  readonly columns: readonly Column[];
  readonly goals: readonly Goal[];
}

function show({ median, min, max }: Spread, decimals: number): string {
  return `${median.toFixed(decimals)} (${min.toFixed(decimals)}–${max.toFixed(decimals)})`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join('  '),
    )
    .join('\n');
}

function judge(report: Report): { goal: Goal; measured: Spread; met: boolean }[] {
  return report.goals.map((goal) => {
    const compare = goal.addsAtMost === undefined ? ratio : difference;
    const measured = compare(report.results, goal.subject, goal.rival, goal.figure);
    const most = goal.atMost ?? goal.addsAtMost ?? Infinity;
    const met = measured.median >= (goal.atLeast ?? -Infinity) && measured.median <= most;
    return { goal, measured, met };
  });
}

/** Prints the table and writes `bench/results/NAME.json`. */
export async function publish(report: Report): Promise<void> {
  const { name, title } = report;
  await write(name, { name, title, machine: await machine(), ...print(report) });
}

/** Several tables of one bench: prints each, and writes them all into `bench/results/NAME.json`, by their names. */
export async function publishAll(name: string, title: string, reports: readonly Report[]): Promise<void> {
  const series = Object.fromEntries(
    reports.map((report) => [report.name, { title: report.title, ...print(report) }]),
  );
  await write(name, { name, title, machine: await machine(), series });
}

/** Prints the table; returns what is kept of it. */
function print(report: Report): { results: object; goals: readonly object[] } {
  const { title, results, columns } = report;
  const verdicts = judge(report);
  console.log(`\n${title}\nmedian (minimum–maximum) of ${[...results.values()][0]!.length} rounds\n`);
  console.log(
    table([
      ['', ...columns.map((column) => column.title)],
      ...[...results.keys()].map((subject) => [
        subject,
        ...columns.map((column) => show(figure(results, subject, column.figure), column.decimals)),
      ]),
    ]),
  );
  console.log('');
  for (const { goal, measured, met } of verdicts) {
    const wanted =
      goal.atLeast === undefined ? `at most ${goal.atMost ?? goal.addsAtMost}` : `at least ${goal.atLeast}`;
    const sign = goal.addsAtMost === undefined ? '÷' : '−';
    console.log(
      `${goal.subject} ${sign} ${goal.rival}, ${goal.figure}: ${show(measured, 2)}, wanted ${wanted}: ${met ? 'reached' : 'NOT reached'}`,
    );
  }
  return {
    results: Object.fromEntries(results),
    goals: verdicts.map(({ goal, measured, met }) => ({ ...goal, measured, met })),
  };
}

async function write(name: string, record: object): Promise<void> {
  const directory = new URL('../results/', import.meta.url);
  await mkdir(directory, { recursive: true });
  await writeFile(new URL(`${name}.json`, directory), `${JSON.stringify(record, null, 2)}\n`);
}

/** Facts that figures depend on; nothing that names the machine. */
async function machine(): Promise<Record<string, string | number | undefined>> {
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: (await output('git', ['rev-parse', '--short', 'HEAD']).catch(() => 'unknown')).trim(),
    node: process.version,
    haproxy: await haproxyVersion(),
    kernel: release().split('-')[0],
    cores: cpus().length,
    cpu: cpus()[0]?.model,
  };
}
