/** The timers of an association. Where a test must show that nothing is cut, another association tells the time. */
import { expect, test } from 'vitest';
import { expectNothingLeft, untilConnections } from '../../peers/admin-api.ts';
import { COMMAND, responseTo } from '../../peers/commands.ts';
import { accepting, serve, stalling } from '../../peers/dicom-scp.ts';
import { associate, echoOnce, requestAssociation } from '../../peers/dicom-scu.ts';
import { abort, CT_IMAGE_STORAGE, pData, releaseRequest, VERIFICATION } from '../../peers/pdus.ts';
import { openConnection } from '../../peers/test-connection.ts';
import { createGate } from '../../peers/waiting.ts';
import { balance, type DicomBalancer, scp } from './setup.ts';

const PENDING = 0xff00;
const ABORT_PROVIDER = abort(2, 0).toString('hex');

/** Two associations after another, each cut because it was idle: the idle time has passed at least twice. */
async function letIdleTimePass({ vip }: DicomBalancer): Promise<void> {
  for (const calling of ['CLOCK1', 'CLOCK2']) {
    const clock = await associate(vip, { calling });
    expect(await clock.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
  }
}

test('an idle association is cut at a PDU boundary, with A-ABORT 2/0 both ways', async () => {
  const server = await scp();
  const balancer = await balance([server], { dicom: 'timeouts: { idle: 300ms }', admin: true });
  const client = await associate(balancer.vip);
  expect(await client.echo()).toBe(0);
  const { bytes } = await client.connection.readToEnd();
  client.connection.end();
  expect(bytes.toString('hex')).toBe(ABORT_PROVIDER);
  const { abortCode } = await server.associations.find(({ end }) => end === 'abort');
  expect(abortCode).toBe('2/0');
  expect(await balancer.associations.find(() => true)).toMatchObject({
    end: 'abort',
    code: '2/0',
    detail: 'the association was idle too long',
  });
  await expectNothingLeft(balancer);
});

test('the idle timer stands still while an operation is open: a silent C-MOVE is not cut', async () => {
  const gate = createGate();
  const isClock = (calling: string | undefined) => calling?.startsWith('CLOCK') ?? false;
  const server = await scp(
    accepting({
      async answer({ contextId, command }, association) {
        if (isClock(association.parsed?.calling)) return false;
        await association.send(contextId, responseTo(command, PENDING));
        await gate.opened;
        return false;
      },
    }),
  );
  const balancer = await balance([server], { dicom: 'timeouts: { idle: 300ms }' });
  const client = await associate(balancer.vip, { calling: 'CT1' });
  const moved = client.operate(
    { field: COMMAND.C_MOVE_RQ, sopClass: VERIFICATION, moveDestination: 'CT1', hasDataSet: true },
    Buffer.alloc(100),
  );
  await letIdleTimePass(balancer);
  gate.open();
  expect(await moved).toBe(0);
  expect(await client.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
  const { operations } = await balancer.associations.find(({ calling }) => calling === 'CT1');
  expect(operations).toEqual({ 'C-MOVE': { '0000': 1 } });
});

test('the idle timer does not cut inside a PDU, nor inside a message', async () => {
  const server = await scp();
  const balancer = await balance([server], { dicom: 'timeouts: { idle: 300ms, stall: 20s }' });
  const client = await associate(balancer.vip, { propose: [CT_IMAGE_STORAGE] });
  const command = { field: COMMAND.C_STORE_RQ, sopClass: CT_IMAGE_STORAGE, sopInstance: '1.2.3' };
  // The command alone: its data set is still to come.
  await client.start({ ...command, hasDataSet: true });
  await letIdleTimePass(balancer);
  const dataSet = pData(1, 'data', true, Buffer.alloc(5000, 7));
  await client.write(dataSet.subarray(0, 3));
  await letIdleTimePass(balancer);
  await client.write(dataSet.subarray(3));
  expect(await client.next()).toMatchObject({ command: { field: COMMAND.C_STORE_RSP, status: 0 } });
  expect(server.messages()[0]?.dataSet.equals(Buffer.alloc(5000, 7))).toBe(true);
  await client.release();
});

test('the client stalls inside a PDU: the server is reset and gets not a byte more, the client gets A-ABORT 2/0', async () => {
  const partial = pData(1, 'data', true, Buffer.alloc(5000)).subarray(0, 1000);
  const received: Buffer[] = [];
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    for (;;) {
      const bytes = await association.connection.readSome();
      if (!bytes) return association.ended(await association.connection.ending);
      received.push(bytes);
    }
  });
  const balancer = await balance([server], { dicom: 'timeouts: { stall: 300ms }', admin: true });
  const client = await associate(balancer.vip, { propose: [CT_IMAGE_STORAGE] });
  await client.write(partial);
  expect((await client.connection.readToEnd()).bytes.toString('hex')).toBe(ABORT_PROVIDER);
  client.connection.end();
  await server.associations.find(({ end }) => end === 'reset');
  expect(Buffer.concat(received).equals(partial)).toBe(true);
  const { end, detail } = await balancer.associations.find(() => true);
  expect({ end, detail }).toEqual({ end: 'abort', detail: 'the client stalled inside a PDU' });
  await expectNothingLeft(balancer);
});

test('the server stalls inside a PDU: the client is reset and gets not a byte more, the server gets A-ABORT 2/0', async () => {
  const partial = pData(1, 'command', true, Buffer.alloc(200)).subarray(0, 100);
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    await association.next();
    await association.write(partial);
    await serve(association);
  });
  const balancer = await balance([server], { dicom: 'timeouts: { stall: 300ms }', admin: true });
  const client = await associate(balancer.vip);
  await client.start({ field: COMMAND.C_ECHO_RQ, sopClass: VERIFICATION, hasDataSet: false });
  const { bytes, ending } = await client.connection.readToEnd();
  expect(ending).toBe('reset');
  expect(partial.subarray(0, bytes.length).equals(bytes)).toBe(true);
  await server.associations.find(({ end, abortCode }) => end === 'abort' && abortCode === '2/0');
  const { end, detail } = await balancer.associations.find(() => true);
  expect({ end, detail }).toEqual({ end: 'abort', detail: 'the server stalled inside a PDU' });
  await expectNothingLeft(balancer);
});

test('the server takes no more bytes: it is the one that stalls', async () => {
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    association.connection.pause();
    association.ended(await association.connection.ending);
  });
  const balancer = await balance([server], { dicom: 'timeouts: { stall: 300ms }', admin: true });
  const client = await associate(balancer.vip, { propose: [CT_IMAGE_STORAGE] });
  // More than the kernels of all sides hold.
  void client.write(pData(1, 'data', true, Buffer.alloc(64 * 1024 * 1024)));
  expect((await client.waitForEnd()).end).not.toBe('end');
  const { end, detail, bytes } = await balancer.associations.find(() => true);
  expect({ end, detail }).toEqual({ end: 'abort', detail: 'the server stalled inside a PDU' });
  // The client was held back: what was sent is what the kernels took, and one piece.
  expect(bytes.toServer).toBeLessThan(32 * 1024 * 1024);
  await expectNothingLeft(balancer);
});

test('the server takes no more bytes, and what it was sent so far ends with a PDU', async () => {
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    association.connection.pause();
    association.ended(await association.connection.ending);
  });
  const balancer = await balance([server], {
    dicom: 'timeouts: { stall: 300ms, release: 300ms }',
    admin: true,
  });
  const client = await associate(balancer.vip, { propose: [CT_IMAGE_STORAGE] });
  const one = pData(1, 'data', false, Buffer.alloc(256 * 1024));
  // A PDU is sent when the one before was read whole, so that the balancer never has a part of one.
  let cut = false;
  let sent = client.request.length;
  void client.connection.ending.then(() => {
    cut = true;
  });
  while (!cut) {
    void client.write(one);
    sent += one.length;
    await untilConnections(balancer, (all) => cut || all.every(({ bytes }) => bytes.toServer >= sent));
  }
  const { end, detail } = await balancer.associations.find(() => true);
  expect({ end, detail }).toEqual({ end: 'abort', detail: 'the server stalled inside a PDU' });
  await expectNothingLeft(balancer);
});

test('a release that is not answered in time: A-ABORT 2/0 both ways', async () => {
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    expect((await association.next()).kind).toBe('release-request');
    await serve(association);
  });
  const balancer = await balance([server], { dicom: 'timeouts: { release: 300ms }', admin: true });
  const client = await associate(balancer.vip);
  await client.write(releaseRequest());
  expect(await client.waitForEnd()).toEqual({ end: 'abort', code: '2/0' });
  await server.associations.find(({ end, abortCode }) => end === 'abort' && abortCode === '2/0');
  const { end, detail } = await balancer.associations.find(() => true);
  expect({ end, detail }).toEqual({ end: 'abort', detail: 'the release was not answered in time' });
  await expectNothingLeft(balancer);
});

test('nobody closes after an A-ABORT: both connections are gone within the release time', async () => {
  const server = await scp(async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    await association.next();
    association.ended(await association.connection.ending);
  });
  const balancer = await balance([server], { dicom: 'timeouts: { release: 300ms }', admin: true });
  const client = await associate(balancer.vip);
  await client.write(abort(0, 0));
  await client.connection.ending;
  await server.associations.find(({ end }) => end === 'end' || end === 'reset');
  await expectNothingLeft(balancer);
  expect(await balancer.associations.find(() => true)).toMatchObject({ end: 'abort', code: '0/0' });
});

test('a client that connects and says nothing is dropped when the request time is over', async () => {
  const balancer = await balance([await scp()], { dicom: 'timeouts: { request: 300ms }', admin: true });
  const silent = await openConnection(balancer.vip);
  expect((await silent.readToEnd()).bytes.length).toBe(0);
  silent.end();
  await expectNothingLeft(balancer);
  expect(balancer.associations.length).toBe(0);
});

test('a server that accepts TCP and says nothing is found by dicom-echo, and found again when it speaks', async () => {
  const silent = await scp(stalling());
  const balancer = await balance([silent, await scp()], {
    pool: 'balance: first\nhealth: { check: dicom-echo, interval: 100ms, timeout: 200ms, rise: 1, fall: 2 }',
  });
  await balancer.servers.find(({ server, state }) => server === 's1' && state === 'down');
  expect(await echoOnce(balancer.vip)).toBe('0000');
  expect(await balancer.associations.find(() => true)).toMatchObject({ server: 's2', attempts: 1 });
  silent.script = accepting();
  await balancer.servers.find(({ server, state }) => server === 's1' && state === 'up');
  expect(await echoOnce(balancer.vip)).toBe('0000');
  await balancer.associations.find(({ server }) => server === 's1');
});

test('a server that is slow to accept has its time while nobody else can be asked', async () => {
  const gate = createGate();
  const slow = await scp(accepting({ holdAccept: gate.opened }));
  const balancer = await balance([slow], { dicom: 'timeouts: { connect: 100ms, accept: 20s, idle: 300ms }' });
  const client = await requestAssociation(balancer.vip, { calling: 'CT1' });
  await slow.associations.find(({ parsed }) => parsed !== undefined);
  slow.script = accepting();
  await letIdleTimePass(balancer);
  gate.open();
  await client.receiveAnswer();
  expect(client.outcome).toBe('accepted');
  await client.release();
});
