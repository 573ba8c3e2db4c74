/** A browser at the demo: pages, cookies and WebSockets through the HTTP VIP, and the status page. */
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Demo, startDemo } from '../../src/demo/demo.ts';
import { describeWith, findProgram, freePort } from '../peers/processes.ts';

describeWith(['chromium'], 'headless Chromium', () => {
  let demo: Demo;
  let browser: Browser;
  let ports: { dicomPort: number; hl7Port: number; httpPort: number; adminPort: number };

  beforeAll(async () => {
    ports = {
      dicomPort: await freePort(),
      hl7Port: await freePort(),
      httpPort: await freePort(),
      adminPort: await freePort(),
    };
    demo = await startDemo({ ...ports, print: () => {} });
    browser = await chromium.launch({
      executablePath: findProgram('chromium')!,
      args: ['--no-sandbox', '--disable-gpu'],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await demo?.stop();
  });

  test('keeps its server by the cookie, and has a WebSocket to another pool', async () => {
    const page = await browser.newPage();
    const web = `http://127.0.0.1:${ports.httpPort}/`;
    await page.goto(web);
    const first = await page.textContent('h1');
    expect(first).toMatch(/^web-[ab] answered$/);
    for (let count = 0; count < 4; count++) {
      await page.reload();
      expect(await page.textContent('h1')).toBe(first);
    }
    await page.getByText(/^chat-[ab] echoes what you send$/).waitFor();
    await page.fill('input', 'invented words');
    await page.keyboard.press('Enter');
    await page.locator('li', { hasText: 'invented words' }).waitFor();
    const names = (await page.context().cookies(web)).map(({ name, httpOnly, sameSite }) => ({
      name,
      httpOnly,
      sameSite,
    }));
    expect(names).toContainEqual({ name: 'SRV', httpOnly: true, sameSite: 'Lax' });
    expect(names).toContainEqual({ name: 'CHAT', httpOnly: true, sameSite: 'Lax' });
    await page.close();
  });

  test.each(['light', 'dark'] as const)(
    'the status page shows every VIP and server, in %s',
    async (colorScheme) => {
      const page = await browser.newPage({ colorScheme, viewport: { width: 1280, height: 900 } });
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.goto(`http://127.0.0.1:${ports.adminPort}/`);
      for (const name of [
        'DEMO',
        'MESSAGES',
        'WEB',
        'portal/web-a',
        'chat/chat-b',
        'archive/pacs-a',
        'orders/orders',
      ])
        await page.getByText(name, { exact: true }).first().waitFor();
      expect(complaints).toEqual([]);
      // At any width nothing is cut off.
      await page.setViewportSize({ width: 360, height: 800 });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
      if (process.env.GANTRY_SCREENSHOTS) {
        for (const width of [360, 1280]) {
          await page.setViewportSize({ width, height: 900 });
          await page.screenshot({
            path: `${process.env.GANTRY_SCREENSHOTS}/status-${colorScheme}-${width}.png`,
            fullPage: true,
          });
        }
      }
      await page.close();
    },
  );
});
