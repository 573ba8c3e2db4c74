import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { events, type NoticeEvent } from '../../src/observe/events.ts';
import { createDescriptorWatch } from '../../src/relay/descriptors.ts';
import { listen } from '../../src/relay/listen.ts';
import { acceptDirect, directAcceptWorks } from '../../src/relay/read-mode.ts';
import { freePort } from '../peers/processes.ts';
import { channelServer, LOOPBACK, MODES, plainClient } from './sockets.ts';

function notices(): NoticeEvent[] {
  const seen: NoticeEvent[] = [];
  const listener = (event: unknown) => void seen.push(event as NoticeEvent);
  events.notice.subscribe(listener);
  onTestFinished(() => {
    events.notice.unsubscribe(listener);
  });
  return seen;
}

/** The connection is gone, in order or by a reset. */
function closing(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.on('close', () => resolve('closed'));
  });
}

describe.each(MODES)('a listener whose channels read %s', (reads) => {
  it('says where it listens and takes many connections at once', async () => {
    const server = await channelServer(reads);
    expect(server.endpoint.port).toBeGreaterThan(0);
    const clients = await Promise.all(Array.from({ length: 200 }, () => plainClient(server.endpoint)));
    const accepted = [];
    for (const _ of clients) accepted.push(await server.next());
    for (const client of clients) client.end('x');
    for (const { channel, witness } of accepted) {
      await witness.whenEnded;
      channel.end();
      expect(await witness.whenClosed).toBeUndefined();
    }
    expect(accepted.every(({ witness }) => witness.text === 'x')).toBe(true);
  });

  it('closes: the port is free at once, accepted connections live on, and it can listen again', async () => {
    const server = await channelServer(reads, { ...LOOPBACK, port: await freePort() });
    const client = await plainClient(server.endpoint);
    const { channel, witness } = await server.next();
    await server.listener.close();
    await expect(plainClient(server.endpoint)).rejects.toMatchObject({ code: 'ECONNREFUSED' });

    const again = await channelServer(reads, server.endpoint);
    expect(again.endpoint).toEqual(server.endpoint);
    await plainClient(again.endpoint);
    await again.next();

    client.write('still there');
    expect(await witness.received(11)).toBe('still there');
    channel.write(Buffer.from('so am I'));
    const [answer] = (await once(client, 'data')) as [Buffer];
    expect(answer.toString()).toBe('so am I');
    await server.listener.close();
  });

  it('shows IPv4 clients of an IPv6 listener with their IPv4 addresses', async () => {
    const server = await channelServer(reads, { host: '::', port: 0 });
    await plainClient({ host: '127.0.0.1', port: server.endpoint.port });
    const { channel } = await server.next();
    expect([channel.remote.host, channel.local.host]).toEqual(['127.0.0.1', '127.0.0.1']);
  });
});

describe('an address that cannot be listened on', () => {
  it('names a taken port and the remedy', async () => {
    const { endpoint } = await channelServer('direct');
    await expect(listen(endpoint, () => {})).rejects.toMatchObject({
      code: 'GTY_LISTEN',
      message: `cannot listen on 127.0.0.1:${endpoint.port}: port ${endpoint.port} is taken by another program; stop that program or choose another port`,
    });
  });

  it('names an address of another machine', async () => {
    await expect(listen({ host: '192.0.2.1', port: 11112 }, () => {})).rejects.toMatchObject({
      code: 'GTY_LISTEN',
      message: expect.stringContaining('192.0.2.1 is no address of this machine'),
    });
  });
});

describe('reading accepted connections directly', () => {
  it('works on the pinned Node', async () => {
    expect(await directAcceptWorks()).toBe(true);
  });

  it('is left alone on a Node that is made otherwise', () => {
    expect(acceptDirect(createServer(), 60_000, () => {})).toBe(false);
    const strange = { _handle: { onconnection() {} } };
    expect(acceptDirect(strange as never, 60_000, () => {})).toBe(false);
  });

  it('hands single connections that look otherwise to Node', () => {
    const passed: unknown[] = [];
    const handle = {
      onconnection: (...given: unknown[]) => void passed.push(given),
      setNoDelay: () => 0,
      setKeepAlive: () => 0,
    };
    const accepted: unknown[] = [];
    expect(acceptDirect({ _handle: handle } as never, 60_000, (channel) => accepted.push(channel))).toBe(
      true,
    );
    handle.onconnection(-24, undefined);
    handle.onconnection(0, { fd: 7 });
    expect(passed).toEqual([
      [-24, undefined],
      [0, { fd: 7 }],
    ]);
    expect(accepted).toEqual([]);
  });
});

describe('file descriptors exhausted', () => {
  it('is said once, before it happens, and again after there were enough', () => {
    const seen = notices();
    const watch = createDescriptorWatch(320);
    for (let descriptor = 20; descriptor < 320; descriptor += 1) watch(descriptor);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ level: 'error', fields: { limit: 320, used: 311 } });
    watch(315);
    expect(seen).toHaveLength(1);
    watch(30);
    watch(312);
    expect(seen).toHaveLength(2);
  });

  it('is survived: who is connected is served, and others again when there is room', async () => {
    const child = spawn(
      'bash',
      ['-c', 'ulimit -n 96; exec "$0" "$@"', process.execPath, `${import.meta.dirname}/few-descriptors.ts`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async () => JSON.parse((await lines.next()).value ?? '{}') as Record<string, unknown>;
    const { port } = (await line()) as { port: number };
    const endpoint = { ...LOOPBACK, port };

    const first = await plainClient(endpoint);
    // More than there are descriptors for: the kernel completes them all, those beyond the limit are dropped.
    const clients = await Promise.all(Array.from({ length: 150 }, () => plainClient(endpoint)));
    const dropped = Promise.race(clients.map(closing));
    for (const client of clients) client.resume();
    for (const client of clients) client.on('end', () => client.destroy());
    await dropped;
    expect((await line()).notice).toContain('file descriptors are running out');
    first.write('first');
    expect(String((await once(first, 'data'))[0])).toBe('first');
    for (const client of clients) client.destroy();

    // Descriptors come back as the closes are noticed.
    for (;;) {
      const client = await plainClient(endpoint);
      client.write('later');
      const answer = new Promise<string>((resolve) => {
        client.on('data', (chunk) => resolve(chunk.toString()));
      });
      const said = await Promise.race([answer, closing(client)]);
      client.destroy();
      if (said === 'later') break;
    }
  });
});
