import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { describeWith } from '../../peers/processes.ts';
import { ManualDeadlines } from './manual-deadlines.ts';
import { checkOf, resultOf } from './run-check.ts';

const PING = { check: 'ping' } as const;

/** Puts a program of that name alone on the PATH; without a body there is none at all. */
function onlyOnPath(body?: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-ping-'));
  if (body !== undefined) {
    writeFileSync(join(folder, 'ping'), `#!/bin/sh\n${body}\n`);
    chmodSync(join(folder, 'ping'), 0o755);
  }
  vi.stubEnv('PATH', folder);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });
}

describeWith(['iputils-ping'], 'ping check of the network', () => {
  test('an address that answers is up', async () => {
    expect(await resultOf(PING)).toMatchObject({ outcome: 'up', reason: 'answers ping' });
  });

  test('an address that does not answer is down', async () => {
    // Reserved (RFC 1112 4): nobody is there. A system that refuses to ask is right as well.
    const { outcome, reason } = await resultOf(PING, { host: '240.0.0.1', timeout: 2000 });
    expect([outcome, reason]).toEqual(['down', expect.stringMatching(/ping/)]);
  });

  test('a name that nobody knows is down, and ping says why', async () => {
    // Where no resolver answers, ping takes its time to say so.
    const { outcome, reason } = await resultOf(PING, { host: 'no-such-host.invalid', timeout: 50_000 });
    expect(outcome).toBe('down');
    expect(reason).toMatch(/^ping exits with 2: ping: no-such-host\.invalid: /);
  });
});

describe('ping check', () => {
  test('asks once, by address, and takes no option for a host', async () => {
    onlyOnPath('echo "$*"; exit 3');
    expect((await resultOf(PING, { host: '10.0.0.41', timeout: 1500 })).reason).toBe(
      'ping exits with 3: -n -c 1 -W 2 -- 10.0.0.41',
    );
  });

  test('no answer is an exit code of 1', async () => {
    onlyOnPath('echo "1 packets transmitted, 0 received"; exit 1');
    expect(await resultOf(PING, { timeout: 2000 })).toMatchObject({
      outcome: 'down',
      reason: '127.0.0.1 does not answer ping within 2000 ms',
    });
  });

  test('a ping that takes too long is killed', async () => {
    onlyOnPath('exec /bin/sleep 1000');
    const deadlines = new ManualDeadlines();
    const result = resultOf(PING, { timeout: 2000, deadlines });
    deadlines.pass(2000);
    expect(await result).toMatchObject({
      outcome: 'down',
      reason: '127.0.0.1 does not answer ping within 2000 ms',
    });
  });

  test('without the program: down, and what to do', async () => {
    onlyOnPath();
    expect(await resultOf(PING)).toMatchObject({
      outcome: 'down',
      reason: 'ping is missing on this machine: install it (Debian: iputils-ping), or choose another check',
    });
  });

  test('pings of one host are one check, whatever the port', () => {
    const key = (port: number, timeout = 1000) => checkOf(PING, { port, timeout }).key;
    expect(key(80)).toBe(key(443));
    expect(key(80)).not.toBe(key(80, 2000));
  });
});
