/** The "Bad input" of the DICOM front-end: each kind gets the named answer, and nothing reaches a server. */
import { expect, test } from 'vitest';
import { untilConnections } from '../../peers/admin-api.ts';
import { accepting, closing, rejecting, resetting, stalling, talkingGarbage } from '../../peers/dicom-scp.ts';
import { associate, echoOnce, requestAssociation } from '../../peers/dicom-scu.ts';
import {
  abort,
  associateRequest,
  CT_IMAGE_STORAGE,
  PDU_TYPE,
  pData,
  pdu,
  releaseRequest,
  releaseResponse,
} from '../../peers/pdus.ts';
import { openConnection, refusingAddress } from '../../peers/test-connection.ts';
import { createGate } from '../../peers/waiting.ts';
import { balance, scp } from './setup.ts';

/** Sends these bytes as the first of a connection; what comes back until the balancer closes. */
async function answerTo(to: { host: string; port: number }, bytes: Buffer, andFin = false): Promise<string> {
  const connection = await openConnection(to);
  await connection.write(bytes);
  if (andFin) connection.end();
  const { bytes: answer, ending } = await connection.readToEnd();
  connection.end();
  return `${answer.toString('hex')} ${ending}`.trim();
}

const abortWith = (source: number, reason: number) =>
  `${pdu(PDU_TYPE.ABORT, Buffer.of(0, 0, source, reason)).toString('hex')} end`;

test('malformed RQ: A-ABORT 2/6', async () => {
  const server = await scp();
  const { vip, associations } = await balance([server]);
  const request = associateRequest();
  request.writeUInt16BE(0xfff0, 76); // the first item is longer than the PDU
  expect(await answerTo(vip, request)).toBe(abortWith(2, 6));
  expect(await associations.find(() => true)).toMatchObject({ end: 'abort', code: '2/6' });
  expect(server.associations.length).toBe(0);
});

test('truncated RQ: closed, logged, no server is asked', async () => {
  const server = await scp();
  const { vip, associations } = await balance([server]);
  expect(await answerTo(vip, associateRequest().subarray(0, 60), true)).toBe('end');
  const { end, detail } = await associations.find(() => true);
  expect({ end, detail }).toEqual({
    end: 'abort',
    detail: 'the client closed its connection inside its request',
  });
  expect(server.associations.length).toBe(0);
});

test('oversized RQ: refused on its six header bytes', async () => {
  const { vip } = await balance([await scp()]);
  const header = Buffer.of(1, 0, 0, 0x10, 0, 0); // 1 MiB announced, none of it sent
  expect(await answerTo(vip, header)).toBe(abortWith(2, 6));
});

test('endless RQ: dropped when the request time is over', async () => {
  const { vip, notices } = await balance([await scp()], { dicom: 'timeouts: { request: 300ms }' });
  const connection = await openConnection(vip);
  const request = associateRequest();
  request.writeUInt32BE(200_000, 2);
  await connection.write(request);
  expect((await connection.readToEnd()).bytes.length).toBe(0);
  connection.end();
  expect(await notices.find(({ message }) => message.includes('A-ASSOCIATE-RQ'))).toMatchObject({
    message: 'no A-ASSOCIATE-RQ came in time',
  });
});

test('P-DATA first: A-ABORT 2/2', async () => {
  const { vip } = await balance([await scp()]);
  expect(await answerTo(vip, pData(1, 'data', true, Buffer.alloc(100)))).toBe(abortWith(2, 2));
});

test('no DICOM at all: A-ABORT 2/1', async () => {
  const { vip } = await balance([await scp()]);
  expect(await answerTo(vip, Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBe(abortWith(2, 1));
});

test('TLS on a plain port: closed at once with a sentence in the log', async () => {
  const { vip, notices } = await balance([await scp()]);
  expect(await answerTo(vip, Buffer.of(0x16, 3, 1, 2, 0, 1, 0))).toBe('end');
  const { message } = await notices.find(({ message }) => message.includes('TLS'));
  expect(message).toContain('give it the TLS port');
});

test('connect and close: costs nothing, logged at debug', async () => {
  const { vip, notices, associations } = await balance([await scp()]);
  const connection = await openConnection(vip);
  connection.end();
  await connection.ending;
  expect(await notices.find(({ message }) => message.includes('connected and closed'))).toMatchObject({
    level: 'debug',
  });
  expect(associations.length).toBe(0);
});

test('protocol version bit 0 not set: 1/2/2; unknown application context: 1/1/2', async () => {
  const { vip } = await balance([await scp()]);
  const version = associateRequest();
  version.writeUInt16BE(2, 6);
  expect(await associate(vip, { request: version })).toMatchObject({ outcome: 'rejected', code: '1/2/2' });
  const context = associateRequest();
  context[80] = 0x33; // inside the application context's UID
  expect(await associate(vip, { request: context })).toMatchObject({ outcome: 'rejected', code: '1/1/2' });
});

test('unknown AE: 1/1/7; forbidden AE: 1/1/3', async () => {
  const server = await scp();
  const { vip } = await balance([server], {
    vip: `routes:
  - { when: { calling: INTRUDER }, reject: calling-ae-not-recognized }
  - { when: { called: ARCHIVE }, pool: P }`,
  });
  expect(await echoOnce(vip, { called: 'NOBODY' })).toBe('rejected 1/1/7');
  expect(await echoOnce(vip, { called: 'ARCHIVE', calling: 'INTRUDER' })).toBe('rejected 1/1/3');
  expect(await echoOnce(vip, { called: 'ARCHIVE', calling: 'CT1' })).toBe('0000');
  expect(server.associations.length).toBe(1);
});

test('a calling AE from an address that is not its own: 1/1/3', async () => {
  const { vip } = await balance([await scp()], { dicom: 'clients: { CT1: [127.0.0.2/32] }' });
  expect(await echoOnce(vip, { calling: 'CT1' })).toBe('rejected 1/1/3');
  expect(await echoOnce(vip, { calling: 'CT1', localAddress: '127.0.0.2' })).toBe('0000');
  expect(await echoOnce(vip, { calling: 'MR1' })).toBe('0000');
});

test('no server: 2/3/1', async () => {
  const address = await refusingAddress();
  const { vip, servers } = await balance([`address: "${address.host}:${address.port}"`], {
    pool: 'health: { check: connect, interval: 100ms, fall: 1 }',
  });
  await servers.find(({ state }) => state === 'down');
  expect(await echoOnce(vip)).toBe('rejected 2/3/1');
});

test('no server, whenUnavailable: refuse: the port is closed until one is up', async () => {
  const server = await scp();
  await server.stop();
  const { vip, servers } = await balance([server], {
    pool: 'health: { check: connect, interval: 100ms, rise: 1, fall: 1 }',
    dicom: 'whenUnavailable: refuse',
  });
  await servers.find(({ state }) => state === 'down');
  await expect(openConnection(vip)).rejects.toThrow();
  await server.restart();
  await servers.find(({ state }) => state === 'up');
  await expect.poll(() => echoOnce(vip).catch(() => 'refused'), { timeout: 30_000 }).toBe('0000');
});

test.for([
  ['refuses', undefined],
  ['resets on the request', resetting()],
  ['resets on the connection', resetting('connected')],
  ['closes instead of answering', closing()],
  ['rejects for now', rejecting(2, 3, 1)],
  ['rejects for ever', rejecting(1, 1, 7)],
  ['accepts TCP and says nothing', stalling()],
  ['answers garbage', talkingGarbage()],
] as const)('server that %s: the next one, and the client sees nothing', async ([, script]) => {
  const bad = await scp(script ?? accepting());
  if (!script) await bad.stop();
  const good = await scp();
  const { vip, associations } = await balance([bad, good], {
    dicom: 'timeouts: { connect: 300ms, accept: 30s }',
  });
  const client = await associate(vip);
  expect(client.outcome).toBe('accepted');
  expect(client.answer.equals(good.associations.items[0]!.accept!)).toBe(true);
  expect(await client.echo()).toBe(0);
  await client.release();
  expect(await associations.find(() => true)).toMatchObject({ server: 's2', attempts: 2, end: 'release' });
});

test('server that times out, and no other: it has the whole time, then 2/3/1', async () => {
  const server = await scp(stalling());
  const { vip, associations } = await balance([server], {
    dicom: 'timeouts: { connect: 100ms, accept: 600ms }',
  });
  expect(await echoOnce(vip)).toBe('rejected 2/3/1');
  expect(server.associations.length).toBe(1);
  expect(await associations.find(() => true)).toMatchObject({ attempts: 1, end: 'reject', code: '2/3/1' });
  await server.associations.find(({ end }) => end === 'abort');
});

test('every server rejects: the last rejection is relayed byte for byte, a transient one before a permanent one', async () => {
  const transient = await scp(rejecting(2, 3, 2));
  const permanent = await scp(rejecting(1, 1, 3));
  const one = await balance([transient, permanent]);
  expect(await echoOnce(one.vip)).toBe('rejected 2/3/2');
  await one.stop();
  const odd = await scp(rejecting(1, 3, 56));
  const two = await balance([permanent, odd]);
  expect(await echoOnce(two.vip)).toBe('rejected 1/3/56');
});

test('a server that rejects for ever what its peer accepts is reported', async () => {
  const { vip, notices } = await balance([await scp(rejecting(1, 1, 3)), await scp()]);
  expect(await echoOnce(vip)).toBe('0000');
  expect(await notices.find(({ level }) => level === 'warn')).toMatchObject({ fields: { server: 's1' } });
});

test('server lost inside a PDU: the client is reset, and gets no byte that the server did not send', async () => {
  const half = pData(1, 'command', true, Buffer.alloc(200)).subarray(0, 100);
  const isThere = createGate();
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    await association.next();
    await association.write(half);
    // A reset may overtake what was written before.
    await isThere.opened;
    association.connection.reset();
  });
  const { vip, associations } = await balance([server]);
  const client = await associate(vip);
  await client.start({ field: 0x0030, sopClass: '1.2.840.10008.1.1', hasDataSet: false });
  expect((await client.connection.read(100)).equals(half)).toBe(true);
  isThere.open();
  const { bytes, ending } = await client.connection.readToEnd();
  expect([bytes.length, ending]).toEqual([0, 'reset']);
  expect(await associations.find(() => true)).toMatchObject({ end: 'abort' });
});

test('server lost between PDUs: the client gets A-ABORT 2/0', async () => {
  const server = await scp();
  const { vip } = await balance([server]);
  const client = await associate(vip);
  expect(await client.echo()).toBe(0);
  await server.stop();
  expect(await client.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
});

test('client lost between PDUs: the server gets A-ABORT 2/0; inside a PDU: a reset and no byte more', async () => {
  const server = await scp();
  const balancer = await balance([server], { admin: true });
  const between = await associate(balancer.vip);
  expect(await between.echo()).toBe(0);
  between.connection.reset();
  await server.associations.find(({ end, abortCode }) => end === 'abort' && abortCode === '2/0');

  const inside = await associate(balancer.vip, { propose: [CT_IMAGE_STORAGE] });
  await inside.write(pData(1, 'data', true, Buffer.alloc(5000)).subarray(0, 1000));
  const sent = inside.request.length + 1000;
  await untilConnections(balancer, (all) => all.some(({ bytes }) => bytes.toServer === sent));
  inside.connection.reset();
  await server.associations.find(({ end }) => end === 'reset');
});

test('client lost before a server answered: the server is told', async () => {
  const gate = createGate();
  const server = await scp(accepting({ holdAccept: gate.opened }));
  const { vip, associations } = await balance([server], { dicom: 'timeouts: { connect: 20s, accept: 20s }' });
  const client = await requestAssociation(vip);
  await server.associations.find(({ parsed }) => parsed !== undefined);
  await client.abort();
  expect(await associations.find(() => true)).toMatchObject({ end: 'abort', code: '0/0' });
  gate.open();
  await server.associations.find(({ end }) => end === 'abort');
});

test('a PDU of the client that came in part before the server accepted: not a byte of it is lost', async () => {
  const gate = createGate();
  const server = await scp(accepting({ holdAccept: gate.opened }));
  const balancer = await balance([server], { dicom: 'timeouts: { connect: 20s, accept: 20s }', admin: true });
  const client = await requestAssociation(balancer.vip);
  await server.associations.find(({ parsed }) => parsed !== undefined);
  const words = abort(0, 0);
  await client.write(words.subarray(0, 3));
  const sent = client.request.length + 3;
  await untilConnections(balancer, (all) => all.some(({ bytes }) => bytes.toServer === sent));
  gate.open();
  await client.receiveAnswer();
  await client.write(words.subarray(3));
  client.connection.end();
  await server.associations.find(({ end, abortCode }) => end === 'abort' && abortCode === '0/0');
  expect(await balancer.associations.find(() => true)).toMatchObject({ end: 'abort', code: '0/0' });
});

test('P-DATA that breaks PS3.8 passes untouched, for the server to judge, and is told in the log', async () => {
  const broken = pData(1, 'data', true, Buffer.alloc(20));
  broken.writeUInt32BE(1000, 6); // the PDV is longer than its PDU
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    expect((await association.readPdu()).bytes.equals(broken)).toBe(true);
    expect((await association.next()).kind).toBe('release-request');
    await association.write(releaseResponse());
    await association.connection.ending;
    association.connection.end();
  });
  const { vip, associations } = await balance([server]);
  const client = await associate(vip);
  await client.write(broken);
  await client.release();
  expect(await associations.find(() => true)).toMatchObject({
    end: 'release',
    detail: 'the client broke PS3.8: a PDV is longer than its PDU',
  });
});

test('release collision: both requests and both responses pass in order', async () => {
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    await association.write(releaseRequest());
    expect((await association.next()).kind).toBe('release-request');
    // PS3.8 9.2.3, AR-9 and AR-10: the acceptor waits for the requestor's response and sends its own.
    expect((await association.next()).kind).toBe('release-response');
    await association.write(releaseResponse());
    association.ended('release');
    await association.connection.ending;
    association.connection.end();
  });
  const { vip, associations } = await balance([server]);
  const client = await associate(vip);
  await client.write(releaseRequest());
  expect((await client.next()).kind).toBe('release-request');
  await client.write(releaseResponse());
  expect((await client.next()).kind).toBe('release-response');
  client.connection.end();
  expect(await associations.find(() => true)).toMatchObject({ end: 'release' });
});
