import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { createClientSource } from '../../peers/client-source.ts';
import { refusingAddress } from '../../peers/test-connection.ts';
import { until, within } from '../../peers/waiting.ts';
import { echo, greet, isIdle, server, startTcp } from './setup.ts';
import { silentPort } from './silent-port.ts';

test('a server that refuses: the next one takes it, and the client sees nothing of it', async () => {
  const two = await server(greet('two'));
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [await refusingAddress(), two.address] } },
  });
  const client = await vip.open();
  expect((await client.readToEnd()).bytes.toString()).toBe('two');
  client.end();
  expect(await vip.events.find(() => true)).toMatchObject({ server: 'main-2', attempts: 2, end: 'closed' });
  expect(vip.server('main-1').totals.failures).toBe(1);
  expect(vip.server('main-1').active).toBe(0);
});

test('`source: client`: a server that cannot see this client’s address is not to blame, and the next one takes it', async () => {
  const [one, two] = [await server(echo), await server(greet('two'))];
  const source = createClientSource({ refusesFor: one.address.port });
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [one.address, two.address] } },
    more: { links: new Map([['main', { source: { ofClients: source } }]]) },
  });
  const client = await vip.open('127.0.0.7');
  expect((await client.readToEnd()).bytes.toString()).toBe('two');
  client.end();
  expect(await vip.events.find(() => true)).toMatchObject({ server: 'main-2', attempts: 2, end: 'closed' });
  await source.claims.find(({ isReleased }) => isReleased);
  expect(source.claims.items.map((claim) => claim.client)).toEqual(['127.0.0.7']);
  expect(vip.server('main-1').totals.failures).toBe(0);
});

test('failed dials in a row take a server down, those with a good one in between do not', async () => {
  const [one, two] = [await server(echo), await server(echo)];
  const vip = await startTcp({
    pools: {
      main: {
        balance: 'first',
        servers: [one.address, two.address],
        health: { isChecked: true, rise: 2, fall: 3, startDown: false },
      },
    },
  });
  const ask = async (times: number) => {
    for (let count = 0; count < times; count++) {
      const client = await vip.open();
      client.end();
      await client.readToEnd();
    }
  };
  for (const failures of [2, 2, 3]) {
    expect(vip.server('main-1').state).toBe('starting');
    await one.listener.refuse();
    await ask(failures);
    await one.listener.start();
    await ask(1);
  }
  expect(vip.server('main-1').state).toBe('down');
  expect(vip.server('main-1').totals.failures).toBe(7);
});

test('a server that does not take connections: the next one after the connect time, with all that was sent', async () => {
  const two = await server(echo);
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [await silentPort(), two.address] } },
    timeouts: { connect: 200 },
  });
  const client = await vip.open();
  client.socket.end('said long before anybody listened');
  expect((await client.readToEnd()).bytes.toString()).toBe('said long before anybody listened');
  expect(await vip.events.find(() => true)).toMatchObject({ server: 'main-2', attempts: 2, end: 'closed' });
  expect(vip.server('main-1').totals.failures).toBe(1);
  await until(() => isIdle(vip), 'no connection to be left');
});

test('`source: client`: a server that is silent to one client only is not taken from the others', async () => {
  const two = await server(greet('two'));
  const source = createClientSource();
  const vip = await startTcp({
    pools: {
      main: {
        balance: 'first',
        servers: [await silentPort(), two.address],
        health: { isChecked: true, rise: 2, fall: 3, startDown: false },
      },
    },
    timeouts: { connect: 50 },
    more: { links: new Map([['main', { source: { ofClients: source } }]]) },
  });
  const ask = async (...clients: string[]) => {
    for (const address of clients) {
      const client = await vip.open(address);
      client.end();
      expect((await client.readToEnd()).bytes.toString()).toBe('two');
    }
  };
  await ask('127.0.0.7', '127.0.0.7', '127.0.0.7', '127.0.0.7');
  expect([vip.server('main-1').state, vip.server('main-1').totals.failures]).toEqual(['starting', 4]);
  await ask('127.0.0.8', '127.0.0.9');
  expect(vip.server('main-1').state).toBe('down');
});

test('more that comes while servers are dialled stays in order', async () => {
  const two = await server(echo);
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [await silentPort(), two.address] } },
    timeouts: { connect: 200 },
  });
  const client = await vip.open();
  await client.write(Buffer.alloc(1000, 'a'));
  await until(() => [...vip.frontEnd.connections()][0]?.bytes.toServer === 1000, 'the first bytes');
  client.socket.end(Buffer.alloc(1000, 'b'));
  expect((await client.readToEnd()).bytes.toString()).toBe('a'.repeat(1000) + 'b'.repeat(1000));
});

test('the connect time of a pool goes before that of the VIP', async () => {
  const two = await server(greet('two'));
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [await silentPort(), two.address] } },
    timeouts: { connect: 3_600_000 },
    more: { links: new Map([['main', { connectTimeout: 100 }]]) },
  });
  const client = await vip.open();
  expect((await client.readToEnd()).bytes.toString()).toBe('two');
});

test('a server that resets: the client is reset', async () => {
  const one = await server((connection) => connection.read(1).then(() => connection.reset()));
  const vip = await startTcp({ pools: { main: { servers: [one.address] } } });
  const client = await vip.open();
  await client.write(Buffer.from('x'));
  expect((await client.readToEnd()).ending).toBe('reset');
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'reset', server: 'main-1' });
});

test('a server that resets what it has just taken: lost, or never had, and then the next one takes it', async () => {
  const one = await server((connection) => connection.reset());
  const two = await server(greet('two'));
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [one.address, two.address] } },
  });
  for (let count = 0; count < 20; count++) {
    const client = await vip.open();
    const { bytes, ending } = await client.readToEnd();
    client.end();
    expect([bytes.toString(), ending]).toEqual(ending === 'reset' ? ['', 'reset'] : ['two', 'end']);
  }
  await until(() => isIdle(vip), 'no connection to be left');
});

test('a server that accepts and says nothing keeps its client, and hinders nobody', async () => {
  const one = await server();
  const two = await server(echo);
  const vip = await startTcp({ pools: { main: { servers: [one.address, two.address] } } });
  const waits = await vip.open();
  await one.connections.count(1);
  const served = await vip.open();
  served.socket.end('hello');
  expect((await served.readToEnd()).bytes.toString()).toBe('hello');
  expect([...vip.frontEnd.connections()].map((view) => view.server)).toEqual(['main-1']);
  waits.reset();
  expect((await one.connections.items[0]!.readToEnd()).ending).toBe('reset');
});

test('no server can be had: the client is closed in order', async () => {
  const vip = await startTcp({
    pools: { main: { servers: [await refusingAddress(), await refusingAddress()] } },
  });
  const client = await vip.open();
  await client.write(Buffer.from('anybody?'));
  expect((await client.readToEnd()).ending).toBe('end');
  client.end();
  expect(await vip.events.find(() => true)).toMatchObject({
    end: 'refused',
    attempts: 2,
    detail: 'no server could be had',
  });
  expect(vip.frontEnd.totals).toEqual({ connections: 1, refused: 1, failed: 0 });
});

test('no server is up: the client is closed in order, at once', async () => {
  const vip = await startTcp({ pools: { main: { servers: [await refusingAddress()] } } });
  vip.server('main-1').halt();
  const client = await vip.open();
  expect((await client.readToEnd()).ending).toBe('end');
  client.end();
  expect(await vip.events.find(() => true)).toMatchObject({
    end: 'refused',
    attempts: 0,
    server: undefined,
    detail: 'no server is up',
  });
});

test('a client that vanishes while a server is dialled: the dial is given up', async () => {
  const vip = await startTcp({
    pools: { main: { servers: [await silentPort()] } },
    timeouts: { connect: 3_600_000 },
  });
  const client = await vip.open();
  await until(() => vip.server('main-1').active === 1, 'the dial');
  client.reset();
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'reset', attempts: 1 });
  expect(isIdle(vip)).toBe(true);
});

test('rules: by the port and the client; close in order, reset, and what no rule takes', async () => {
  const one = await server(greet('one'));
  const two = await server(greet('two'));
  const vip = await startTcp({
    pools: { pool1: { servers: [one.address] }, pool2: { servers: [two.address] } },
    rules: ({ pool1, pool2 }) => [
      { when: { facts: [{ name: 'client', patterns: ['127.0.0.2/32'] }] }, reject: 'close' },
      { when: { facts: [{ name: 'client', patterns: ['127.0.0.3/32'] }] }, reject: 'reset' },
      { when: { facts: [{ name: 'client', patterns: ['127.0.0.4/32'] }] }, pool: pool1 },
      {
        when: {
          facts: [{ name: 'vip', patterns: ['CLIENT'] }],
          not: { facts: [{ name: 'client', patterns: ['127.0.0.5/32'] }] },
        },
        pool: pool2,
      },
    ],
  });
  const answer = async (client: string) => {
    const connection = await vip.open(client);
    const { bytes, ending } = await connection.readToEnd();
    connection.end();
    const { rule, end, detail } = await vip.events.find((event) => event.client === client);
    return [bytes.toString(), ending, rule, end, detail];
  };
  expect(await answer('127.0.0.2')).toEqual(['', 'end', 'routes[1]', 'refused', 'rejected by routes[1]']);
  expect(await answer('127.0.0.3')).toEqual(['', 'reset', 'routes[2]', 'refused', 'rejected by routes[2]']);
  expect(await answer('127.0.0.4')).toEqual(['one', 'end', 'routes[3]', 'closed', undefined]);
  expect(await answer('127.0.0.5')).toEqual(['', 'end', 'default', 'refused', 'no rule takes it']);
  expect(await answer('127.0.0.6')).toEqual(['two', 'end', 'routes[4]', 'closed', undefined]);
});

test('one more than the limit of connections is turned away, and logged; the next after one has gone is served', async () => {
  const one = await server(echo);
  const vip = await startTcp({
    pools: { main: { servers: [one.address] } },
    more: { limits: { connections: 2 } },
  });
  const [first] = [await vip.open(), await vip.open()];
  await one.connections.count(2);
  const third = await vip.open();
  expect((await third.readToEnd()).ending).toBe('end');
  third.end();
  expect(await vip.events.find(() => true)).toMatchObject({
    end: 'refused',
    detail: 'the VIP has as many connections as it may',
  });
  first.end();
  await first.readToEnd();
  await vip.events.count(2);
  const fourth = await vip.open();
  fourth.socket.end('again');
  expect((await fourth.readToEnd()).bytes.toString()).toBe('again');
});

test('a client that was turned away and does not close is reset', async () => {
  const vip = await startTcp({ pools: { main: { servers: [await refusingAddress()] } } });
  const client = await vip.open();
  expect(await within(client.ending, 'its end')).toBe('end');
  // It keeps its side open: there is nothing left to say, and a reset ends it.
  const closed = new Promise<boolean>((resolve) => client.socket.on('close', resolve));
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'refused' });
  expect(isIdle(vip)).toBe(true);
  await client.write(Buffer.from('still there?'));
  await within(closed, 'the reset');
});

test('a server without a port gets the port the client came to', async () => {
  // The servers listen on other addresses of the loopback network, at the port of the VIP.
  const vip = await startTcp({ pools: { main: { servers: [{ host: '127.0.0.9' }] } } });
  const one = createServer((socket) => socket.on('error', () => {}).end('the same port'));
  await new Promise<void>((resolve) => one.listen(vip.address.port, '127.0.0.9', resolve));
  try {
    const client = await vip.open();
    expect((await client.readToEnd()).bytes.toString()).toBe('the same port');
  } finally {
    one.close();
  }
});
