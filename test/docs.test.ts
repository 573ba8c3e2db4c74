/** The manual: every configuration in it is one that `gantry check` accepts, and every link leads somewhere. */
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, test } from 'vitest';
import { formatFault } from '../src/config/fault.ts';
import { readConfiguration } from '../src/config/load.ts';
import { createAuthority } from './peers/certificates.ts';
import { describeWith } from './peers/processes.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pages = globSync(['*.md', 'docs/*.md'], { cwd: root }).sort();
const textOf = (page: string) => readFileSync(join(root, page), 'utf8');

interface Example {
  readonly page: string;
  /** Of its first line, from 1. */
  readonly line: number;
  readonly yaml: string;
}

/** Whole configurations; parts of one are shown as plain indented text. */
const examples = pages.flatMap((page): Example[] => {
  const text = textOf(page);
  return [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(({ 1: yaml = '', index }) => ({
    page,
    line: text.slice(0, index).split('\n').length + 1,
    yaml,
  }));
});

describeWith(['openssl'], 'configurations in the manual', () => {
  let folder: string;
  let contents: (file: string) => string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gantry-docs-'));
    const authority = await createAuthority();
    const { cert, key } = await authority.issue({ names: ['portal.example'] });
    contents = (file) => (file.endsWith('ca.pem') ? authority.ca : file.endsWith('.pem') ? cert : key);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(examples)('$page:$line', ({ page, line, yaml }) => {
    for (const [, file = ''] of yaml.matchAll(/\bfile:([\w./-]+\.(?:pem|key))/g)) {
      writeFileSync(join(folder, file), contents(file));
    }
    const { faults = [], warnings } = readConfiguration(yaml, { file: join(folder, 'gantry.yaml') });
    const wrong = [...faults, ...warnings].map((fault) =>
      formatFault({ ...fault, file: page, line: line + fault.line - 1 }),
    );
    expect(wrong).toEqual([]);
  });
});

test('the manual has configurations', () => {
  expect(examples.length).toBeGreaterThan(5);
});

/** What a heading is called in a link to it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

it.each(pages)('the links of %s lead somewhere', (page) => {
  const broken = [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1]!)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : posix.join(posix.dirname(page), path);
      if (!existsSync(join(root, target))) return true;
      const headings = [...textOf(target).matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1]!));
      return anchor !== undefined && !headings.includes(anchor);
    });
  expect(broken).toEqual([]);
});
