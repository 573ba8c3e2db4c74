import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { configurationPage, errorsPage } from '../../scripts/generate-docs.ts';

const STALE = 'stale: node_modules/.bin/node scripts/generate-docs.ts writes it anew';

it.each([
  ['configuration.md', configurationPage],
  ['errors.md', errorsPage],
])('docs/%s is fresh', (name, page) => {
  expect(readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8') === page(), STALE).toBe(true);
});
