/** The rules of ARCHITECTURE.md, "Who may import whom", checked by reading the import lines of every source. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface Source {
  /** From the top of the checkout, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** What anybody may import: errors, and how addresses are written. */
const TEXTS = ['src/errors.ts', 'src/endpoint.ts', 'src/ip-address.ts'];

/** What a room may import besides itself; a folder ends in a slash. The first rule that names a file's place counts. */
const ROOMS: readonly { readonly room: string; readonly may: readonly string[] | 'everything' }[] = [
  { room: 'protocols/bytes/', may: [] },
  { room: 'protocols/facts.ts', may: [] },
  ...['dicom', 'hl7', 'http', 'proxy-protocol', 'tls'].map((protocol) => ({
    room: `protocols/${protocol}/`,
    may: ['protocols/bytes/', 'protocols/facts.ts'],
  })),
  { room: 'src/errors.ts', may: [] },
  { room: 'src/endpoint.ts', may: [] },
  { room: 'src/ip-address.ts', may: [] },
  { room: 'src/version.ts', may: [] },
  { room: 'src/rendezvous.ts', may: [] },
  { room: 'src/observe/events.ts', may: [] },
  {
    room: 'src/director/',
    may: ['protocols/', ...TEXTS, 'src/rendezvous.ts', 'src/observe/events.ts', 'src/pools/', 'src/tables/'],
  },
  {
    room: 'src/pools/health/',
    may: ['protocols/', ...TEXTS, 'src/observe/events.ts', 'src/pools/', 'src/relay/'],
  },
  ...['pools', 'relay', 'tables', 'queue'].map((room) => ({
    room: `src/${room}/`,
    may: ['protocols/', ...TEXTS, 'src/observe/events.ts'],
  })),
  {
    room: 'src/layer4/',
    may: ['protocols/', ...TEXTS, 'src/rendezvous.ts', 'src/observe/events.ts'],
  },
  {
    room: 'src/probe/',
    may: ['protocols/', ...TEXTS, 'src/relay/', 'src/director/patterns.ts'],
  },
  ...['dicom', 'hl7', 'http', 'tcp'].map((frontEnd) => ({
    room: `src/frontends/${frontEnd}/`,
    may: [
      'protocols/',
      ...TEXTS,
      'src/observe/events.ts',
      'src/frontends/front-end.ts',
      'src/frontends/waiting-room.ts',
      'src/frontends/pool-watch.ts',
      ...['director', 'pools', 'relay', 'tables', 'queue'].map((room) => `src/${room}/`),
    ],
  })),
  { room: 'src/frontends/front-end.ts', may: ['src/relay/channel.ts'] },
  { room: 'src/frontends/waiting-room.ts', may: ['src/relay/deadlines.ts'] },
  { room: 'src/frontends/pool-watch.ts', may: ['src/pools/', 'src/relay/deadlines.ts'] },
  { room: 'src/observe/', may: [...TEXTS] },
  { room: 'src/admin/', may: [...TEXTS, 'src/observe/', 'src/pools/server.ts'] },
  { room: 'src/config/', may: ['protocols/', ...TEXTS] },
  { room: 'src/profiles/', may: [...TEXTS] },
  { room: 'src/import/', may: ['src/endpoint.ts'] },
  // The wiring, and those who run it.
  ...[
    'balancer.ts',
    'assemble.ts',
    'checks.ts',
    'difference.ts',
    'front-ends.ts',
    'egress.ts',
    'layer4-shares.ts',
    'layer4-targets.ts',
    'layer4-vips.ts',
    'listeners.ts',
    'probe-plan.ts',
    'probes.ts',
    'report.ts',
    'queue-control.ts',
    'queues.ts',
    'server-control.ts',
    'cli/',
    'demo/',
  ].map((room) => ({
    room: `src/${room}`,
    may: 'everything' as const,
  })),
];

/** npm package → where its one job is done. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  commander: ['src/cli/'],
  'dcmjs-dimse': ['src/demo/', 'src/cli/dimse.ts'],
  fastify: ['src/admin/'],
  'hl7-standard': ['src/demo/'],
  'ipaddr.js': ['src/director/'],
  'lru-cache': ['src/tables/memory.ts'],
  pino: ['src/observe/log.ts'],
  ws: ['src/demo/'],
  yaml: ['src/config/'],
  zod: ['src/config/'],
};

/** Most lines of a file. Generated tables are as long as their standard. */
const LONGEST = 400;

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'";]*?\bfrom\s*'([^']+)'|(?:^|\n)\s*import\s*'([^']+)'|\bimport\('([^']+)'\)/g;

function importsOf({ text }: Source): string[] {
  return [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

function isIn(path: string, places: readonly string[]): boolean {
  return places.some((place) =>
    place.endsWith('/') ? path.startsWith(place) : path === place || path.startsWith(`${place}.`),
  );
}

/** What breaks a rule: a sentence each. */
function violationsOf(source: Source): string[] {
  return [...shapeOf(source), ...importsOf(source).flatMap((name) => importFault(source.path, name) ?? [])];
}

function shapeOf({ path, text }: Source): string[] {
  const faults: string[] = [];
  const lines = text.split('\n').length - 1;
  const isGenerated = text.startsWith('// Written by scripts/generate');
  if (lines > LONGEST && !isGenerated) faults.push(`${path} has ${lines} lines: at most ${LONGEST}`);
  if (/(?:^|[/.-])utils?(?:[/.-]|$)/.test(path))
    faults.push(`${path}: a file is named for what it does, not utils`);
  const hasDefault = /^export default\b|\bas default\b/m.test(text);
  if (hasDefault && !path.endsWith('.config.ts')) faults.push(`${path} has a default export`);
  return faults;
}

function importFault(path: string, name: string): string | undefined {
  if (!path.startsWith('src/') && !path.startsWith('protocols/')) return undefined;
  if (name.startsWith('.')) return roomFault(path, posix.normalize(posix.join(posix.dirname(path), name)));
  if (name.startsWith('node:')) {
    const isPure = path.startsWith('protocols/') && name !== 'node:buffer';
    return isPure ? `${path} imports ${name}: protocols are bytes in, values out` : undefined;
  }
  const packageName = name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
  const places = PACKAGES[packageName];
  if (!places) return `${path} imports ${packageName}, which no rule names`;
  return isIn(path, places)
    ? undefined
    : `${path} imports ${packageName}, which belongs to ${places.join(', ')}`;
}

function roomFault(path: string, target: string): string | undefined {
  const rule = ROOMS.find(({ room }) => isIn(path, [room]));
  if (!rule) return `${path} is in no room that a rule names`;
  if (rule.may === 'everything' || isIn(target, [rule.room, ...rule.may])) return undefined;
  return `${path} imports ${target}: ${rule.room} may not`;
}

function allSources(): Source[] {
  const globs = ['protocols', 'src', 'test', 'bench', 'scripts', 'bin'].map(
    (folder) => `${folder}/**/*.{ts,js}`,
  );
  return globSync(globs, { cwd: root }).map((found) => {
    const path = found.replaceAll('\\', '/');
    return { path, text: readFileSync(join(root, path), 'utf8') };
  });
}

test('every source keeps the rules of ARCHITECTURE.md', () => {
  const sources = allSources();
  expect(sources.length).toBeGreaterThan(50);
  expect(sources.flatMap(violationsOf)).toEqual([]);
});

test('a source that breaks a rule is found', () => {
  const found = (path: string, text: string) => violationsOf({ path, text });
  expect(found('protocols/dicom/x.ts', "import { connect } from 'node:net';")).toHaveLength(1);
  expect(found('protocols/dicom/x.ts', "import { a } from '../hl7/a.ts';")).toHaveLength(1);
  expect(found('protocols/dicom/x.ts', "import {\n  a,\n} from '../bytes/a.ts';\nimport './y.ts';")).toEqual(
    [],
  );
  expect(found('src/relay/x.ts', "import type { Pool } from '../pools/pool.ts';")).toHaveLength(1);
  expect(found('src/pools/x.ts', "import { dial } from '../relay/dial.ts';")).toHaveLength(1);
  expect(found('src/pools/health/x.ts', "import { dial } from '../../relay/dial.ts';")).toEqual([]);
  expect(found('src/frontends/dicom/x.ts', "export { a } from '../hl7/a.ts';")).toHaveLength(1);
  expect(found('src/frontends/dicom/x.ts', "import { pino } from 'pino';")).toHaveLength(1);
  expect(found('src/director/x.ts', "const z = await import('zod');")).toHaveLength(1);
  expect(found('src/config/x.ts', "import left from 'left-pad';")).toHaveLength(1);
  expect(found('src/admin/x.ts', "import { readConfiguration } from '../config/load.ts';")).toHaveLength(1);
  expect(found('src/elsewhere/x.ts', "import { a } from './a.ts';")).toHaveLength(1);
  expect(found('src/relay/utils.ts', '')).toHaveLength(1);
  expect(found('src/relay/x.ts', 'export default 1;')).toHaveLength(1);
  expect(found('vitest.config.ts', 'export default 1;')).toEqual([]);
  expect(found('test/x.ts', '\n'.repeat(401))).toHaveLength(1);
  expect(found('protocols/dicom/x.ts', `// Written by scripts/generate-uids.ts.${'\n'.repeat(900)}`)).toEqual(
    [],
  );
});
