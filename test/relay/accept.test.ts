import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeProxyHeader } from '../../protocols/proxy-protocol/write.ts';
import { channelAcceptor } from '../../src/relay/accept.ts';
import { createDeadlines } from '../../src/relay/deadlines.ts';
import { dial } from '../../src/relay/dial.ts';
import { createAuthority } from '../peers/certificates.ts';
import { skipWithout } from '../peers/processes.ts';
import { openConnection } from '../peers/test-connection.ts';
import { captureHello } from '../protocols/tls/client-hellos.ts';
import { MODES, plainClient, Witness } from './sockets.ts';
import { entrance, entranceServer, identityFor, notices, socketServer, tlsOn } from './tls.ts';

skipWithout('openssl');

const ENDS = {
  source: { host: '192.0.2.1', port: 51_236 },
  destination: { host: '198.51.100.7', port: 443 },
};
const ALL = { from: () => true };

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(socket, 'end');
  return text;
}

function helloOf(servername: string): Promise<Buffer> {
  return captureHello((port) => {
    const client = connect({ host: '127.0.0.1', port, servername });
    client.on('error', () => {});
    return () => client.destroy();
  });
}

describe('an entrance without TLS and PROXY protocol', () => {
  it('is the protocol itself: nothing is made for a connection', () => {
    const accept = () => {};
    expect(channelAcceptor(entrance(), accept)).toBe(accept);
  });

  it('says of a socket where it comes from', async () => {
    const server = await socketServer(entrance());
    const client = await plainClient(server.endpoint);
    const { socket, origin } = await server.next();
    expect(origin).toEqual({
      remote: { host: '127.0.0.1', port: client.localPort },
      local: server.endpoint,
    });
    expect(socket.isPaused()).toBe(true);
  });
});

describe.each(MODES)('PROXY protocol, with channels that read %s', (reads) => {
  it.each([1, 2] as const)('version %s names the client, and is no part of its bytes', async (version) => {
    const server = await entranceServer(entrance({ proxyProtocol: ALL }), { reads });
    const witness = new Witness();
    const channel = dial(server.endpoint, witness, { reads, proxyHeader: writeProxyHeader(version, ENDS) });
    channel.write(Buffer.from('first words'));
    onTestFinished(() => channel.reset());
    const far = await server.next();
    expect(await far.witness.received(11)).toBe('first words');
    expect([far.channel.remote, far.channel.local]).toEqual([ENDS.source, ENDS.destination]);
    expect([channel.bytesWritten, far.channel.bytesRead]).toEqual([11, 11]);
    channel.write(Buffer.from(', and last'));
    expect(await far.witness.received(21)).toBe('first words, and last');
    far.channel.write(Buffer.from('answer'));
    expect(await witness.received(6)).toBe('answer');
  });

  it('a header dribbled a byte at a time', async () => {
    const server = await entranceServer(entrance({ proxyProtocol: ALL }), { reads });
    const client = await openConnection(server.endpoint);
    await client.dribble(Buffer.concat([writeProxyHeader(1, ENDS), Buffer.from('x')]));
    await client.write(Buffer.from('yz'));
    const far = await server.next();
    expect(await far.witness.received(3)).toBe('xyz');
    expect([far.channel.remote, far.channel.bytesRead]).toEqual([ENDS.source, 3]);
    client.reset();
  });

  it('a header without a client leaves the connection its own ends', async () => {
    const server = await entranceServer(entrance({ proxyProtocol: ALL }), { reads });
    const client = await openConnection(server.endpoint);
    await client.write(writeProxyHeader(2));
    const far = await server.next();
    expect(far.channel.remote).toEqual({ host: '127.0.0.1', port: client.socket.localPort });
    expect(far.channel.local).toEqual(server.endpoint);
    client.reset();
  });

  it('bytes behind the header wait for a protocol that is not ready yet', async () => {
    const server = await entranceServer(entrance({ proxyProtocol: ALL }), { reads });
    const witness = new Witness();
    const arrived = Promise.withResolvers<void>();
    let channel: Parameters<Parameters<typeof channelAcceptor>[1]>[0] | undefined;
    server.listener.acceptor = channelAcceptor(entrance({ proxyProtocol: ALL }), (one) => {
      one.handler = witness;
      one.pause();
      channel = one;
      arrived.resolve();
    });
    const client = await openConnection(server.endpoint);
    await client.write(Buffer.concat([writeProxyHeader(2, ENDS), Buffer.from('one ')]));
    await arrived.promise;
    await client.write(Buffer.from('two '));
    client.end();
    // Resumed and paused again before anything could be read.
    channel!.resume();
    channel!.pause();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(witness.log).toEqual([]);
    witness.seen = () => channel!.pause();
    channel!.resume();
    expect(await witness.received(4)).toBe('one ');
    witness.seen = () => {};
    channel!.resume();
    expect(await witness.received(8)).toBe('one two ');
    await witness.whenEnded;
    channel!.end();
    expect(await witness.whenClosed).toBeUndefined();
  });

  it('a protocol that resets at once reads nothing', async () => {
    const witness = new Witness();
    const server = await entranceServer(entrance({ proxyProtocol: ALL }), { reads });
    server.listener.acceptor = channelAcceptor(entrance({ proxyProtocol: ALL }), (one) => {
      one.handler = witness;
      one.reset();
    });
    const client = await openConnection(server.endpoint);
    await client.write(Buffer.concat([writeProxyHeader(2, ENDS), Buffer.from('one ')]));
    expect(await witness.whenClosed).toBeUndefined();
    expect(witness.log).toEqual(['closed']);
    await client.ending;
  });

  it('the time for a header is over when it is there', async () => {
    let clock = 0;
    const way = entrance({ proxyProtocol: ALL, deadlines: createDeadlines({ now: () => clock }) });
    const server = await entranceServer(way, { reads });
    const client = await openConnection(server.endpoint);
    await client.write(writeProxyHeader(1, ENDS));
    const { channel } = await server.next();
    clock = way.handshakeTimeout + 1000;
    await new Promise<void>((resolve) => {
      way.deadlines.after(0, resolve);
    });
    expect(channel.open).toBe(true);
    client.reset();
  });

  it('only from the addresses that it is expected from: of others the bytes are their own', async () => {
    const from = (address: string) => address === '127.0.0.2';
    const server = await entranceServer(entrance({ proxyProtocol: { from } }), { reads });
    const header = String(writeProxyHeader(1, ENDS));
    const proxy = await openConnection(server.endpoint, '127.0.0.2');
    await proxy.write(Buffer.from(`${header}x`));
    const proxied = await server.next();
    expect([await proxied.witness.received(1), proxied.channel.remote.host]).toEqual(['x', '192.0.2.1']);
    const stranger = await openConnection(server.endpoint, '127.0.0.3');
    await stranger.write(Buffer.from(header));
    const plain = await server.next();
    expect(await plain.witness.received(header.length)).toBe(header);
    expect(plain.channel.remote.host).toBe('127.0.0.3');
    proxy.reset();
    stranger.reset();
  });
});

describe.each([
  ['a channel', (way: Parameters<typeof entranceServer>[0]) => entranceServer(way)],
  ['a socket', (way: Parameters<typeof entranceServer>[0]) => socketServer(way)],
])('PROXY headers that are refused, on the way to %s', (_, start) => {
  it.each([
    ['a TLS client', Buffer.of(0x16, 3, 1, 2, 0), 'it speaks TLS at once'],
    [
      'a client without a header',
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      'its first bytes are no PROXY protocol header',
    ],
    ['too long', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`), 'the line has more than 107 bytes'],
    ['lying length', Buffer.from('0d0a0d0a000d0a515549540a2111ffff', 'hex'), '65535 bytes are announced'],
  ])('%s', async (_name, bytes, reason) => {
    const said = notices();
    const server = await start(entrance({ proxyProtocol: ALL }));
    const client = await openConnection(server.endpoint);
    await client.write(bytes);
    await client.ending;
    expect(server.accepted.length).toBe(0);
    const { level, fields } = await said.find(({ message }) => message === 'a connection was turned away');
    expect(level).toBe('warn');
    expect(fields).toEqual({
      vip: expect.any(String),
      client: '127.0.0.1',
      reason: expect.stringContaining(reason),
    });
  });

  it('never finished', async () => {
    const said = notices();
    const server = await start(entrance({ proxyProtocol: ALL, handshakeTimeout: 50 }));
    const client = await openConnection(server.endpoint);
    await client.write(Buffer.from('PROXY TCP4 192.0.2'));
    await client.ending;
    const { fields } = await said.find(({ message }) => message === 'a connection was turned away');
    expect(fields.reason).toBe('it did not send a whole PROXY protocol header in time');
    expect(server.accepted.length).toBe(0);
  });

  it.each(['end', 'reset'] as const)('half a header, then gone (%s): nothing is said', async (how) => {
    const said = notices();
    const server = await start(entrance({ proxyProtocol: ALL }));
    const client = await openConnection(server.endpoint);
    await client.write(Buffer.from('PROXY TCP4 192.0.2'));
    client[how]();
    if (how === 'end') await client.ending;
    const next = await openConnection(server.endpoint);
    await next.write(writeProxyHeader(1, ENDS));
    await server.next();
    expect(said.items).toEqual([]);
    next.reset();
  });
});

describe.each([
  ['all that is read', undefined],
  ['what is left of it after a look at the first byte', { protocol: 'DICOM', firstByte: 1 }],
])('TLS, in %s', (_name, plain) => {
  it('says who the client is, and what it asked for', async () => {
    const { ca, issue } = await createAuthority();
    const identity = await identityFor([{ names: ['a.test'] }], { clientCa: ca, alpn: ['h2', 'http/1.1'] });
    const server = await socketServer(entrance({ tls: identity, plain }));
    const client = await tlsOn(await plainClient(server.endpoint), {
      ...(await issue({ client: true, subject: '/O=Hospital\\, North/OU=CT/CN=ct1' })),
      servername: 'A.Test',
      ALPNProtocols: ['http/1.1', 'http/1.0'],
    });
    const { socket, origin } = await server.next();
    expect(origin).toEqual({
      remote: { host: '127.0.0.1', port: client.localPort },
      local: server.endpoint,
      tls: { sni: 'a.test', subject: 'CN=ct1,OU=CT,O=Hospital\\, North' },
      alpn: 'http/1.1',
    });
    expect(socket.isPaused()).toBe(true);
    client.end('words');
    socket.resume();
    expect(await textOf(socket)).toBe('words');
    socket.end('answer');
    expect(await textOf(client)).toBe('answer');
  });

  it('knows nothing of a client that says nothing', async () => {
    const server = await entranceServer(entrance({ tls: await identityFor([{ names: ['a.test'] }]), plain }));
    const client = await tlsOn(await plainClient(server.endpoint), {
      servername: '',
      rejectUnauthorized: false,
    });
    const { channel } = await server.next();
    expect(channel.tls).toEqual({ sni: undefined, subject: undefined });
    client.destroy();
  });

  it.each([1, 2] as const)('comes behind a PROXY header of version %s', async (version) => {
    const way = entrance({ proxyProtocol: ALL, tls: await identityFor([{ names: ['a.test'] }]), plain });
    const server = await entranceServer(way);
    const socket = await plainClient(server.endpoint);
    for (const byte of writeProxyHeader(version, ENDS)) {
      await new Promise((next) => {
        socket.write(Buffer.of(byte), next);
      });
    }
    const client = await tlsOn(socket);
    client.write('hello');
    const { channel, witness } = await server.next();
    expect(await witness.received(5)).toBe('hello');
    expect([channel.remote, channel.local]).toEqual([ENDS.source, ENDS.destination]);
    expect(channel.tls).toEqual({ sni: 'a.test', subject: undefined });
    client.destroy();
  });

  it('a ClientHello dribbled a byte at a time', async () => {
    const hello = await helloOf('a.test');
    const client = await openConnection(
      (await entranceServer(entrance({ tls: await identityFor([{ names: ['a.test'] }]), plain }))).endpoint,
    );
    await client.dribble(hello);
    expect([...(await client.read(6))].toSpliced(1, 4)).toEqual([0x16, 2]);
    client.reset();
  });

  it('comes in one chunk with a PROXY header', async () => {
    const hello = await helloOf('a.test');
    const way = entrance({ proxyProtocol: ALL, tls: await identityFor([{ names: ['a.test'] }]), plain });
    const client = await openConnection((await entranceServer(way)).endpoint);
    await client.write(Buffer.concat([writeProxyHeader(2, ENDS), hello]));
    // A handshake record with a ServerHello.
    expect([...(await client.read(6))].toSpliced(1, 4)).toEqual([0x16, 2]);
    client.reset();
  });

  it('a library reads behind it, with and without PROXY header', async () => {
    const { ca } = await createAuthority();
    const http = createServer((request, response) => response.end(`${request.method} ${request.url}`));
    const tls = await identityFor([{ names: ['a.test'] }], { alpn: ['http/1.1'] });
    for (const way of [
      entrance(),
      entrance({ tls, plain }),
      entrance({ proxyProtocol: ALL }),
      entrance({ tls, plain, proxyProtocol: ALL }),
    ]) {
      const server = await socketServer(way);
      const witness = new Witness();
      const channel = dial(server.endpoint, witness, {
        tls: way.tls && { verify: true, ca, servername: 'a.test' },
        proxyHeader: way.proxyProtocol && writeProxyHeader(2, ENDS),
      });
      channel.write(Buffer.from('GET /studies HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n'));
      const { socket } = await server.next();
      http.emit('connection', socket);
      socket.resume();
      await witness.whenEnded;
      expect(witness.text).toMatch(/^HTTP\/1.1 200 OK\r\n.*GET \/studies$/s);
      channel.reset();
    }
  });
});
