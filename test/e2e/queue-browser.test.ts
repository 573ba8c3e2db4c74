/** A browser at the dashboard of a balancer with durable queues: what is in quarantine, and what is done with it. */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type { StatusDocument } from '../../src/admin/documents.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { ORDERS } from '../admin/layer4-status.ts';
import { describeWith } from '../peers/processes.ts';
import { openQuarantine, type Poison, startQueueAdmin } from '../peers/queue-admin.ts';
import { browserOfTests, type Looking, lookAt } from './dashboard.ts';

/** Everything is invented. */
const POISON: readonly Poison[] = [
  {
    controlId: 'LAB000117',
    reason: 'AE from ris/ris-a',
    body: 'MSH|^~\\&|LAB\rPID|1||INVENTED-1\r',
  },
  { controlId: 'LAB000118', about: { event: 'A40', type: 'ADT', sender: 'REGISTRATION^NORTH' } },
  { controlId: '<b>bold</b>', reason: 'it was not delivered within its maximum age' },
];

const status: StatusDocument = {
  version: '0.1.0',
  uptime: 93_784,
  vips: [ORDERS],
  pools: [],
};

describeWith(['chromium'], 'headless Chromium', () => {
  const browser = browserOfTests();

  async function look(
    queues: Readonly<Record<string, Queue>>,
    token?: string,
    colorScheme: 'light' | 'dark' = 'light',
  ): Promise<Looking> {
    const { admin } = await startQueueAdmin(queues, token, { status: () => status });
    return lookAt(browser(), admin, colorScheme);
  }

  /** At any width nothing is cut off. */
  async function widths(page: Page, name: string): Promise<void> {
    for (const width of [360, 800, 1400]) {
      await page.setViewportSize({ width, height: 900 });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      if (process.env.GANTRY_SCREENSHOTS) {
        const path = `${process.env.GANTRY_SCREENSHOTS}/${name}-${width}.png`;
        await page.screenshot({ path, fullPage: true });
      }
    }
  }

  test.each(['light', 'dark'] as const)(
    'queues and quarantine at every width, in %s',
    async (colorScheme) => {
      const orders = await openQuarantine(...POISON);
      const { page, complaints } = await look(
        { ORDERS: orders, RESULTS: await openQuarantine() },
        undefined,
        colorScheme,
      );
      for (const text of [
        'ORDERS 1: ORU^R01 LAB000117',
        'ORDERS 2: ADT^A40 LAB000118',
        'ORDERS 3: ORU^R01 <b>bold</b>',
      ])
        await page.getByText(text, { exact: true }).waitFor();
      expect(await page.content()).not.toContain('INVENTED');
      await widths(page, `queues-${colorScheme}`);
      await page.getByRole('button', { name: 'Drop… ORDERS 1' }).click();
      await widths(page, `queues-drop-${colorScheme}`);
      expect(complaints).toEqual([]);
    },
  );

  test('release and replay; drop only after it was confirmed', async () => {
    const orders = await openQuarantine(...POISON);
    const { page, complaints } = await look({ ORDERS: orders });
    await page.getByRole('button', { name: 'Drop… ORDERS 3' }).click();
    await page.getByText('ORDERS 3: ORU^R01, control id <b>bold</b>, from LAB^NORTH.').waitFor();
    await page.getByRole('button', { name: 'Keep it' }).click();
    expect(await orders.depth()).toMatchObject({ held: 3 });
    await page.getByRole('button', { name: 'Release ORDERS 1' }).click();
    await page.getByText('ORDERS 1 was released.').waitFor();
    await page.getByRole('button', { name: 'Replay ORDERS 2' }).click();
    await page.getByText('ORDERS 2 was replayed.').waitFor();
    await page.getByRole('button', { name: 'Drop… ORDERS 3' }).click();
    await page.getByRole('button', { name: 'Drop it' }).click();
    await page.getByText('ORDERS 3 was dropped. Nothing is in quarantine.').waitFor();
    expect(await orders.depth()).toMatchObject({ messages: 2, held: 0 });
    await widths(page, 'queues-empty');
    expect(complaints).toEqual([]);
  });

  test('a button keeps its focus while the page looks again', async () => {
    const { page } = await look({ ORDERS: await openQuarantine(...POISON) });
    const release = page.getByRole('button', { name: 'Release ORDERS 2' });
    await release.focus();
    const again = () => page.waitForResponse(/quarantine/);
    await again();
    await again();
    expect(await page.locator(':focus').getAttribute('aria-label')).toBe('Release ORDERS 2');
  });

  test('where a token is set, changes ask for it', async () => {
    const orders = await openQuarantine(...POISON);
    const { page } = await look({ ORDERS: orders }, 'open-sesame');
    await page.getByRole('button', { name: 'Release ORDERS 1' }).click();
    await page.getByText('ORDERS 1 was not released: changes need the token, above.').waitFor();
    expect(await orders.depth()).toMatchObject({ held: 3 });
    await widths(page, 'queues-token');
    await page.getByLabel('Token').fill('open-sesame');
    await page.getByRole('button', { name: 'Use it' }).click();
    await page.getByRole('button', { name: 'Release ORDERS 1' }).click();
    await page.getByText('ORDERS 1 was released.').waitFor();
    expect(await page.getByLabel('Token').isVisible()).toBe(false);
    expect(await orders.depth()).toMatchObject({ held: 2 });
  });

  test('a queue whose file cannot be read, and one that somebody else emptied', async () => {
    const lost = await openQuarantine();
    const orders = await openQuarantine(...POISON);
    const { page, complaints } = await look({ LOST: lost, ORDERS: orders });
    await lost.close();
    await page.getByText('its file cannot be read').waitFor();
    // Between the click and the queue: had the page looked again before, there would be no button.
    await page.route(/release/, async (route) => {
      await orders.drop(1);
      await route.continue();
    });
    await page.getByRole('button', { name: 'Release ORDERS 1' }).click();
    await page.getByText(/ORDERS 1 was not released: There is no such message/).waitFor();
    await widths(page, 'queues-lost');
    // The browser tells of the 404 itself.
    expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
  });

  test('without queues there is nothing of them', async () => {
    const { page } = await look({});
    await page.waitForResponse(/queues/);
    expect(await page.locator('#durable').isVisible()).toBe(false);
  });
});
