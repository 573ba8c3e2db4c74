import { describe, expect, onTestFinished, test } from 'vitest';
import type { CheckResult } from '../../../src/pools/health/check.ts';
import { createCheck } from '../../../src/pools/health/check.ts';
import { createDeadlines } from '../../../src/relay/deadlines.ts';
import { accepting, startScp } from '../../peers/dicom-scp.ts';

function connectTo(port: number, host = '127.0.0.1', timeout = 5000) {
  const deadlines = createDeadlines({ tickMs: 5 });
  onTestFinished(() => deadlines.close());
  const check = createCheck(
    { check: 'connect' },
    { host, port, timeout, deadlines, now: () => performance.now() },
  );
  return { check, result: () => new Promise<CheckResult>((resolve) => check.start(resolve)) };
}

async function scp() {
  const server = await startScp(accepting());
  onTestFinished(() => server.stop());
  return server;
}

describe('connect check', () => {
  test('a server that takes connections is up, and sees an orderly close', async () => {
    const server = await scp();
    const { result } = connectTo(server.address.port);
    expect(await result()).toMatchObject({ outcome: 'up', reason: 'takes connections' });
    const connection = await server.associations.find(({ end }) => end !== 'open');
    expect(connection.end).toBe('end');
  });

  test('a server that refuses is down', async () => {
    const server = await scp();
    await server.stop();
    expect(await connectTo(server.address.port).result()).toMatchObject({
      outcome: 'down',
      reason: `127.0.0.1:${server.address.port} refuses connections`,
    });
  });

  test('an address that does not answer is down', async () => {
    // TEST-NET-1 (RFC 5737): nobody is there. A network that says so itself is right as well.
    expect((await connectTo(104, '192.0.2.1', 50).result()).outcome).toBe('down');
  });

  test('cancelled, it says nothing', async () => {
    const server = await scp();
    const { check } = connectTo(server.address.port);
    let said = 0;
    check.start(() => said++)();
    await connectTo(server.address.port).result();
    expect(said).toBe(0);
  });

  test('equal checks have equal keys', () => {
    const key = (port: number, timeout?: number) => connectTo(port, '127.0.0.1', timeout).check.key;
    expect(key(104)).toBe(key(104));
    expect(new Set([key(104), key(105), key(104, 1)]).size).toBe(3);
  });
});
