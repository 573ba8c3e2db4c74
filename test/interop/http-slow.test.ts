/** Must show, HTTP: slowhttptest leaves a normal client unharmed. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Nginx, startNginx } from '../peers/nginx.ts';
import { describeWith, startProgram } from '../peers/processes.ts';
import { startTestBalancer, type TestBalancer } from '../peers/start-balancer.ts';

describeWith(['nginx-light', 'slowhttptest'], 'slowhttptest', () => {
  let nginx: Nginx;
  let balancer: TestBalancer;
  /** Reads the body before it answers. */
  const reader = createServer((request, response) => {
    request.resume().on('end', () => response.end('read'));
  });

  beforeEach(async () => {
    nginx = await startNginx('web-a', {
      server: 'location /big { } location / { return 200 "small"; }',
    });
    writeFileSync(join(nginx.folder, 'big'), Buffer.alloc(8 * 1024 * 1024, 'x'));
    await new Promise<void>((resolve) => reader.listen(0, '127.0.0.1', resolve));
    balancer = await startTestBalancer(`
pools:
  web: { servers: ["${nginx.endpoint}"] }
  reader: { servers: ["127.0.0.1:${(reader.address() as AddressInfo).port}"] }
vips:
  WEB:
    protocol: http
    listen: "127.0.0.1:0"
    routes: [{ when: { path: /upload }, pool: reader }]
    pool: web
    timeouts: { request: 4s, stall: 4s }
`);
  });
  afterEach(async () => {
    await balancer.stop();
    await nginx.stop();
    reader.close();
    reader.closeAllConnections();
  });

  test.each([
    ['slow headers', '/big', ['-H', '-i', '1']],
    ['slow body', '/upload', ['-B', '-i', '6', '-s', '65536']],
    ['slow read', '/big', ['-X', '-w', '1', '-y', '8', '-n', '1', '-z', '4', '-k', '5']],
  ])(
    '%s leaves a normal client unharmed',
    async (_, path, mode) => {
      const { host, port } = balancer.address('WEB');
      const web = `http://${host}:${port}`;
      const args = [...mode, '-c', '300', '-r', '300', '-l', '60', '-p', '2', '-u', `${web}${path}`];
      const attack = startProgram('slowhttptest', args);
      let isOver = false;
      void attack.exited.then(() => {
        isOver = true;
      });
      // Its connections are ended, not borne. Who reads slowly does not notice that at once.
      const areCut = () => {
        const cut = balancer.requests.items.filter(({ detail }) => detail?.includes('stopped reading'));
        return cut.length > 290;
      };
      let asked = 0;
      while (!isOver && !areCut()) {
        const answer = await fetch(web, { signal: AbortSignal.timeout(30_000) });
        expect(await answer.text()).toBe('small');
        asked++;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(areCut() || (await attack.exited).output.includes('No open connections left')).toBe(true);
      expect(asked).toBeGreaterThan(50);
      await attack.stop();
    },
    120_000,
  );
});
