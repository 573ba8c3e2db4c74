/** How clients come in and how servers are reached: PROXY headers either way, and the times that a pool has of its own. */
import { expect, test } from 'vitest';
import { createClientSource } from '../../peers/client-source.ts';
import { serve, stalling } from '../../peers/dicom-scp.ts';
import { associate, echoOnce, ScuAssociation } from '../../peers/dicom-scu.ts';
import { associateRequest } from '../../peers/pdus.ts';
import { openConnection } from '../../peers/test-connection.ts';
import { scp } from './setup.ts';
import { directorTo, poolOf, startDicom, TIMEOUTS } from './start-front-end.ts';

test('PROXY header out: the server hears of the client and of the address that it came to, then gets its request', async () => {
  const headers: string[] = [];
  const server = await scp(async (association) => {
    let header = '';
    while (!header.endsWith('\r\n')) header += (await association.connection.read(1)).toString();
    headers.push(header);
    await association.receiveRequest();
    await association.sendAccept();
    await serve(association);
  });
  const dicom = await startDicom([server.address], {
    more: { links: new Map([['P', { proxyProtocol: 1 }]]) },
  });
  const scu = await associate(dicom.address, { localAddress: '127.0.0.7' });
  const { port } = scu.connection.socket.address() as { port: number };
  expect(headers).toEqual([`PROXY TCP4 127.0.0.7 127.0.0.1 ${port} ${dicom.address.port}\r\n`]);
  expect(await scu.echo()).toBe(0);
  await scu.release();
});

test('PROXY header in: rules and the log go by the client that it names', async () => {
  const [one, other] = [await scp(), await scp()];
  const dicom = await startDicom([one.address]);
  const pool = poolOf('Q', [other.address]);
  const rule = { when: { facts: [{ name: 'client', patterns: ['10.1.0.0/16'] }] }, pool };
  dicom.frontEnd.reconfigure({
    ...dicom.options,
    director: directorTo(dicom.pool, [rule]),
    pools: [dicom.pool, pool],
    entrance: { ...dicom.options.entrance, proxyProtocol: { from: () => true } },
  });
  const connection = await openConnection(dicom.address);
  const request = associateRequest();
  await connection.write(Buffer.concat([Buffer.from('PROXY TCP4 10.1.2.3 10.0.0.4 40000 104\r\n'), request]));
  const scu = new ScuAssociation(connection, request);
  await scu.receiveAnswer();
  expect(scu.outcome).toBe('accepted');
  expect(other.associations.length).toBe(1);
  await scu.release();
  expect((await dicom.associations.count(1))[0]).toMatchObject({
    client: '10.1.2.3',
    server: 's1',
    pool: 'Q',
  });
});

test('`source: client`: the association comes from a port claimed for its client; a server that cannot see it is not to blame', async () => {
  const servers = [await scp(), await scp()];
  const source = createClientSource({ refusesFor: servers[0]!.address.port });
  const dicom = await startDicom(
    servers.map(({ address }) => address),
    { more: { links: new Map([['P', { source: { ofClients: source } }]]) } },
  );
  const scu = await associate(dicom.address, { localAddress: '127.0.0.7' });
  expect(await scu.echo()).toBe(0);
  const [association] = servers[1]!.associations.items;
  expect(source.clientOf(association!.connection.socket.remotePort)).toBe('127.0.0.7');
  await scu.release();
  await source.claims.find(({ isReleased }) => isReleased);
  expect(source.claims.length).toBe(1);
  expect(dicom.servers.map(({ totals }) => totals.failures)).toEqual([0, 0]);
  expect((await dicom.associations.count(1))[0]).toMatchObject({ server: 's2', attempts: 2 });
});

test('timeouts.connect of the pool goes before that of the VIP', async () => {
  const servers = [await scp(stalling()), await scp()];
  const dicom = await startDicom(
    servers.map(({ address }) => address),
    {
      more: {
        timeouts: { ...TIMEOUTS, connect: 60_000, accept: 60_000 },
        links: new Map([['P', { connectTimeout: 100 }]]),
      },
    },
  );
  expect(await echoOnce(dicom.address)).toBe('0000');
  expect((await dicom.associations.count(1))[0]).toMatchObject({ server: 's2', attempts: 2 });
});

test('timeouts.response of the pool: no server answers for so long', async () => {
  const server = await scp(stalling());
  const dicom = await startDicom([server.address], {
    more: { links: new Map([['P', { responseTimeout: 150 }]]) },
  });
  expect(await echoOnce(dicom.address)).toBe('rejected 2/3/1');
  expect(dicom.associations.items[0]).toMatchObject({ detail: 'no server answered in time' });
});
