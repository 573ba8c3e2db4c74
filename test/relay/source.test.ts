/** Connections for which a port is claimed first, so that they can bear a client's address. */
import { once } from 'node:events';
import { type AddressInfo, createServer as createPlainServer } from 'node:net';
import { createServer } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeProxyHeader } from '../../protocols/proxy-protocol/write.ts';
import { GantryError } from '../../src/errors.ts';
import { dial, type Preamble, preambleOf } from '../../src/relay/dial.ts';
import { fromOf } from '../../src/relay/source.ts';
import { createAuthority } from '../peers/certificates.ts';
import { createClientSource, type TestClientSource } from '../peers/client-source.ts';
import { refusingAddress } from '../peers/test-connection.ts';
import { createGate } from '../peers/waiting.ts';
import { MODES, plainServer, Witness } from './sockets.ts';

const CLIENT = '10.60.0.101';

function from(source: TestClientSource): Preamble {
  return { from: { source, client: CLIENT } };
}

async function allReleased({ claims }: TestClientSource, count: number): Promise<void> {
  await claims.count(count, ({ isReleased }) => isReleased);
  expect(claims.length).toBe(count);
}

/** A port that somebody listens on. */
async function takenPort(): Promise<number> {
  const server = createPlainServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe.each(MODES)('with channels that read %s', (reads) => {
  it('connects from the port of its claim, and gives it back at its end', async () => {
    const server = await plainServer();
    const source = createClientSource();
    const witness = new Witness();
    const proxyHeader = writeProxyHeader(1);
    const channel = dial(server.endpoint, witness, { reads, ...from(source), proxyHeader });
    channel.write(Buffer.from('early'));
    expect([channel.open, channel.pending, channel.remote]).toEqual([
      true,
      proxyHeader.length + 5,
      server.endpoint,
    ]);
    const far = await server.next();
    expect(source.clientOf(far.remotePort)).toBe(CLIENT);
    far.write('greeting');
    expect(await witness.received(8)).toBe('greeting');
    expect(witness.log[0]).toBe('connected');
    let text = '';
    far.on('data', (chunk: Buffer) => {
      text += String(chunk);
    });
    while (text.length < proxyHeader.length + 5) await once(far, 'data');
    expect(text).toBe(`${String(proxyHeader)}early`);
    expect(channel.bytesWritten).toBe(5);
    expect(channel.local).toEqual({ host: '127.0.0.1', port: far.remotePort });
    expect(source.held).toBe(1);
    far.end();
    channel.end();
    expect(await witness.whenClosed).toBeUndefined();
    await allReleased(source, 1);
  });

  it('reads nothing while it is paused, however early that was', async () => {
    const server = await plainServer();
    const source = createClientSource();
    const witness = new Witness();
    const channel = dial(server.endpoint, witness, { reads, ...from(source) });
    channel.pause();
    const far = await server.next();
    far.write('greeting');
    await witness.whenConnected;
    await new Promise(setImmediate);
    expect(witness.text).toBe('');
    channel.resume();
    expect(await witness.received(8)).toBe('greeting');
    channel.reset();
    await witness.whenClosed;
    await allReleased(source, 1);
  });

  it('is told why its address cannot be borne', async () => {
    const server = await plainServer();
    const error = new GantryError('GTY_SOURCE', 'nft is not installed');
    const source = { claim: () => Promise.reject(error) };
    const witness = new Witness();
    const channel = dial(server.endpoint, witness, { reads, from: { source, client: CLIENT } });
    channel.write(Buffer.from('hello?'));
    expect(await witness.whenClosed).toBe(error);
    expect([witness.log, channel.open, channel.pending]).toEqual([['closed'], false, 0]);
  });

  it('tries other ports when somebody has the one it got', async () => {
    const server = await plainServer();
    const source = createClientSource({ ports: [await takenPort(), await takenPort()] });
    const witness = new Witness();
    const channel = dial(server.endpoint, witness, { reads, ...from(source) });
    await witness.whenConnected;
    expect((await server.next()).remotePort).toBe(source.claims.items[2]!.port);
    channel.reset();
    expect(await witness.whenClosed).toBeUndefined();
    expect(witness.log).toEqual(['connected', 'closed']);
    await allReleased(source, 3);
  });

  it('does not try for ever', async () => {
    const server = await plainServer();
    const taken = await takenPort();
    const source = createClientSource({ ports: Array.from({ length: 20 }, () => taken) });
    const witness = new Witness();
    dial(server.endpoint, witness, { reads, ...from(source) });
    expect(await witness.whenClosed).toMatchObject({ code: 'GTY_CONNECT_FAILED' });
    await allReleased(source, 8);
  });

  it('says when the server refuses', async () => {
    const source = createClientSource();
    const witness = new Witness();
    dial(await refusingAddress(), witness, { reads, ...from(source) });
    expect(await witness.whenClosed).toMatchObject({ code: 'GTY_CONNECT_REFUSED' });
    await allReleased(source, 1);
  });

  it('claims for the address of a name', async () => {
    const server = await plainServer();
    const source = createClientSource();
    const witness = new Witness();
    const channel = dial({ host: 'localhost', port: server.endpoint.port }, witness, {
      reads,
      ...from(source),
    });
    await witness.whenConnected;
    expect(channel.remote).toEqual(server.endpoint);
    expect(source.claims.items[0]!.server).toBe(`127.0.0.1:${server.endpoint.port}`);
    const unknown = new Witness();
    dial({ host: 'no-such-host.invalid', port: 104 }, unknown, { reads, ...from(source) });
    expect(await unknown.whenClosed).toMatchObject({
      code: 'GTY_CONNECT_FAILED',
      message: 'no-such-host.invalid:104 cannot be reached: its name cannot be resolved',
    });
    channel.reset();
    await allReleased(source, 1);
  });

  it('is given up before the claim is granted: nothing is connected', async () => {
    const server = await plainServer();
    const gate = createGate();
    const source = createClientSource({ gate });
    const witness = new Witness();
    const channel = dial(server.endpoint, witness, { reads, ...from(source) });
    channel.reset();
    expect(channel.open).toBe(false);
    expect(await witness.whenClosed).toBeUndefined();
    gate.open();
    await allReleased(source, 1);
    expect(witness.log).toEqual(['closed']);
  });

  it('property: given up at any moment, it closes once and gives back every port', async () => {
    const server = await plainServer();
    const arbitrary = fc.record({
      host: fc.constantFrom('127.0.0.1', 'localhost'),
      turns: fc.nat(40),
      isTaken: fc.boolean(),
    });
    const taken = await takenPort();
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ host, turns, isTaken }) => {
        const source = createClientSource({ ports: isTaken ? [taken] : [] });
        const witness = new Witness();
        const channel = dial({ ...server.endpoint, host }, witness, { reads, ...from(source) });
        channel.write(Buffer.from('early'));
        for (let turn = 0; turn < turns; turn++)
          await (turn % 2 ? Promise.resolve() : new Promise(setImmediate));
        channel.reset();
        expect(await witness.whenClosed).toBeUndefined();
        expect(witness.log.filter((what) => what === 'closed')).toHaveLength(1);
        // What was asked for may still be granted.
        for (let turn = 0; turn < 40 || source.held > 0; turn++) await new Promise(setImmediate);
      }),
      { numRuns: 60 },
    );
  });
});

describe('in TLS', () => {
  it('so too; given up within the handshake the port comes back', async () => {
    const { ca, issue } = await createAuthority();
    const server = createServer(await issue({ names: ['a.test'] }), (socket) =>
      socket.on('error', () => {}).pipe(socket),
    );
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const endpoint = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
    const tls = { verify: true, ca, servername: 'a.test' };
    const source = createClientSource();
    const witness = new Witness();
    const channel = dial(endpoint, witness, { ...from(source), tls });
    channel.write(Buffer.from('echo'));
    expect(await witness.received(4)).toBe('echo');
    expect(source.clientOf(channel.local.port)).toBe(CLIENT);
    channel.end();
    expect(await witness.whenClosed).toBeUndefined();
    const silent = await plainServer();
    const other = new Witness();
    const given = dial(silent.endpoint, other, { ...from(source), tls });
    await silent.next();
    given.reset();
    expect(await other.whenClosed).toBeUndefined();
    await allReleased(source, 2);
  });
});

describe('where a connection comes from', () => {
  const source = createClientSource();
  const client = { remote: { host: CLIENT, port: 3000 }, local: { host: '10.60.0.10', port: 104 } };

  it('is its link’s to say, for a client', () => {
    expect(preambleOf({ source: { ofClients: source } }, client)).toEqual({
      from: { source, client: CLIENT },
    });
    expect(preambleOf({ source: { address: '10.50.0.9' } }, client)).toEqual({ from: '10.50.0.9' });
    expect(preambleOf({}, client)).toEqual({});
  });

  it('is an address of our own, or the system’s choice, where it is for nobody', () => {
    expect(fromOf({ ofClients: source }, undefined)).toBeUndefined();
    expect(fromOf({ address: '10.50.0.9' }, undefined)).toBe('10.50.0.9');
  });
});
