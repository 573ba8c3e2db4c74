/** A browser at the dashboard. */
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { Admin } from '../../src/admin/admin.ts';
import { findProgram } from '../peers/processes.ts';

export interface Looking {
  readonly page: Page;
  /** What the browser did not like. */
  readonly complaints: readonly string[];
}

/** Starts a browser for the tests of a `describe`; it is there once they run. */
export function browserOfTests(): () => Browser {
  let browser: Browser;
  beforeAll(async () => {
    const executablePath = findProgram('chromium')!;
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  });
  afterAll(() => browser?.close());
  return () => browser;
}

/** Opens it and waits until it shows something; closed at the end of the test. */
export async function lookAt(
  browser: Browser,
  { endpoint }: Admin,
  colorScheme: 'light' | 'dark' = 'light',
): Promise<Looking> {
  const page = await browser.newPage({ colorScheme, viewport: { width: 1400, height: 900 } });
  onTestFinished(() => page.close());
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(`http://127.0.0.1:${endpoint.port}/`);
  await page.getByText('up for').waitFor();
  return { page, complaints };
}
