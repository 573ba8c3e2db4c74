/** A browser at the dashboard of a balancer with layer 4 VIPs. What they forwarded is invented. */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type { StatusDocument } from '../../src/admin/documents.ts';
import { layer4Status } from '../admin/layer4-status.ts';
import { describeWith } from '../peers/processes.ts';
import { startQueueAdmin } from '../peers/queue-admin.ts';
import { browserOfTests, type Looking, lookAt } from './dashboard.ts';

describeWith(['chromium'], 'headless Chromium', () => {
  const browser = browserOfTests();

  async function look(status: StatusDocument, colorScheme: 'light' | 'dark' = 'light'): Promise<Looking> {
    const { admin } = await startQueueAdmin({}, undefined, { status: () => status });
    return lookAt(browser(), admin, colorScheme);
  }

  /** The cells of a table's rows, without its head. */
  async function rowsOf(page: Page, table: string): Promise<string[][]> {
    const rows = await page.locator(`#${table} tr:has(td)`).all();
    return Promise.all(rows.map((row) => row.locator('td').allTextContents()));
  }

  test.each(['light', 'dark'] as const)(
    'layer 4 VIPs with mode, ports, flows and bytes at every width, in %s',
    async (colorScheme) => {
      const { page, complaints } = await look(layer4Status, colorScheme);
      expect(await rowsOf(page, 'vips')).toEqual([
        ['ORDERS', 'hl7', '10.0.0.4:2310', 'ris', 'none', '12', '40 connections, 81,234 messages'],
        [
          'EIS',
          'DR',
          '10.0.0.6:*',
          'eis',
          'source-ip',
          '44',
          '4,128 connections, 495,360 packets, 590.5 MiB',
        ],
        ['WORKLIST', 'NAT', '10.0.0.7:80, 10.0.0.7:443', 'web', 'none', '0', '0 connections, 0 packets, 0 B'],
        [
          'PORTAL',
          'SNAT',
          '[2001:db8::8]:443',
          'web',
          'none',
          '7',
          '912,344 connections, 109,481,280 packets, 127.5 GiB',
        ],
      ]);
      expect(await rowsOf(page, 'forwarded')).toEqual([
        ['EIS', 'DR', 'eis/eis-a', '41', '2,140', '256,800', '306.1 MiB'],
        ['EIS', 'DR', 'eis/eis-b', '3', '1,988', '238,560', '284.4 MiB'],
        ['WORKLIST', 'NAT', 'web/web-a', 'not counted yet', '0', '0', '0 B'],
        ['PORTAL', 'SNAT', 'web/web-a', '7', '912,344', '109,481,280', '127.5 GiB'],
        ['PORTAL', 'SNAT', 'web/web-b', '0', '0', '0', '0 B'],
      ]);
      await page.getByText('not listed one by one').waitFor();
      for (const width of [360, 800, 1400]) {
        await page.setViewportSize({ width, height: 900 });
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
        if (process.env.GANTRY_SCREENSHOTS) {
          const path = `${process.env.GANTRY_SCREENSHOTS}/layer4-${colorScheme}-${width}.png`;
          await page.screenshot({ path, fullPage: true });
        }
      }
      expect(complaints).toEqual([]);
    },
  );

  test('without layer 4 VIPs there is nothing of them', async () => {
    const [orders] = layer4Status.vips;
    const { page } = await look({ ...layer4Status, vips: [orders!] });
    expect(await page.locator('#vips td').first().textContent()).toBe('ORDERS');
    expect(await page.locator('#layer4').isVisible()).toBe(false);
  });
});
