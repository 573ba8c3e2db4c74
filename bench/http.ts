/**
 * What an HTTP request costs: small answers on connections that are kept, 32 at once, by wrk; the server is nginx.
 * Gantry is the whole balancer with its log line for each request, beside HAProxy and the reverse proxies of npm; all
 * of them tell the server who the client is.
 */
import { startGantry } from './harness/gantry.ts';
import { startHaproxy } from './harness/haproxy.ts';
import { startNginx } from './harness/nginx.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds, residentBytes } from './harness/process-cost.ts';
import { freePort, output, type Running, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const OURS = 'gantry';
const HAPROXY = 'haproxy';
const HTTP_PROXY_3 = 'http-proxy-3';
const HTTPXY = 'httpxy';
const BEST = 'the better of these two';
const DIRECT = 'direct';
const PARALLEL = 32;

/** Small, as an answer of an API is. */
const BODY = 'x'.repeat(200);

function startHttpVip(listen: number, server: number): Promise<Running> {
  const yaml = `pools: { P: { servers: ["127.0.0.1:${server}"], health: { check: none } } }
vips:
  V:
    protocol: http
    listen: ["127.0.0.1:${listen}"]
    pool: P
`;
  return startGantry(yaml, listen);
}

async function load(port: number, seconds: number, proxy: Running | undefined): Promise<Sample> {
  const before = proxy ? cpuSeconds(proxy.pid) : 0;
  const url = `http://127.0.0.1:${port}/`;
  const report = await output('wrk', ['-t', '1', '-c', String(PARALLEL), '-d', `${seconds}s`, url]);
  const requests = Number(/(\d+) requests in/.exec(report)![1]);
  const failed = /Non-2xx or 3xx responses: (\d+)|Socket errors: .*/.exec(report)?.[0];
  if (failed !== undefined) throw new Error(`requests failed: ${failed}`);
  return {
    rate: requests / seconds,
    cpu: proxy ? ((cpuSeconds(proxy.pid) - before) / requests) * 1e6 : 0,
    memory: proxy ? residentBytes(proxy.pid).now / 2 ** 20 : 0,
  };
}

/** In each round, what the cheaper one cost. */
function better(one: readonly Sample[], other: readonly Sample[]): Sample[] {
  return one.map((sample, round) => (sample.cpu! <= other[round]!.cpu! ? sample : other[round]!));
}

export const bench: Bench = {
  title: 'HTTP, small answers, keep-alive, 32 connections',
  async run({ rounds, seconds, wants }) {
    const server = await freePort();
    const processes: Running[] = [await startNginx(server, BODY)];

    const subjects: Subject[] = [];
    const through = async (name: string, begin: (listen: number) => Running | Promise<Running>) => {
      if (!wants(name)) return;
      const port = await freePort();
      const proxy = await begin(port);
      await untilListening(port);
      processes.push(proxy);
      subjects.push({ name, run: () => load(port, seconds, proxy) });
    };
    const program = new URL('subjects/node-proxy.ts', import.meta.url);
    await through(OURS, (listen) => startHttpVip(listen, server));
    await through(HAPROXY, (listen) => startHaproxy({ listen, server, mode: 'http' }));
    await through(HTTP_PROXY_3, (listen) => startOurs(program, [listen, server, HTTP_PROXY_3]));
    await through(HTTPXY, (listen) => startOurs(program, [listen, server, HTTPXY]));
    if (wants(DIRECT)) subjects.push({ name: DIRECT, run: () => load(server, seconds, undefined) });

    const results = new Map(await interleave(subjects, rounds));
    for (const process of processes) await process.stop();
    const [one, other] = [results.get(HTTP_PROXY_3), results.get(HTTPXY)];
    if (one && other) results.set(BEST, better(one, other));
    await publish({
      name: 'http',
      title: bench.title,
      results,
      columns: [
        { figure: 'rate', title: 'requests/s', decimals: 0 },
        { figure: 'cpu', title: 'CPU µs each', decimals: 1 },
        { figure: 'memory', title: 'RSS MiB', decimals: 0 },
      ],
      goals: [
        { subject: OURS, rival: HAPROXY, figure: 'cpu', atMost: 3 },
        { subject: OURS, rival: BEST, figure: 'cpu', atMost: 0.7 },
      ].filter(({ subject, rival }) => results.has(subject) && results.has(rival)),
    });
  },
};
