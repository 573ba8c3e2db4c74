/** Must show, HTTP: slowhttptest leaves a normal client unharmed. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Nginx, startNginx } from '../peers/nginx.ts';
import { describeWith, startProgram } from '../peers/processes.ts';
import { startTestBalancer, type TestBalancer } from '../peers/start-balancer.ts';

describeWith(['nginx-light', 'slowhttptest'], 'slowhttptest', () => {
  let nginx: Nginx;
  let balancer: TestBalancer;

  beforeEach(async () => {
    nginx = await startNginx('web-a', {
      server: `location /big { return 200 "${'x'.repeat(3000)}"; } location / { return 200 "small"; }`,
    });
    balancer = await startTestBalancer(`
pools: { web: { servers: ["${nginx.endpoint}"] } }
vips:
  WEB: { protocol: http, listen: "127.0.0.1:0", pool: web, timeouts: { request: 4s, stall: 4s } }
`);
  });
  afterEach(async () => {
    await balancer.stop();
    await nginx.stop();
  });

  test.each([
    ['slow headers', ['-H', '-i', '1']],
    ['slow body', ['-B', '-i', '1', '-s', '65536']],
    ['slow read', ['-X', '-w', '1', '-y', '8', '-n', '1', '-z', '4', '-k', '5']],
  ])('%s leaves a normal client unharmed', async (_, mode) => {
    const { host, port } = balancer.address('WEB');
    const web = `http://${host}:${port}`;
    const args = [...mode, '-c', '300', '-r', '300', '-l', '8', '-p', '2', '-u', `${web}/big`];
    const attack = startProgram('slowhttptest', args);
    let over = false;
    void attack.exited.then(() => {
      over = true;
    });
    let asked = 0;
    while (!over) {
      const answer = await fetch(web, { signal: AbortSignal.timeout(5000) });
      expect(await answer.text()).toBe('small');
      asked++;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect((await attack.exited).code).toBe(0);
    expect(asked).toBeGreaterThan(50);
  });
});
