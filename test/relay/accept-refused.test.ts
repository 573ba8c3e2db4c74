import { describe, expect, it } from 'vitest';
import { guestsOf, resetDismissed } from '../../src/relay/dismiss.ts';
import { skipWithout } from '../peers/processes.ts';
import { openConnection } from '../peers/test-connection.ts';
import { plainClient } from './sockets.ts';
import { entrance, entranceServer, identityFor, notices, tlsOn } from './tls.ts';

skipWithout('openssl');

const ALL = { from: () => true };

describe('what does not get through TLS', () => {
  const refusal = (said: ReturnType<typeof notices>) =>
    said
      .find(({ message }) => message === 'a connection was turned away')
      .then(({ fields }) => fields.reason);

  it.each([
    ['HTTP on the TLS port', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'it speaks HTTP without TLS'],
    ['DICOM on the TLS port', Buffer.alloc(200, 1), 'it does not speak TLS'],
    ['HL7 on the TLS port', Buffer.from('\x0bMSH|^~\\&|INVENTED\r\x1c\r'), 'it does not speak TLS'],
    [
      'garbage in a TLS record',
      Buffer.from('1603010005aabbccddee', 'hex'),
      /^it (does not speak TLS|broke the handshake off)/,
    ],
  ])('%s', async (_, bytes, reason) => {
    const said = notices();
    const server = await entranceServer(entrance({ tls: await identityFor([{ names: ['a.test'] }]) }));
    const client = await openConnection(server.endpoint);
    await client.write(bytes);
    await client.ending;
    expect(await refusal(said)).toMatch(reason);
    expect(server.accepted.length).toBe(0);
  });

  it.each([
    ['DICOM', 0x01, Buffer.alloc(200, 1)],
    ['DICOM', 0x01, Buffer.alloc(1, 1)],
    ['HL7', 0x0b, Buffer.from('\x0bMSH|^~\\&|INVENTED\r\x1c\r')],
  ])('plain %s on the TLS port of that protocol (it begins with %i)', async (protocol, firstByte, bytes) => {
    const said = notices();
    const tls = await identityFor([{ names: ['a.test'] }]);
    const server = await entranceServer(
      entrance({
        tls,
        plain: { protocol, firstByte },
        proxyProtocol: { from: (address) => address === '127.0.0.2' },
      }),
    );
    for (const [from, header] of [
      ['127.0.0.1', ''],
      ['127.0.0.2', 'PROXY UNKNOWN\r\n'],
    ] as const) {
      const client = await openConnection(server.endpoint, from);
      await client.write(Buffer.concat([Buffer.from(header), bytes]));
      await client.ending;
    }
    expect(said.items.map(({ fields }) => fields.reason)).toEqual(
      Array(2).fill(`it speaks ${protocol} without TLS`),
    );
    expect(server.accepted.length).toBe(0);
  });

  it('a handshake that stalls', async () => {
    const said = notices();
    const way = entrance({ tls: await identityFor([{ names: ['a.test'] }]), handshakeTimeout: 50 });
    const server = await entranceServer(way);
    const client = await openConnection(server.endpoint);
    await client.write(Buffer.from('16030101', 'hex'));
    await client.ending;
    expect(await refusal(said)).toBe('it did not finish the TLS handshake in time');
    expect(server.accepted.length).toBe(0);
  });

  it('half a handshake, then gone', async () => {
    const said = notices();
    const server = await entranceServer(entrance({ tls: await identityFor([{ names: ['a.test'] }]) }));
    const client = await openConnection(server.endpoint);
    await client.write(Buffer.from('16030101', 'hex'));
    client.reset();
    expect(await refusal(said)).toBe('it closed the connection in the handshake');
  });

  it.each([
    ['in its handshake', false],
    ['before its PROXY header', true],
  ])('who is still %s when the balancer ends is reset without a word', async (_, hasHeader) => {
    const said = notices();
    const tls = await identityFor([{ names: ['a.test'] }]);
    const way = entrance({ tls, ...(hasHeader && { proxyProtocol: ALL }) });
    const server = await entranceServer(way);
    const client = await openConnection(server.endpoint);
    await client.write(hasHeader ? Buffer.from('PROXY') : Buffer.from('16030101', 'hex'));
    while (guestsOf(way.deadlines).size === 0) await new Promise((resolve) => setImmediate(resolve));
    resetDismissed(way.deadlines);
    await client.ending;
    expect([said.length, guestsOf(way.deadlines).size]).toEqual([0, 0]);
  });

  it.each([
    ['where all is read by TLS', undefined],
    ['where the first byte is looked at', { protocol: 'DICOM', firstByte: 1 }],
  ])('a look whether the port is open is no news, %s', async (_, plain) => {
    const said = notices();
    const tls = await identityFor([{ names: ['a.test'] }]);
    const server = await entranceServer(entrance({ tls, plain }));
    for (const how of ['end', 'reset'] as const) (await openConnection(server.endpoint))[how]();
    const client = await tlsOn(await plainClient(server.endpoint));
    await server.next();
    expect(said.items).toEqual([]);
    client.destroy();
  });

  it('is said once a minute for each address, and disturbs nobody else', async () => {
    const said = notices();
    const server = await entranceServer(entrance({ tls: await identityFor([{ names: ['a.test'] }]) }));
    const good = await tlsOn(await plainClient(server.endpoint));
    const { witness } = await server.next();
    for (let n = 0; n < 20; n += 1) {
      const client = await openConnection(server.endpoint, n % 2 === 0 ? '127.0.0.2' : '127.0.0.3');
      await client.write(Buffer.from('garbage'));
      await client.ending;
    }
    expect(said.items.map(({ fields }) => fields.client)).toEqual(['127.0.0.2', '127.0.0.3']);
    good.write('still here');
    expect(await witness.received(10)).toBe('still here');
    good.destroy();
  });
});
