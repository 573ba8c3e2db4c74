/** From the configuration to the checks, at the start and over reloads. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Assembly, assemble } from '../src/assemble.ts';
import { startChecks } from '../src/checks.ts';
import { readConfiguration } from '../src/config/load.ts';
import type { Configuration } from '../src/config/schema.ts';
import { onEvent, type ServerEvent } from '../src/observe/events.ts';
import { accepting, startScp } from './peers/dicom-scp.ts';
import { answering, startReceiver } from './peers/mllp-peer.ts';
import { findProgram } from './peers/processes.ts';
import { type TestConnection, TestListener } from './peers/test-connection.ts';
import { Journal } from './peers/waiting.ts';
import { ManualDeadlines } from './pools/health/manual-deadlines.ts';

const SURROUNDINGS = { now: () => Date.now(), random: () => 0 };
const INTERVAL = 5000;

function read(text: string): Configuration {
  const { configuration, faults } = readConfiguration(text, { file: '/etc/gantry.yaml', environment: {} });
  expect(faults ?? []).toEqual([]);
  return configuration!;
}

/** `pools`: lines of YAML; a TCP VIP named after each pool is added, all on one address. */
function withVips(pools: Readonly<Record<string, string>>): Configuration {
  const entries = Object.entries(pools);
  return read(
    [
      'pools:',
      ...entries.map(([name, body]) => `  ${name}: ${body}`),
      'vips:',
      ...entries.map(
        ([name], index) =>
          `  ${name.toUpperCase()}: { protocol: tcp, listen: ["10.0.0.4:${8000 + index}"], pool: ${name} }`,
      ),
    ].join('\n'),
  );
}

/** Runs the checks of a configuration on deadlines that the test moves. */
function run(configuration: Configuration) {
  const states = new Journal<ServerEvent>('states');
  onTestFinished(onEvent('server', (event) => states.add(event)));
  const deadlines = new ManualDeadlines();
  let assembly: Assembly = assemble(configuration, SURROUNDINGS);
  const checks = startChecks(configuration, assembly, deadlines, SURROUNDINGS);
  onTestFinished(() => checks.close());
  deadlines.pass(0);
  return {
    deadlines,
    checks,
    states,
    server: (pool: string, name: string) => assembly.pools.get(pool)!.server(name)!,
    /** The event by which a server (any of the pool unless named) enters the state. */
    state: (pool: string, state: string, server?: string) =>
      states.find((one) => one.pool === pool && one.state === state && (server ?? one.server) === one.server),
    reload: (next: Configuration) => {
      assembly = assemble(next, SURROUNDINGS, assembly);
      assembly.commit();
      checks.reconfigure(next, assembly);
      deadlines.pass(0);
    },
  };
}

/** Something that takes connections, and may answer each. */
async function listener(talk: (connection: TestConnection) => unknown = () => {}) {
  const connections = new Journal<TestConnection>('connections');
  const server = new TestListener((connection) => {
    connections.add(connection);
    void talk(connection);
  });
  await server.start();
  onTestFinished(() => server.stop());
  const { port } = server.address;
  return { connections, port, at: `127.0.0.1:${port}`, stop: () => server.stop() };
}

describe('checks of a configuration', () => {
  test('equal checks of one address run once, whoever asks: alone, as a part, or by tracking', async (context) => {
    context.skip(findProgram('ping') === undefined, 'needs the Debian package iputils-ping');
    const server = await listener();
    const { state, server: serverOf } = run(
      withVips({
        one: `{ servers: ["${server.at}"], health: { check: connect, rise: 1 } }`,
        other: `{ servers: [{ name: s, address: "${server.at}" }], health: { check: connect, fall: 1 } }`,
        whole: `{ servers: [{ name: s, address: "${server.at}" }], health: { all: [{ check: connect }, { check: ping }] } }`,
        following: `{ servers: ["127.0.0.1:9"], health: { track: other } }`,
      }),
    );
    await Promise.all(['one', 'other', 'whole', 'following'].map((pool) => state(pool, 'up')));
    expect(server.connections.length).toBe(1);
    expect(serverOf('whole', 's').reason).toBe('takes connections; answers ping');
    expect(serverOf('following', '127.0.0.1:9').reason).toBe('takes connections');
  });

  test('track: up and down with the server of the other pool, whatever its own port does', async () => {
    const server = await listener();
    const { state, deadlines } = run(
      withVips({
        web: `{ servers: ["${server.at}"], health: { check: connect, fall: 1 } }`,
        chat: `{ servers: ["127.0.0.1:9"], health: { track: web } }`,
      }),
    );
    await state('chat', 'up');
    await server.stop();
    deadlines.pass(INTERVAL);
    expect((await state('chat', 'down')).reason).toBe(`${server.at} refuses connections`);
    expect((await state('web', 'down')).reason).toBe(`${server.at} refuses connections`);
  });

  test('all: http and dicom-echo, as the checks of an archive may be', async () => {
    const web = await listener(async (connection) => {
      await connection.readSome();
      await connection.write(Buffer.from('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'));
    });
    const archive = await startScp(accepting());
    onTestFinished(() => archive.stop());
    const { state } = run(
      withVips({
        both: `{ servers: ["${archive.endpoint}"], health: { all: [{ check: dicom-echo }, { check: http, port: ${web.port} }] } }`,
        either: `{ servers: ["${archive.endpoint}"], health: { any: [{ check: dicom-echo }, { check: http, port: ${web.port} }] } }`,
      }),
    );
    expect((await state('both', 'down')).reason).toBe('answers with status 503, not 200-399');
    expect((await state('either', 'up')).reason).toBe('answers a C-ECHO');
    expect([archive.associations.length, web.connections.length]).toEqual([1, 1]);
  });

  test('a pool that speaks TLS, or sends PROXY headers, is checked so; on another port it is not', async () => {
    const first = new Journal<Buffer>('first bytes');
    const hear = async (connection: TestConnection) => {
      const bytes = await connection.readSome();
      first.add(bytes ?? Buffer.of());
      connection.reset();
    };
    const [tls, headed, plain] = [await listener(hear), await listener(hear), await listener()];
    const { state } = run(
      withVips({
        a: `{ servers: ["${tls.at}"], tls: { verify: false } }`,
        b: `{ servers: ["${headed.at}"], proxyProtocol: v1, health: { check: http } }`,
        c: `{ servers: ["${tls.at}"], tls: { verify: false }, health: { check: connect, port: ${plain.port} } }`,
      }),
    );
    await state('a', 'down');
    expect((await state('c', 'up')).reason).toBe('takes connections');
    await first.count(2);
    const begins = first.items.map((bytes) => (bytes[0] === 0x16 ? 'TLS' : bytes.toString('latin1', 0, 15)));
    expect(begins.toSorted()).toEqual(['PROXY UNKNOWN\r\n', 'TLS']);
  });

  test('a script is told which VIP, pool and server it is for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gantry-checks-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const script = join(folder, 'check');
    writeFileSync(
      script,
      '#!/bin/sh\necho "$* $HAPROXY_PROXY_NAME $HAPROXY_SERVER_NAME $HAPROXY_SERVER_ID $HAPROXY_SERVER_MAXCONN"\n',
    );
    chmodSync(script, 0o755);
    const { state } = run(
      withVips({
        web: `{ servers: [10.0.0.1, { name: web-b, address: "10.0.0.2:81", maxConnections: 7 }], health: { check: script, script: ${script} } }`,
      }),
    );
    const reasons = await Promise.all(['10.0.0.1', 'web-b'].map((name) => state('web', 'up', name)));
    expect(reasons.map(({ reason }) => reason.slice(reason.indexOf(': ') + 2))).toEqual([
      '10.0.0.4 8000 10.0.0.1 8000 web 10.0.0.1 1 0',
      '10.0.0.4 8000 10.0.0.2 81 web web-b 2 7',
    ]);
  });

  test('hl7: with the blocks of the VIP', async () => {
    const receiver = await startReceiver(answering());
    onTestFinished(() => receiver.stop());
    const { state } = run(withVips({ ris: `{ servers: ["${receiver.endpoint}"], health: { check: hl7 } }` }));
    expect((await state('ris', 'up')).reason).toBe('acknowledges an HL7 message with AA');
  });

  test('a check never takes the last slot of a server; on another port it takes none', async () => {
    const server = await listener();
    const other = await listener();
    const pool = (health: string) =>
      `{ servers: [{ name: s, address: "${server.at}", maxConnections: 1 }], health: ${health} }`;
    const {
      deadlines,
      server: serverOf,
      state,
    } = run(
      withVips({
        own: pool('{ check: http, interval: 1s }'),
        aside: pool(`{ check: http, port: ${other.port} }`),
      }),
    );
    await server.connections.count(1);
    await other.connections.count(1);
    for (const { items } of [server.connections, other.connections]) items[0]!.reset();
    await Promise.all([state('own', 'down'), state('aside', 'down')]);
    serverOf('own', 's').acquire();
    serverOf('aside', 's').acquire();
    deadlines.pass(INTERVAL);
    await other.connections.count(2);
    expect(server.connections.length).toBe(1);
  });

  test('an agent is asked besides the check', async () => {
    const server = await listener();
    const agent = await listener((connection) => connection.write(Buffer.from('drain#nightly backup\n')));
    const { state } = run(
      withVips({ web: `{ servers: ["${server.at}"], health: { agent: { port: ${agent.port} } } }` }),
    );
    expect((await state('web', 'drained')).reason).toBe(
      'its agent says: drain#nightly backup; nothing was left',
    );
    await server.connections.count(1);
  });
});

describe('checks over a reload', () => {
  test('what stays is not disturbed: no check more, none sooner, no change of state', async () => {
    const server = await listener();
    const agent = await listener((connection) => connection.write(Buffer.from('up\n')));
    const web = `{ servers: ["${server.at}"], health: { agent: { port: ${agent.port} } } }`;
    const { deadlines, states, state, reload } = run(withVips({ web }));
    await state('web', 'up');
    await (await agent.connections.count(1))[0]!.ending;
    deadlines.pass(1000);
    const { next } = deadlines;
    reload(withVips({ web }));
    expect(deadlines.next).toBe(next);
    reload(withVips({ web, more: '{ servers: ["127.0.0.1:9"] }' }));
    await state('more', 'down');
    expect([server.connections.length, agent.connections.length]).toEqual([1, 1]);
    expect(states.items.filter(({ pool }) => pool === 'web')).toHaveLength(1);
    deadlines.pass(INTERVAL);
    await server.connections.count(2);
    await agent.connections.count(2);
  });

  test('a result counts once, however often the configuration was read again', async () => {
    const server = await listener();
    const pool = `{ servers: ["${server.at}"], health: { check: connect, fall: 2 } }`;
    // Looks at the same results, and tells when each is there.
    const witness = `{ servers: ["${server.at}"], health: { check: connect, fall: 1, rise: 1 } }`;
    const configuration = withVips({ pool, witness });
    const { deadlines, state, server: serverOf, reload } = run(configuration);
    await state('pool', 'up');
    for (let count = 0; count < 3; count++) reload(configuration);
    await server.stop();
    deadlines.pass(INTERVAL);
    await state('witness', 'down');
    expect(serverOf('pool', server.at).state).toBe('up');
  });

  test('servers that come are checked, those that go are not any more', async () => {
    const [first, second] = [await listener(), await listener()];
    const pool = (...servers: string[]) => withVips({ web: `{ servers: [${servers.join(', ')}] }` });
    const { deadlines, state, reload } = run(pool(`{ name: a, address: "${first.at}" }`));
    await state('web', 'up', 'a');
    reload(pool(`{ name: b, address: "${second.at}" }`));
    await state('web', 'up', 'b');
    deadlines.pass(INTERVAL * 3);
    await second.connections.count(2);
    expect(first.connections.length).toBe(1);
  });

  test('another check of the same server takes over; what was found stays until it says otherwise', async () => {
    const server = await listener(async (connection) => {
      if ((await connection.readSome()) === undefined) return;
      await connection.write(Buffer.from('HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n'));
    });
    const pool = (health: string) => withVips({ web: `{ servers: ["${server.at}"], health: ${health} }` });
    const { state, server: serverOf, reload } = run(pool('{ check: connect }'));
    await state('web', 'up');
    reload(pool('{ check: http, fall: 1 }'));
    expect(serverOf('web', server.at).state).toBe('up');
    expect((await state('web', 'down')).reason).toBe('answers with status 500, not 200-399');
  });

  test('an agent that is no longer wanted is forgotten', async () => {
    const server = await listener();
    const agent = await listener((connection) => connection.write(Buffer.from('down\n')));
    const {
      state,
      states,
      server: serverOf,
      reload,
    } = run(withVips({ web: `{ servers: ["${server.at}"], health: { agent: { port: ${agent.port} } } }` }));
    await state('web', 'down');
    reload(withVips({ web: `{ servers: ["${server.at}"] }` }));
    await states.find(({ reason }) => reason.startsWith('has no agent any more; '));
    expect(serverOf('web', server.at).eligible).toBe(true);
  });

  test('closed, nothing is checked any more', async () => {
    const server = await listener();
    const { checks, deadlines, state } = run(withVips({ web: `{ servers: ["${server.at}"] }` }));
    await state('web', 'up');
    checks.close();
    deadlines.pass(INTERVAL * 10);
    expect(server.connections.length).toBe(1);
    expect(deadlines.next).toBe(Number.POSITIVE_INFINITY);
  });
});
