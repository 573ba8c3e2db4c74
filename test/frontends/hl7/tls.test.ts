/** MLLP in TLS on either side, PROXY headers towards servers, and reloads that change how servers are reached. */
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { connect as connectTls, createServer, type TlsOptions } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import type { ServerLink } from '../../../src/relay/dial.ts';
import { createTlsIdentity } from '../../../src/relay/tls-identity.ts';
import { createAuthority } from '../../peers/certificates.ts';
import { fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { answering, connectSender, MllpSender, type Receiver } from '../../peers/mllp-peer.ts';
import { type Address, TestConnection } from '../../peers/test-connection.ts';
import { createGate } from '../../peers/waiting.ts';
import { startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const ofPatient = (controlId: string) => hl7Message({ controlId, patient: `INV-${controlId}` });

/** TLS in front of a receiver. */
async function tlsBefore(receiver: Receiver, options: TlsOptions): Promise<Address> {
  const server = createServer(options, (socket) => {
    const plain = connect(receiver.address);
    socket.pipe(plain).pipe(socket);
    for (const [one, other] of [
      [socket, plain],
      [plain, socket],
    ] as const)
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

test('MLLP over TLS in and out: certificates are checked on both sides, and the subject is a fact', async () => {
  const authority = await createAuthority();
  const [atBalancer, atServer, sender, own] = await Promise.all([
    authority.issue({ names: ['127.0.0.1'] }),
    authority.issue({ names: ['127.0.0.1'] }),
    authority.issue({ client: true, subject: '/O=Hospital/CN=his' }),
    authority.issue({ client: true, subject: '/O=Hospital/CN=gantry' }),
  ]);
  const receiver = await receiverFor();
  const secure = await tlsBefore(receiver, { ...atServer, ca: authority.ca, requestCert: true });
  const other = await receiverFor();
  const tls = createTlsIdentity({
    certificates: [atBalancer],
    clientCa: authority.ca,
    minVersion: 'TLSv1.2',
  });
  await using hl7 = await startHl7({
    pools: { main: { servers: [other.address] }, secure: { servers: [secure] } },
    rules: (pools) => [
      { when: { facts: [{ name: 'tlsSubject', patterns: ['CN=his,O=Hospital'] }] }, pool: pools.secure! },
    ],
    entrance: { tls },
    more: { links: new Map([['secure', { tls: { verify: true, ca: authority.ca, ...own } }]]) },
  });
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const socket = connectTls({ ...hl7.address, ca: authority.ca, ...sender }, () => resolve());
  await done;
  const client = new MllpSender(new TestConnection(socket));
  const lengths = [...Array.from({ length: 20 }, (_, n) => n * 4000), 8 * 1024 * 1024, 300_000];
  for (const [n, length] of lengths.entries()) {
    const message = hl7Message({ controlId: `M${n}`, length });
    expect(fieldOf((await client.send(message))!, 'MSA', 2)).toBe(`M${n}`);
    expect(receiver.messages.items[n]!.bytes.equals(message)).toBe(true);
  }
  expect(other.messages.length).toBe(0);
  client.end();
});

test('a server without TLS where TLS is wanted: nothing is sent there', async () => {
  const [plain, good] = [await receiverFor(), await receiverFor()];
  await using hl7 = await startHl7({
    pools: { main: { servers: [plain.address], balance: 'first' }, good: { servers: [good.address] } },
    more: { links: new Map([['main', { tls: { verify: false }, connectTimeout: 300 }]]) },
    hl7: { whenUnavailable: 'AE' },
  });
  const sender = await connectSender(hl7.address);
  expect(fieldOf((await sender.send(ofPatient('M1')))!, 'MSA', 1)).toBe('AE');
  // A TLS greeting is mostly random and may hold 0B … 1C by chance, which the receiver takes for a
  // frame: what counts is that nothing of the message is in it.
  expect(plain.messages.items.filter(({ bytes }) => bytes.includes('MSH'))).toEqual([]);
});

test('a reload that puts TLS before a server: what is in flight is answered, what comes goes in TLS', async () => {
  const authority = await createAuthority();
  const certificate = await authority.issue({ names: ['127.0.0.1'] });
  const gate = createGate();
  const receiver = await receiverFor(answering('AA', gate.opened));
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  await sender.write(ofPatient('M1'));
  await receiver.messages.count(1);
  // The same address speaks TLS from now on.
  await receiver.refuse();
  const { port } = receiver.address;
  const server = createServer(certificate, (socket) => {
    const connection = new MllpSender(new TestConnection(socket));
    void (async () => {
      const bytes = (await connection.read())!;
      receiver.messages.add({ bytes, controlId: fieldOf(bytes, 'MSH', 10), connection: -1 });
      await answering()(receiver.messages.items.at(-1)!, connection);
    })();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const link: ServerLink = { tls: { verify: true, ca: authority.ca } };
  hl7.frontEnd.reconfigure({ ...hl7.options, links: new Map([['main', link]]) });
  await sender.write(ofPatient('M2'));
  await receiver.messages.count(2);
  gate.open();
  for (const id of ['M1', 'M2']) expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(id);
  expect(receiver.messages.items[1]!.connection).toBe(-1);
  expect(hl7.pools.main!.servers[0]!.active).toBe(1);
});

test('drain: a sender that is still at its handshake is not let in, and nobody waits for it', async () => {
  const authority = await createAuthority();
  const certificate = await authority.issue({ names: ['127.0.0.1'] });
  const tls = createTlsIdentity({ certificates: [certificate], minVersion: 'TLSv1.2' });
  const gate = createGate();
  const receiver = await receiverFor(answering('AA', gate.opened));
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } }, entrance: { tls } });
  const secured = connectTls({ ...hl7.address, ca: authority.ca });
  await once(secured, 'secureConnect');
  const sender = new MllpSender(new TestConnection(secured));
  await sender.write(ofPatient('M1'));
  await receiver.messages.count(1);
  const late = connect(hl7.address);
  await once(late, 'connect');
  const drained = hl7.frontEnd.drain();
  const tooLate = connectTls({ socket: late, host: '127.0.0.1', ca: authority.ca });
  await once(tooLate, 'secureConnect');
  expect(await new TestConnection(tooLate).ending).toBe('reset');
  gate.open();
  expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe('M1');
  sender.end();
  await drained;
});

test.each([
  [1, Buffer.from('PROXY UNKNOWN\r\n')],
  [2, Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')],
] as const)(
  'PROXY header, version %d: connections that senders share name none of them',
  async (version, header) => {
    const received: Buffer[] = [];
    const receiver = await receiverFor();
    receiver.script = () => {};
    await using hl7 = await startHl7({
      pools: { main: { servers: [receiver.address] } },
      more: { links: new Map([['main', { proxyProtocol: version }]]) },
    });
    const sender = await connectSender(hl7.address);
    await sender.write(ofPatient('M1'));
    const { connection } = (await receiver.connections.count(1))[0]!;
    connection.socket.on('data', (chunk: Buffer) => received.push(chunk));
    await receiver.messages.count(1);
    expect(Buffer.concat(received).subarray(0, header.length)).toEqual(header);
  },
);

test("a pool's own time for an answer goes before that of the VIP", async () => {
  const [silent, quick] = [await receiverFor(() => {}), await receiverFor()];
  await using hl7 = await startHl7({
    pools: { main: { servers: [silent.address, quick.address], balance: 'first' } },
    hl7: { onAmbiguous: 'any', ackTimeout: 15_000 },
    more: { links: new Map([['main', { responseTimeout: 500 }]]) },
  });
  const sender = await connectSender(hl7.address);
  expect(fieldOf((await sender.send(ofPatient('M1')))!, 'MSA', 1)).toBe('AA');
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'maybe twice', server: 'main-2' });
  expect(hl7.messages.items[0]!.ms).toBeLessThan(10_000);
});
