import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { CheckTarget } from '../../../src/pools/health/check.ts';
import type { ScriptOptions } from '../../../src/pools/health/script.ts';
import { freePort, skipWithout, startProgram } from '../../peers/processes.ts';
import { within } from '../../peers/waiting.ts';
import { ManualDeadlines } from './manual-deadlines.ts';
import { checkOf, resultOf } from './run-check.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gantry-script-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let scripts = 0;

function script(body: string, { mode = 0o755, interpreter = '/bin/bash' } = {}): string {
  const path = join(folder, `check-${++scripts}`);
  writeFileSync(path, `#!${interpreter}\n${body}\n`, { mode });
  return path;
}

function asked(path: string, options: Partial<ScriptOptions> = {}) {
  return {
    check: 'script',
    script: path,
    vip: { host: '10.0.0.4', port: 443 },
    pool: { name: 'web', id: 2 },
    server: { name: 'web-a', id: 1, load: () => ({ active: 3, maxConnections: 40 }) },
    ...options,
  } as const;
}

/** What a script says on its connection to us, and when all who hold that connection are gone. */
async function listenToScripts() {
  const { promise: said, resolve: say } = Promise.withResolvers<string>();
  const { promise: gone, resolve: go } = Promise.withResolvers<void>();
  const server: Server = createServer((socket) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.endsWith('.\n')) say(text.slice(0, -2));
    });
    socket.on('error', () => {}).on('close', () => go());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  return {
    /** Bash: connects, as file descriptor 3, which all that it starts inherits. */
    connect: `exec 3<>/dev/tcp/127.0.0.1/${port}`,
    said: () => within(said, 'the script to say something'),
    gone: () => within(gone, 'the script and what it started to be gone'),
  };
}

/** A zombie takes signals too: this resolves when somebody waited for it. */
async function untilReaped(pid: number): Promise<void> {
  const start = performance.now();
  while (existsSync(`/proc/${pid}`)) {
    if (performance.now() - start > 30_000) throw new Error(`process ${pid} is still there`);
    await pause(10);
  }
}

describe('script check', () => {
  test('exit code 0 is up, anything else is down; the last line is the reason', async () => {
    const good = script('echo starting; echo; echo "2 of 2 services run" ');
    expect(await resultOf(asked(good))).toMatchObject({
      outcome: 'up',
      reason: `check script ${good} exits with 0: 2 of 2 services run`,
    });
    const bad = script('echo out; echo "no route to the archive" >&2; exit 7');
    expect(await resultOf(asked(bad))).toMatchObject({
      outcome: 'down',
      reason: `check script ${bad} exits with 7: no route to the archive`,
    });
    const mute = script('exit 1');
    expect((await resultOf(asked(mute))).reason).toBe(`check script ${mute} exits with 1`);
  });

  test('a script ended by a signal is down', async () => {
    const path = script('kill -TERM $$');
    expect(await resultOf(asked(path))).toMatchObject({
      outcome: 'down',
      reason: `check script ${path} was ended by SIGTERM`,
    });
  });

  test('what it wrote is escaped and cut', async () => {
    const path = script(String.raw`printf 'r\303\266ntgen \033[31mred\342\200\256%0100d\n' 7`);
    const { reason } = await resultOf(asked(path));
    const shown = reason.slice(reason.indexOf(': ') + 2);
    expect(shown).toHaveLength(80);
    expect(shown).toMatch(/^röntgen \\x1b\[31mred\\x202e0+$/);
  });

  test('is called as ldirectord calls: VIP, its port, server, its port', async () => {
    const path = script('echo "$# $1 $2 $3 $4"');
    const target = { host: '10.0.0.41', port: 8443 };
    expect((await resultOf(asked(path), target)).reason).toMatch(/: 4 10\.0\.0\.4 443 10\.0\.0\.41 8443$/);
    const withoutVip = asked(path, { vip: undefined });
    expect((await resultOf(withoutVip, target)).reason).toMatch(/: 4 NOT_USED NOT_USED 10\.0\.0\.41 8443$/);
  });

  test('nothing of our own environment reaches it', async () => {
    process.env.GANTRY_TEST_SECRET = 'a token';
    onTestFinished(() => void delete process.env.GANTRY_TEST_SECRET);
    const path = script('env | cut -d= -f1 | sort | tr "\\n" " "', { interpreter: '/bin/sh' });
    const names = (await resultOf(asked(path))).reason;
    expect(names).not.toContain('GANTRY');
    expect(names).toContain('HAPROXY_PROXY_ADDR');
  });

  test('a real script: curl of the server', async () => {
    const path = script('curl -fsS -o /dev/null "http://$3:$4/health" 2>&1');
    const { reason, outcome } = await resultOf(asked(path), { port: await freePort() });
    expect(outcome).toBe('down');
    expect(reason).toMatch(/exits with 7: curl: \(7\) Failed to connect/);
  });

  test('a check script that hangs is killed at its time-out, and all that it started', async () => {
    const { connect, said, gone } = await listenToScripts();
    const path = script(`trap '' TERM\n${connect}\necho waiting\nsleep 1000 &\necho "$$ $!." >&3\nwait`);
    const deadlines = new ManualDeadlines();
    const result = resultOf(asked(path), { timeout: 3000, deadlines });
    const pids = (await said()).split(' ').map(Number);
    // What it wrote before has been read by then: it was written before the connection spoke.
    deadlines.pass(3000);
    expect(await result).toMatchObject({
      outcome: 'down',
      reason: expect.stringContaining(`check script ${path} was killed after 3000 ms`),
    });
    await gone();
    await untilReaped(pids[0]!);
  });

  test('a check script that floods its output is killed; nothing of it is kept', async () => {
    const { connect, gone } = await listenToScripts();
    const path = script(`${connect}\nyes "an endless line"`);
    expect(await resultOf(asked(path))).toMatchObject({
      outcome: 'down',
      reason: `check script ${path} was killed: it wrote more than 64 KiB`,
    });
    await gone();
  });

  test('a flood without a line end, on standard error', async () => {
    const path = script('head -c 10000000 /dev/zero >&2; exit 0');
    expect((await resultOf(asked(path))).reason).toMatch(/wrote more than 64 KiB$/);
  });

  test('a check script that is missing, or its interpreter, is down and says so', async () => {
    const missing = join(folder, 'missing');
    expect(await resultOf(asked(missing))).toMatchObject({
      outcome: 'down',
      reason: `check script ${missing} cannot be run: it is missing, or the program that its first line names is`,
    });
    const path = script('exit 0', { interpreter: '/usr/bin/no-such-shell' });
    expect(await resultOf(asked(path))).toMatchObject({
      outcome: 'down',
      reason: expect.stringContaining('it is missing, or the program that its first line names is'),
    });
  });

  test('a script that is not executable, or a folder, is down and says so', async () => {
    for (const path of [script('exit 0', { mode: 0o644 }), folder]) {
      expect(await resultOf(asked(path))).toMatchObject({
        outcome: 'down',
        reason: `check script ${path} cannot be run: it is not executable (chmod +x)`,
      });
    }
  });

  test('a path that no system takes is down, not a crash', async () => {
    expect((await resultOf(asked('/a\0b'))).outcome).toBe('down');
  });

  test('what it leaves in the background ends with it', async () => {
    const { connect, gone } = await listenToScripts();
    const path = script(`${connect}\nsleep 1000 &\necho fine`);
    expect((await resultOf(asked(path))).reason).toMatch(/exits with 0: fine$/);
    await gone();
  });

  test('what leaves its group and keeps its output open does not hold up the result', async () => {
    const { connect, said } = await listenToScripts();
    const left = join(folder, 'left');
    const path = script(`${connect}
setsid bash -c 'echo "$$." >&3; touch ${left}; exec sleep 1000 3>&-' &
exec 3>&-
until [ -e ${left} ]; do sleep 0.01; done
echo fine`);
    const result = await resultOf(asked(path));
    process.kill(Number(await said()), 'SIGKILL');
    expect(result.reason).toMatch(/exits with 0: fine$/);
  });

  test('a pipe that is closed ends its writers, as in any shell', async () => {
    const path = script('yes | head -n 1 > /dev/null; echo "ended by $PIPESTATUS"');
    expect((await resultOf(asked(path))).reason).toMatch(/: ended by 141$/);
  });

  test('cancelled, it is killed and nothing is said', async () => {
    const { connect, said, gone } = await listenToScripts();
    const path = script(`${connect}\necho "here." >&3\nsleep 1000`);
    let results = 0;
    const cancel = checkOf(asked(path)).start(() => results++);
    await said();
    cancel();
    await gone();
    expect(results).toBe(0);
  });

  test('two hundred runs leave no process and no open file behind', async () => {
    const openFiles = () => readdirSync('/proc/self/fd').length;
    const path = script('exit 0', { interpreter: '/bin/sh' });
    await resultOf(asked(path));
    const before = openFiles();
    for (let run = 0; run < 10; run++) {
      await Promise.all(Array.from({ length: 20 }, () => resultOf(asked(path))));
    }
    expect(openFiles()).toBeLessThanOrEqual(before + 2);
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
    expect(children.split(' ').filter((pid) => pid !== '' && isZombie(pid))).toEqual([]);
  });

  test('scripts that a VIP of its own and another server ask for are other checks', () => {
    const path = '/checks/one';
    const key = (options: Partial<ScriptOptions> = {}, target: Partial<CheckTarget> = {}) =>
      checkOf(asked(path, options), target).key;
    const otherLoad = { name: 'web-a', id: 9, load: () => ({ active: 0, maxConnections: undefined }) };
    expect(key({ server: otherLoad })).toBe(key());
    const keys = [
      key(),
      key({ vip: undefined }),
      key({ pool: { name: 'chat', id: 2 } }),
      key({ server: { ...otherLoad, name: 'web-b' } }),
      key({}, { port: 10 }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});

function isZombie(pid: string): boolean {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('script check beside HAProxy', () => {
  skipWithout('haproxy');

  test('the same script is called alike by both', async () => {
    const calls = await listenToScripts();
    const report = `echo "$#:$1:$2:$3:$4 $(env | grep -E '^(HAPROXY|PATH)' | sort | tr '\\n' ' ')." >&3`;
    const [listenPort, serverPort] = [await freePort(), await freePort()];
    const path = script(`${calls.connect}\n${report}`);
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  external-check
  insecure-fork-wanted
defaults
  mode tcp
  timeout connect 1s
  timeout client 1s
  timeout server 1s
listen web
  bind 127.0.0.1:${listenPort}
  option external-check
  external-check path "${process.env.PATH}"
  external-check command ${path}
  server web-a 127.0.0.1:${serverPort} check maxconn 40
`,
    );
    const haproxy = startProgram('haproxy', ['-db', '-f', file]);
    onTestFinished(() => haproxy.stop());
    const theirs = await calls.said();

    const ours = await listenToScripts();
    await resultOf(
      asked(script(`${ours.connect}\n${report}`), {
        vip: { host: '127.0.0.1', port: listenPort },
        server: { name: 'web-a', id: 1, load: () => ({ active: 0, maxConnections: 40 }) },
      }),
      { port: serverPort },
    );
    // HAProxy counts its other sections too; newer ones tell of two variables more.
    const comparable = (call: string) =>
      call
        .split(' ')
        .filter((part) => !/_(?:SSL|PROTO)=/.test(part))
        .map((part) => part.replace(/(PROXY_ID)=\d+/, '$1=N'));
    expect(comparable(await ours.said())).toEqual(comparable(theirs));
  });
});
