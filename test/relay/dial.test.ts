import { describe, expect, it } from 'vitest';
import { describeEndpoint } from '../../src/endpoint.ts';
import { brokenError, connectError } from '../../src/relay/connection-error.ts';
import { dial } from '../../src/relay/dial.ts';
import { refusingAddress } from '../peers/test-connection.ts';
import { channelServer, dialled, MODES, plainServer, Witness } from './sockets.ts';

describe.each(MODES)('dialling, with channels that read %s', (reads) => {
  it('says when the server refuses', async () => {
    const nobody = await refusingAddress();
    const { channel, witness } = dialled(nobody, reads);
    channel.write(Buffer.from('hello?'));
    channel.end();
    expect(await witness.whenClosed).toMatchObject({
      code: 'GTY_CONNECT_REFUSED',
      retryable: true,
      message: `127.0.0.1:${nobody.port} refuses connections`,
    });
    expect(witness.log).toEqual(['closed']);
    expect([channel.open, channel.pending]).toEqual([false, 0]);
  });

  it('says when a name cannot be resolved', async () => {
    const { witness } = dialled({ host: 'no-such-host.invalid', port: 104 }, reads);
    expect(await witness.whenClosed).toMatchObject({
      code: 'GTY_CONNECT_FAILED',
      message: 'no-such-host.invalid:104 cannot be reached: its name cannot be resolved',
    });
  });

  it('takes names, with several addresses', async () => {
    const server = await plainServer();
    const { channel, witness } = dialled({ host: 'localhost', port: server.endpoint.port }, reads);
    await witness.whenConnected;
    expect(channel.remote).toEqual(server.endpoint);
    (await server.next()).write('greeting');
    expect(await witness.received(8)).toBe('greeting');
  });

  it('comes from the source address that was asked for', async () => {
    const server = await channelServer(reads);
    const witness = new Witness();
    const channel = dial(server.endpoint, witness, { reads, from: '127.0.0.7' });
    await witness.whenConnected;
    expect(channel.local.host).toBe('127.0.0.7');
    expect((await server.next()).channel.remote).toEqual(channel.local);
    channel.reset();
  });

  it('says when the source address is not ours', async () => {
    const server = await channelServer(reads);
    const witness = new Witness();
    dial(server.endpoint, witness, { reads, from: '192.0.2.1' });
    expect(await witness.whenClosed).toMatchObject({
      code: 'GTY_CONNECT_FAILED',
      message: `127.0.0.1:${server.endpoint.port} cannot be reached: 192.0.2.1 is no address of this machine; add it to an interface or choose another \`source\``,
    });
  });

  it('says when the source address is of another IP version', async () => {
    const witness = new Witness();
    dial({ host: '::1', port: 104 }, witness, { reads, from: '127.0.0.7' });
    expect(await witness.whenClosed).toMatchObject({
      code: 'GTY_CONNECT_FAILED',
      message: '[::1]:104 cannot be reached: it is of another IP version than `source: 127.0.0.7`',
    });
  });

  it('takes of a name the address of the source’s IP version', async () => {
    const server = await channelServer(reads);
    const witness = new Witness();
    const channel = dial({ ...server.endpoint, host: 'localhost' }, witness, { reads, from: '127.0.0.7' });
    await witness.whenConnected;
    expect(channel.remote).toEqual(server.endpoint);
    channel.reset();
  });
});

describe('what is said about a broken connection', () => {
  const remote = { host: 'fd00::11', port: 104 };
  const failing = (code: string) => Object.assign(new Error(code), { code });

  it('writes addresses as an operator would', () => {
    expect(describeEndpoint({ host: '10.0.0.11', port: 104 })).toBe('10.0.0.11:104');
    expect(describeEndpoint(remote)).toBe('[fd00::11]:104');
  });

  it.each([
    ['ECONNREFUSED', 'GTY_CONNECT_REFUSED', '[fd00::11]:104 refuses connections'],
    ['ETIMEDOUT', 'GTY_CONNECT_TIMEOUT', '[fd00::11]:104 does not answer'],
    ['EHOSTUNREACH', 'GTY_CONNECT_FAILED', '[fd00::11]:104 cannot be reached: no route to the host'],
    [
      'EMFILE',
      'GTY_CONNECT_FAILED',
      '[fd00::11]:104 cannot be reached: too many open files; raise the limit (LimitNOFILE of the service, ulimit -n)',
    ],
  ])('before it was there: %s', (code, expected, message) => {
    expect(connectError(failing(code), remote)).toMatchObject({ code: expected, message });
  });

  it('takes the last of several attempts', () => {
    const error = new AggregateError([failing('ENETUNREACH'), failing('ECONNREFUSED')]);
    expect(connectError(error, remote).code).toBe('GTY_CONNECT_REFUSED');
  });

  it.each([
    ['ECONNRESET', 'reset the connection'],
    ['EPIPE', 'reset the connection'],
    ['ETIMEDOUT', 'no longer answers on the network'],
    ['EHOSTUNREACH', 'broke the connection: no route to the host'],
  ])('afterwards: %s', (code, what) => {
    expect(brokenError(failing(code), remote)).toMatchObject({
      code: 'GTY_RESET',
      message: `[fd00::11]:104 ${what}`,
    });
  });
});
