/**
 * The configurations in the examples folder of Debian's haproxy package, imported and run. They are read where the package
 * is, or from the package itself where documentation is not installed; only addresses and ports are other ones here, and
 * what needs a privilege or hardware that HAProxy would have.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../peers/certificates.ts';
import { findProgram, freePort, runProgram } from '../peers/processes.ts';
import { importText, told } from './accounting.ts';
import {
  ask,
  type Beside,
  greeting,
  type NamedServer,
  startBeside,
  startGreeter,
  startWebServer,
} from './beside.ts';

const INSTALLED = '/usr/share/doc/haproxy/examples';
const folder = mkdtempSync(join(tmpdir(), 'gantry-examples-'));
let servers: NamedServer[] = [];
let examples: Map<string, string>;

/** Name → text. Empty where neither the package nor a way to get it is there. */
async function findExamples(): Promise<Map<string, string>> {
  let place = INSTALLED;
  if (namesIn(place).length === 0 && findProgram('dpkg') !== undefined) {
    // A network that does not answer is no way.
    const limits = ['-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=10'];
    const fetched = await runProgram('apt-get', [...limits, 'download', '-q', 'haproxy'], {
      cwd: folder,
    }).catch(() => undefined);
    const archive = readdirSync(folder).find((name) => name.endsWith('.deb'));
    if (fetched?.code === 0 && archive !== undefined)
      await runProgram('dpkg', ['-x', join(folder, archive), folder]);
    place = join(folder, INSTALLED);
  }
  return new Map(namesIn(place).map((name) => [name, readFileSync(join(place, name), 'utf8')]));
}

function namesIn(place: string): string[] {
  try {
    return readdirSync(place).filter((name) => name.endsWith('.cfg'));
  } catch {
    return [];
  }
}

beforeAll(async () => {
  examples = await findExamples();
  servers = [await startWebServer('one'), await startWebServer('two'), await startGreeter('greeter')];
});
afterAll(async () => {
  for (const server of servers) await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** HAProxy's own process: it is run in the foreground here, by whoever runs the tests. */
const OF_THE_PROCESS =
  /^\s*(?:chroot|user|group|uid|gid|daemon|pidfile|stats\s+socket|ulimit-n|log|maxconn\s+\d{5})\b.*$/gm;

/** An address whose port comes from the environment. */
function listenOn(variable: string): string {
  return `"127.0.0.1:\${${variable}}"`;
}

/** A copy of an example on addresses of this machine. `replace`: text in it → a port. */
async function copyOf(name: string, replace: Readonly<Record<string, string>>): Promise<string> {
  let text = examples.get(name)!.replace(OF_THE_PROCESS, '');
  for (const [from, to] of Object.entries(replace)) {
    expect(text, `${from} in ${name}`).toContain(from);
    text = text.replaceAll(from, to);
  }
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const needed = (name: string, context: { skip: (when: boolean, why: string) => void }): void =>
  context.skip(!examples.has(name), `needs ${name} of the Debian package haproxy`);

/** Runs an example in both; `listen` are variables that the copy has for ports. */
async function besideOf(
  file: string,
  listen: readonly string[],
  run: (beside: Beside) => Promise<void>,
): Promise<void> {
  const beside = await startBeside(file, { listen, environment: {} });
  try {
    await run(beside);
  } finally {
    await beside.stop();
  }
}

it('every example is a configuration that gantry check accepts, or a sentence why not; no line is lost in silence', (context) => {
  context.skip(examples.size === 0, 'needs the examples of the Debian package haproxy');
  const reasons = [...examples].map(([name, text]) => [
    name,
    importText('haproxy', text, { file: name }).reason,
  ]);
  expect(reasons.filter(([, reason]) => reason !== undefined)).toEqual([
    // A forward proxy, which Gantry is not.
    ['option-http_proxy.cfg', 'has no frontend or listen that could be taken over'],
  ]);
});

describe('run as they are, but for addresses', () => {
  const [one, two] = [() => `127.0.0.1:${servers[0]!.port}`, () => `127.0.0.1:${servers[1]!.port}`];
  const greeter = () => `127.0.0.1:${servers[2]!.port}`;

  it('quick-test.cfg', async (context) => {
    needed('quick-test.cfg', context);
    const file = await copyOf('quick-test.cfg', {
      'bind :8000': `bind ${listenOn('WEB')}`,
      '172.31.32.33:8000': one(),
    });
    await besideOf(file, ['WEB'], async ({ haproxy, gantry, told: sentences }) => {
      expect(sentences).not.toContain(' lost: ');
      for (const ports of [haproxy, gantry]) {
        const answer = await ask(ports.WEB!, { path: '/a?b', host: 'a.example' });
        expect(answer).toMatchObject({ status: 200, seen: { name: 'one', url: '/a?b' } });
        expect(answer.seen?.headers['x-forwarded-for']).toBeUndefined();
      }
    });
  });

  it('content-sw-sample.cfg: by host and path, a cookie for the rest', async (context) => {
    needed('content-sw-sample.cfg', context);
    const file = await copyOf('content-sw-sample.cfg', {
      '192.168.1.10:80 name clear': `${listenOn('WEB')} name clear`,
      '192.168.1.8:80': one(),
      '192.168.1.9:80': one(),
      ...Object.fromEntries([1, 2, 3, 4].map((last) => [`192.168.1.${last}:80`, two()])),
    });
    await besideOf(file, ['WEB'], async ({ haproxy, gantry }) => {
      for (const ports of [haproxy, gantry]) {
        const name = async (path: string, host: string) => (await ask(ports.WEB!, { path, host })).seen?.name;
        expect(await name('/', 'IMG.example')).toBe('one');
        expect(await name('/img/x', 'a.example')).toBe('one');
        expect(await name('/css', 'a.example')).toBe('one');
        expect(await name('/x/img', 'a.example')).toBe('two');
        expect(await ask(ports.WEB!, { path: '/monitoruri', host: 'a.example' })).toMatchObject({
          status: 200,
          seen: undefined,
        });
        const { headers } = await ask(ports.WEB!, { path: '/', host: 'a.example' });
        expect(headers['set-cookie']?.[0]).toMatch(/^DYNSRV=/);
      }
    });
  });

  it('basic-config-edge.cfg: clear goes to TLS, and TLS has its servers', async (context) => {
    needed('basic-config-edge.cfg', context);
    context.skip(findProgram('openssl') === undefined, 'needs the Debian package openssl');
    const { cert, key } = await (await createAuthority()).issue({ names: ['pub1.example'] });
    writeFileSync(join(folder, 'pub1.pem'), cert + key);
    mkdirSync(join(folder, 'run'));
    const file = await copyOf('basic-config-edge.cfg', {
      // Without those lines of its process, HAProxy warns that no log is there, and would not start.
      'zero-warning': '',
      'bind :8181': `bind ${listenOn('STATS')}`,
      'bind :80 name': `bind ${listenOn('WEB')} name`,
      'bind :443 name': `bind ${listenOn('TLS')} name`,
      'crt pub1.pem': `crt ${join(folder, 'pub1.pem')}`,
      ...Object.fromEntries([1, 2, 3, 4].map((last) => [`192.0.2.${last}:80`, last < 3 ? one() : two()])),
    });
    await besideOf(file, ['WEB', 'TLS', 'STATS'], async ({ haproxy, gantry }) => {
      for (const ports of [haproxy, gantry]) {
        const host = 'pub1.example';
        const clear = await ask(ports.WEB!, { path: '/a?b', host });
        expect(clear).toMatchObject({ status: 301, headers: { location: 'https://pub1.example/a?b' } });
        const asked = { path: '/a', host, tls: true, headers: { 'X-Forwarded-For': '192.0.2.99' } };
        const first = await ask(ports.TLS!, asked);
        expect(first.headers['strict-transport-security']).toBe('max-age=31536000');
        expect(first.seen?.headers['x-forwarded-for']).toBe('127.0.0.1');
        const cookie = first.headers['set-cookie']![0]!.split(';')[0]!;
        expect(cookie).toMatch(/^app1=/);
        for (let count = 0; count < 4; count++) {
          const again = await ask(ports.TLS!, { ...asked, headers: { Cookie: cookie } });
          expect(again.seen?.name).toBe(first.seen?.name);
        }
      }
    });
  });

  it('socks4.cfg: what goes by a SOCKS proxy is told of, the rest runs', async (context) => {
    needed('socks4.cfg', context);
    const spare = await freePort();
    const file = await copyOf('socks4.cfg', {
      '0.0.0.0:20025': listenOn('MAIL'),
      '0.0.0.0:20080': listenOn('WEB'),
      '0.0.0.0:20936': listenOn('STATS'),
      '192.0.2.1:25 ': `${greeter()} `,
      '192.0.2.2:25 ': `127.0.0.1:${spare} `,
    });
    await besideOf(file, ['MAIL', 'WEB', 'STATS'], async ({ haproxy, gantry, told: sentences }) => {
      expect(sentences.match(/lost: … socks4/g)).toHaveLength(2);
      for (const ports of [haproxy, gantry]) expect(await greeting(ports.MAIL!)).toBe('greeter');
    });
  });

  it('transparent_proxy.cfg and wurfl-example.cfg need more of HAProxy than is here: what is left runs in Gantry', async (context) => {
    needed('transparent_proxy.cfg', context);
    needed('wurfl-example.cfg', context);
    for (const name of ['transparent_proxy.cfg', 'wurfl-example.cfg']) {
      const imported = importText('haproxy', examples.get(name)!, { file: name });
      expect(told(imported).some((sentence) => sentence.startsWith('lost'))).toBe(true);
      const file = await copyOf(name, { '192.168.1.22:80': listenOn('WEB'), '192.168.0.40:80': one() });
      // HAProxy runs it without what is missing here.
      writeFileSync(
        file,
        readFileSync(file, 'utf8').replace(/^\s*(?:source|wurfl-\S+|http-request).*$/gm, ''),
      );
      await besideOf(file, ['WEB'], async ({ haproxy, gantry }) => {
        for (const ports of [haproxy, gantry])
          expect((await ask(ports.WEB!, { path: '/', host: 'a.example' })).seen?.name).toBe('one');
      });
    }
  });
});
