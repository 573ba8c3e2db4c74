/** Must show, HTTP: bodies of a gigabyte, both ways, plain and in TLS, in memory that stays flat. */

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthority } from '../peers/certificates.ts';
import { type GantryProcess, startGantry } from '../peers/gantry-process.ts';
import { type Nginx, startNginx } from '../peers/nginx.ts';
import { describeWith, freePort, runProgram } from '../peers/processes.ts';

const GIB = 1024 ** 3;
/** Long enough for the heap to have been collected now and then. */
const WARM_UP = GIB / 4;
/** Three gigabytes through TLS, on a machine that may have other things to do. */
const PATIENCE_MS = 240_000;
const MOST_GROWTH = 64 * 1024 * 1024;
/** Bytes after which the server rests for a moment. */
const PAUSE_EVERY = 4 * 1024 * 1024;

describeWith(['nginx-light', 'curl', 'openssl'], 'a gigabyte', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-large-'));
  const [large, small] = [join(folder, 'large'), join(folder, 'small')];
  let nginx: Nginx;
  let gantry: GantryProcess;
  let ports: { http: number; https: number };
  const sink = createServer((request, response) => {
    let bytes = 0;
    let rest = PAUSE_EVERY;
    // Slower than the sender: what is in between must hold it back.
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      rest -= chunk.length;
      if (rest > 0) return;
      rest = PAUSE_EVERY;
      request.pause();
      setTimeout(() => request.resume(), 10);
    });
    request.on('end', () => response.end(`${bytes}\n`));
  });

  beforeAll(async () => {
    for (const [file, size] of [
      [large, GIB],
      [small, WARM_UP],
    ] as const) {
      writeFileSync(file, '');
      truncateSync(file, size);
    }
    nginx = await startNginx('files', { server: `location / { root ${folder}; }` });
    await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
    const authority = await createAuthority();
    const { cert, key } = await authority.issue({ names: ['127.0.0.1'] });
    for (const [name, text] of Object.entries({
      'ca.pem': authority.ca,
      'server.pem': cert,
      'server.key': key,
    }))
      writeFileSync(join(folder, name), text);
    ports = { http: await freePort(), https: await freePort() };
    const routes = 'routes: [{ when: { path: /upload }, pool: sink }], pool: files';
    const file = join(folder, 'gantry.yaml');
    writeFileSync(
      file,
      `version: 1
admin: off
pools:
  files: { servers: ["${nginx.endpoint}"] }
  sink: { servers: ["127.0.0.1:${(sink.address() as AddressInfo).port}"] }
vips:
  WEB: { protocol: http, listen: "127.0.0.1:${ports.http}", ${routes} }
  WEBS: { protocol: http, listen: "127.0.0.1:${ports.https}", tls: { cert: "file:server.pem", key: "file:server.key" }, ${routes} }
`,
    );
    gantry = await startGantry(file);
  });
  afterAll(async () => {
    await gantry?.kill();
    await nginx?.stop();
    sink.close();
    rmSync(folder, { recursive: true });
  });

  const curl = async (...args: string[]) => {
    const words = ['-sS', '--cacert', join(folder, 'ca.pem'), ...args];
    const { code, output } = await runProgram('curl', words, { patience: PATIENCE_MS });
    expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' });
    return output;
  };

  test.each(['http', 'https'] as const)(
    '1 GiB upload and download through %s with flat memory',
    async (scheme) => {
      const web = `${scheme}://127.0.0.1:${ports[scheme]}`;
      const size = ['-o', '/dev/null', '-w', '%{size_download}'];
      const versions = scheme === 'https' ? ['--http1.1', '--http2'] : ['--http1.1'];
      const upload = (version: string, file: string) => curl(version, '-T', file, `${web}/upload`);
      let [before, most] = [0, 0];
      const watch = setInterval(() => {
        most = Math.max(most, gantry.memory());
      }, 20);
      try {
        // Once each way to warm up: code that is compiled, buffers that are kept and what waits to be collected, which at
        // rest is now there and now not, are no growth.
        await curl(...size, '--limit-rate', '300M', `${web}/small`);
        for (const version of versions) await upload(version, small);
        before = most;
        expect(await curl(...size, '--limit-rate', '300M', `${web}/large`)).toBe(String(GIB));
        for (const version of versions) expect(await upload(version, large)).toBe(`${GIB}\n`);
      } finally {
        clearInterval(watch);
      }
      expect((most - before) / 2 ** 20).toBeLessThan(MOST_GROWTH / 2 ** 20);
    },
    PATIENCE_MS,
  );
});
