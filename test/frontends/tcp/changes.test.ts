import { expect, test } from 'vitest';
import { createDirector } from '../../../src/director/director.ts';
import type { TcpFrontEndOptions } from '../../../src/frontends/tcp/front-end.ts';
import { listen } from '../../../src/relay/listen.ts';
import { now } from '../../peers/lived-time.ts';
import { openConnection, type TestConnection } from '../../peers/test-connection.ts';
import { until, within } from '../../peers/waiting.ts';
import { echo, isIdle, later, makePools, type Sketch, server, startTcp, type TestVip } from './setup.ts';

/** The connection still carries bytes both ways, to a server that echoes. */
async function lives(connection: TestConnection): Promise<boolean> {
  await connection.write(Buffer.from('ping'));
  return (await connection.read(4)).toString() === 'ping';
}

/** Options as a reload makes them, over other pools. */
function reloaded(vip: TestVip, sketches: Sketch['pools'], more: Partial<TcpFrontEndOptions> = {}) {
  const pools = makePools(sketches);
  const director = createDirector({ vip: 'CLIENT', rules: [], pool: pools.main, now, random: Math.random });
  return { options: { ...vip.options, director, pools: Object.values(pools), ...more }, pools };
}

test('drain of a server: open connections go on, new ones go elsewhere', async () => {
  const [a, b] = [await server(echo), await server(echo)];
  const vip = await startTcp({ pools: { main: { balance: 'first', servers: [a.address, b.address] } } });
  const open = await vip.open();
  expect(await lives(open)).toBe(true);
  vip.server('main-1').drain();
  const next = await vip.open();
  expect(await lives(next)).toBe(true);
  expect(b.connections.length).toBe(1);
  expect(await lives(open)).toBe(true);
  expect(vip.server('main-1').state).toBe('draining');
  open.end();
  await open.readToEnd();
  await until(() => vip.server('main-1').state === 'drained', 'the server to be drained');
});

test('halt of a server: open connections may finish until the time of the pool is over, then both sides are reset', async () => {
  const [a, b] = [await server(echo), await server(echo)];
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [a.address, b.address], drain: 300 } },
  });
  const [finishes, stays] = [await vip.open(), await vip.open()];
  expect([await lives(finishes), await lives(stays)]).toEqual([true, true]);
  vip.server('main-1').halt();
  expect(await lives(finishes)).toBe(true);
  finishes.end();
  expect((await finishes.readToEnd()).ending).toBe('end');
  const elsewhere = await vip.open();
  expect(await lives(elsewhere)).toBe(true);
  expect((await stays.readToEnd()).ending).toBe('reset');
  expect(await a.connections.items[1]!.ending).toBe('reset');
  expect(await vip.events.find(({ end }) => end === 'cut')).toMatchObject({
    server: 'main-1',
    detail: 'its server was halted, and the time to finish is over',
  });
  expect(await lives(elsewhere)).toBe(true);
});

test('a server put online again in time keeps its connections', async () => {
  const a = await server(echo);
  const vip = await startTcp({ pools: { main: { servers: [a.address], drain: 50 } } });
  const open = await vip.open();
  expect(await lives(open)).toBe(true);
  vip.server('main-1').halt();
  vip.server('main-1').online();
  await new Promise((next) => setTimeout(next, 100));
  expect(await lives(open)).toBe(true);
});

test('failover: the connections of the old server are cut at once', async () => {
  const [a, b] = [await server(echo), await server(echo)];
  const vip = await startTcp({ pools: { main: { balance: 'first', servers: [a.address, b.address] } } });
  const open = await vip.open();
  expect(await lives(open)).toBe(true);
  vip.pools.main!.hasToLeave(vip.server('main-1'), 'failed-over');
  expect((await open.readToEnd()).ending).toBe('reset');
  expect(await a.connections.items[0]!.ending).toBe('reset');
  expect(await vip.events.find(() => true)).toMatchObject({
    end: 'cut',
    detail: 'another server of its pool has taken over',
  });
});

test('reload: open connections keep their choice and their times, new ones get what is new', async () => {
  const [a, b] = [await server(echo), await server(echo)];
  const vip = await startTcp({ pools: { main: { servers: [a.address] } }, timeouts: { idle: 3_600_000 } });
  const open = await vip.open();
  expect(await lives(open)).toBe(true);
  const added = await listen({ host: '127.0.0.1', port: 0 });
  const { options, pools } = reloaded(
    vip,
    { main: { servers: [b.address] } },
    {
      listeners: [...vip.listeners, added],
      timeouts: { connect: 2000, queue: 0, idle: 150 },
      limits: { connections: 2 },
    },
  );
  vip.frontEnd.reconfigure(options);
  expect(vip.frontEnd.endpoints).toEqual([vip.address, added.endpoint]);
  const next = await openConnection(added.endpoint);
  expect(await lives(next)).toBe(true);
  expect([b.connections.length, pools.main!.servers[0]!.active]).toEqual([1, 1]);
  const third = await vip.open();
  expect((await third.readToEnd()).ending).toBe('end');
  // The new idle time ends the new connection, not the old one.
  expect((await next.readToEnd()).ending).toBe('reset');
  expect(await lives(open)).toBe(true);
});

test('reload: who waits for a slot of a pool that is gone is still served by it', async () => {
  const [a, b] = [await server(echo), await server(echo)];
  const vip = await startTcp({ pools: { main: { servers: [{ ...a.address, maxConnections: 1 }] } } });
  const open = await vip.open();
  expect(await lives(open)).toBe(true);
  const waits = await vip.open();
  await until(() => [...vip.frontEnd.connections()].length === 2, 'both connections');
  vip.frontEnd.reconfigure(reloaded(vip, { main: { servers: [b.address] } }).options);
  open.end();
  expect(await lives(waits)).toBe(true);
  expect(b.connections.length).toBe(0);
});

test('reload: the queue is that of the new options, and of the new pool', async () => {
  const [a, b] = [await server(echo), await server(echo)];
  const vip = await startTcp({ pools: { main: { servers: [a.address] } } });
  const { options } = reloaded(vip, { main: { servers: [{ ...b.address, maxConnections: 1 }] } });
  vip.frontEnd.reconfigure(options);
  const open = await vip.open();
  expect(await lives(open)).toBe(true);
  const waits = await vip.open();
  await until(() => [...vip.frontEnd.connections()].length === 2, 'both connections');
  vip.frontEnd.reconfigure({ ...options, timeouts: { ...options.timeouts, queue: 0 } });
  const late = await vip.open();
  expect((await late.readToEnd()).ending).toBe('end');
  open.end();
  expect(await lives(waits)).toBe(true);
  expect([a.connections.length, b.connections.length]).toEqual([0, 2]);
});

test('reload: a server of a pool that is no longer reached can still be halted', async () => {
  const [a, b] = [await server(echo), await server(echo)];
  const vip = await startTcp({ pools: { main: { servers: [a.address], drain: 0 } } });
  const open = await vip.open();
  expect(await lives(open)).toBe(true);
  vip.frontEnd.reconfigure(reloaded(vip, { main: { servers: [b.address] } }).options);
  expect(await lives(open)).toBe(true);
  vip.server('main-1').halt();
  expect((await open.readToEnd()).ending).toBe('reset');
});

test('reload: a listener that is no longer among the options is left to who bound it', async () => {
  const a = await server(echo);
  const vip = await startTcp({ pools: { main: { servers: [a.address] } }, listeners: 2 });
  const [first, second] = vip.listeners;
  later(() => second!.close());
  vip.frontEnd.reconfigure({ ...vip.options, listeners: [first!] });
  await vip.frontEnd.drain();
  const connection = await openConnection(second!.endpoint);
  connection.reset();
  await expect(openConnection(first!.endpoint)).rejects.toThrow('ECONNREFUSED');
});

test('drain of the VIP: no new connections, the open ones finish, who waits is still served', async () => {
  const a = await server(echo);
  const vip = await startTcp({ pools: { main: { servers: [{ ...a.address, maxConnections: 1 }] } } });
  const open = await vip.open();
  expect(await lives(open)).toBe(true);
  const waits = await vip.open();
  await until(() => [...vip.frontEnd.connections()].length === 2, 'both connections');
  let drained = false;
  const draining = vip.frontEnd.drain().then(() => {
    drained = true;
  });
  await expect(vip.open()).rejects.toThrow('ECONNREFUSED');
  expect(await lives(open)).toBe(true);
  open.end();
  expect(await lives(waits)).toBe(true);
  expect(drained).toBe(false);
  waits.end();
  await within(draining, 'the end of the drain');
  expect(isIdle(vip)).toBe(true);
});

test('close: open, waiting and lingering connections are reset; a drain that waits ends as well', async () => {
  const a = await server(echo);
  const vip = await startTcp({ pools: { main: { servers: [{ ...a.address, maxConnections: 1 }] } } });
  const open = await vip.open();
  expect(await lives(open)).toBe(true);
  const waits = await vip.open();
  await until(() => [...vip.frontEnd.connections()].length === 2, 'both connections');
  const draining = vip.frontEnd.drain();
  await within(vip.frontEnd.close(), 'the end');
  await within(draining, 'the end of the drain');
  expect([(await open.readToEnd()).ending, (await waits.readToEnd()).ending]).toEqual(['reset', 'reset']);
  expect(vip.events.items).toMatchObject([
    { end: 'cut', detail: 'the balancer is shutting down' },
    { end: 'cut', detail: 'the balancer is shutting down' },
  ]);
  expect(isIdle(vip)).toBe(true);
});

test('close: a connection that is still at the entrance then is reset when it comes through', async () => {
  const a = await server(echo);
  let arrived = false;
  const from = () => {
    arrived = true;
    return true;
  };
  const vip = await startTcp({
    pools: { main: { servers: [a.address] } },
    entrance: { proxyProtocol: { from } },
  });
  const client = await vip.open();
  await client.write(Buffer.from('PROXY TCP4 127.0.0.2 '));
  await until(() => arrived, 'the connection');
  await vip.frontEnd.close();
  await client.write(Buffer.from('127.0.0.1 1234 80\r\n'));
  expect((await client.readToEnd()).ending).toBe('reset');
  expect(await vip.events.find(() => true)).toMatchObject({ client: '127.0.0.2', port: 80, end: 'cut' });
  expect(a.connections.length).toBe(0);
});

test('after its end a front-end listens to no pool any more', async () => {
  const a = await server(echo);
  const pools = makePools({ main: { servers: [a.address] } });
  const pool = pools.main!;
  let listening = 0;
  for (const name of ['watch', 'watchLeaving'] as const) {
    const original = pool[name].bind(pool) as (listener: never) => () => void;
    pool[name] = (listener: unknown) => {
      const stop = original(listener as never);
      listening += 1;
      return () => {
        listening -= 1;
        stop();
      };
    };
  }
  const vip = await startTcp({ pools: {}, more: { pools: [pool] } });
  expect(listening).toBe(2);
  vip.frontEnd.reconfigure({ ...vip.options, pools: [] });
  expect(listening).toBe(0);
  vip.frontEnd.reconfigure(vip.options);
  expect(listening).toBe(2);
  await vip.frontEnd.drain();
  expect(listening).toBe(0);
});
