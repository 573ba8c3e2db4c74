/** Must show, HTTP: three nginx servers behind path pools, and clients that keep their cookies. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Nginx, startNginx } from '../peers/nginx.ts';
import { describeWith, runProgram } from '../peers/processes.ts';
import { startTestBalancer, type TestBalancer } from '../peers/start-balancer.ts';

const NAMES = ['web-a', 'web-b', 'web-c'];
const PATHS = ['/images/1', '/reports/1'] as const;
const CLIENTS = 40;
/** Answers name the server and the pool's path. */
const blockOf = (name: string) => `location / { return 200 "${name} $uri"; }`;

/** Keeps cookies, and where each pool's requests were answered. */
class Client {
  readonly moves: string[] = [];
  readonly #cookies = new Map<string, string>();
  readonly #places = new Map<string, string>();

  async ask(web: string, path: string): Promise<string> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(`${web}${path}`, { headers: cookie ? { cookie } : {} });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${path} was answered with ${answer.status}: ${text}`);
    for (const set of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set)!;
      this.#cookies.set(name!, value!);
    }
    const [server = '', uri] = text.split(' ');
    if (uri !== path) throw new Error(`${uri} came as the answer to ${path}`);
    const before = this.#places.get(path);
    if (before !== undefined && before !== server) this.moves.push(`${before} ${server}`);
    this.#places.set(path, server);
    return server;
  }
}

describeWith(['nginx-light', 'curl'], 'three nginx servers', () => {
  let servers: Nginx[];
  let balancer: TestBalancer;
  let web: string;

  beforeEach(async () => {
    servers = await Promise.all(NAMES.map((name) => startNginx(name, { server: blockOf(name) })));
    const list = servers.map(({ name, endpoint }) => `{ name: ${name}, address: "${endpoint}" }`).join(', ');
    const pool = `{ servers: [${list}], persistence: { by: cookie, name: SRV }, health: { check: http, path: /, interval: 200ms, rise: 1, fall: 2 } }`;
    balancer = await startTestBalancer(`
admin: { listen: "127.0.0.1:0" }
pools:
  images: ${pool}
  reports: ${pool}
vips:
  WEB:
    protocol: http
    listen: "127.0.0.1:0"
    routes:
      - { when: { path: "/images/*" }, pool: images }
      - { when: { path: "/reports/*" }, pool: reports }
`);
    const { host, port } = balancer.address('WEB');
    web = `http://${host}:${port}`;
  });
  afterEach(async () => {
    await balancer.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  async function change(server: string, action: string): Promise<void> {
    for (const pool of ['images', 'reports']) {
      const { host, port } = balancer.admin;
      const at = `http://${host}:${port}/api/v1/pools/${pool}/servers/${server}/${action}`;
      expect((await fetch(at, { method: 'POST' })).status).toBe(200);
    }
  }

  test('path pools, cookie stickiness over 1 000 requests with one server killed and drained in turn: nobody moves without need, no request fails', async () => {
    const clients = Array.from({ length: CLIENTS }, () => new Client());
    let requests = 0;
    /** Every client asks each pool so many times; returns who moved from where. */
    const round = async (times: number): Promise<string[]> => {
      for (let count = 0; count < times; count++) {
        for (const path of PATHS) {
          await Promise.all(clients.map((client) => client.ask(web, path)));
          requests += clients.length;
        }
      }
      return clients.flatMap((client) => client.moves.splice(0));
    };
    const from = (moves: readonly string[]) => new Set(moves.map((move) => move.split(' ')[0]));

    expect(await round(3)).toEqual([]);
    await servers[1]!.process.stop();
    const afterKill = await round(3);
    expect(from(afterKill)).toEqual(new Set(['web-b']));
    servers[1] = await startNginx('web-b', { server: blockOf('web-b'), port: servers[1]!.address.port });
    await balancer.servers.count(2, ({ server, state }) => server === 'web-b' && state === 'up');
    expect(await round(3)).toEqual([]);

    await change('web-c', 'drain');
    expect(await round(2)).toEqual([]);
    const newcomers = Array.from({ length: 20 }, () => new Client());
    const places = await Promise.all(newcomers.map((client) => client.ask(web, PATHS[0])));
    expect(places).not.toContain('web-c');
    await change('web-c', 'drain?strict=true');
    expect(from(await round(2))).toEqual(new Set(['web-c']));
    await change('web-c', 'online');
    expect(await round(2)).toEqual([]);
    expect(requests).toBeGreaterThanOrEqual(1000);
  });

  test('curl keeps its cookie in a jar, and a forged cookie is a stranger', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gantry-curl-'));
    const jar = join(folder, 'jar');
    const curl = async (...args: string[]) =>
      (await runProgram('curl', ['-sS', ...args, `${web}/images/1`])).output;
    try {
      const first = await curl('-c', jar, '-b', jar);
      for (let count = 0; count < 8; count++) expect(await curl('-c', jar, '-b', jar)).toBe(first);
      expect(readFileSync(jar, 'utf8')).toMatch(
        /#HttpOnly_127\.0\.0\.1\tFALSE\t\/\tFALSE\t0\tSRV\tweb-[abc]~/,
      );
      const forged = await Promise.all(
        Array.from({ length: 9 }, () => curl('-b', 'SRV=web-a~AAAAAAAAAAAAAAAAAAAAAA')),
      );
      expect(new Set(forged).size).toBeGreaterThan(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
