/** DCMTK in TLS on either side of the balancer, with certificates on either side of each connection. */
import { expect, test } from 'vitest';
import { createAuthority } from '../peers/certificates.ts';
import { echoscu, startStorescp, storescu } from '../peers/dcmtk.ts';
import { storedDataSets, writeInstances } from '../peers/dicom-files.ts';
import { describeWith } from '../peers/processes.ts';
import { startTestBalancer, type TestBalancer } from '../peers/start-balancer.ts';
import { type CertificateFiles, clientFiles, pem, serverFiles } from './dicom-certificates.ts';
import { pathOf, stopLater } from './dicom-setup.ts';

describeWith(['dcmtk', 'openssl'], 'TLS', () => {
  test('storescu +tls with a certificate, storescp +tls that asks for one: stored through both, routed by the subject', async () => {
    const authority = await createAuthority();
    const ca = pem('ca.pem', authority.ca);
    const own = await serverFiles(authority, 'balancer');
    const toServer = await clientFiles(authority, 'to-server', '/O=Hospital/CN=gantry');
    const atServer = await serverFiles(authority, 'server');
    const modality = await clientFiles(authority, 'ct1', '/O=Hospital/CN=ct1');
    const tlsArgs = ['+tls', atServer.key, atServer.cert, '+cf', ca];
    const secure = stopLater(await startStorescp(pathOf('secure'), { args: tlsArgs }));
    const plain = stopLater(await startStorescp(pathOf('plain')));
    const balancer = stopLater(
      await startTestBalancer(`
pools:
  SECURE:
    servers: [{ name: secure, address: "${secure.endpoint}" }]
    tls: { ca: "file:${ca}", cert: "file:${toServer.cert}", key: "file:${toServer.key}" }
    health: { check: none }
  PLAIN: { servers: [{ name: plain, address: "${plain.endpoint}" }], health: { check: none } }
vips:
  V:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    tls: { cert: "file:${own.cert}", key: "file:${own.key}", clientCa: "file:${ca}" }
    pool: PLAIN
    routes: [{ when: { tlsSubject: "CN=ct1,O=Hospital" }, pool: SECURE }]
`),
    );
    const to = balancer.address('V');
    const as = ({ cert, key }: CertificateFiles) => ['-R', '+tls', key, cert, '+cf', ca];
    const instances = writeInstances(pathOf('files'), 12, 512);
    const paths = instances.map(({ path }) => path);
    const run = await storescu(to, paths, { args: as(modality) });
    expect(run.code, run.output).toBe(0);
    const stored = storedDataSets(secure.folder);
    expect([...stored.keys()].toSorted()).toEqual(instances.map(({ sopInstance }) => sopInstance).toSorted());

    const other = await clientFiles(authority, 'mr1', '/O=Hospital/CN=mr1');
    expect((await storescu(to, paths.slice(0, 1), { args: as(other) })).code).toBe(0);
    expect(plain.files()).toHaveLength(1);

    // No certificate, one of a stranger, and no TLS at all: never an association.
    const anonymous = await echoscu(to, { args: ['+tla', '+cf', ca] });
    expect(anonymous.code).not.toBe(0);
    const stranger = await clientFiles(await createAuthority('Another authority'), 'x', '/CN=ct1');
    expect((await storescu(to, paths.slice(0, 1), { args: as(stranger) })).code).not.toBe(0);
    expect((await echoscu(to)).code).not.toBe(0);
    const ended = await balancer.associations.count(2);
    expect(ended.map(({ server, end }) => `${server} ${end}`)).toEqual(['secure release', 'plain release']);
  });

  test('a server whose certificate is not good: the next one, and when there is none 2/3/1', async () => {
    const authority = await createAuthority();
    const ca = pem('ca.pem', authority.ca);
    const good = await serverFiles(authority, 'good');
    const bad = await serverFiles(await createAuthority('Another authority'), 'bad');
    const serverWith = async ({ cert, key }: CertificateFiles, name: string) =>
      stopLater(await startStorescp(pathOf(name), { args: ['+tls', key, cert, '-ic'] }));
    const [wrong, right] = [await serverWith(bad, 'wrong'), await serverWith(good, 'right')];
    const balancer = stopLater(await startTestBalancer(twoPools(ca, wrong.endpoint, right.endpoint)));
    expect(await echo(balancer, 'BOTH')).toBe(0);
    expect(await echo(balancer, 'WRONG')).not.toBe(0);
    const ended = await balancer.associations.count(2);
    expect(ended.toSorted((a, b) => a.vip.localeCompare(b.vip))).toMatchObject([
      { server: 'right', attempts: 2, end: 'release' },
      { server: 'wrong', end: 'reject', code: '2/3/1' },
    ]);
  });
});

function twoPools(ca: string, wrong: string, right: string): string {
  const tls = `tls: { ca: "file:${ca}" }, health: { check: none }, balance: first`;
  return `
pools:
  BOTH: { servers: [{ name: wrong, address: "${wrong}" }, { name: right, address: "${right}" }], ${tls} }
  WRONG: { servers: [{ name: wrong, address: "${wrong}" }], ${tls} }
vips:
  BOTH: { protocol: dicom, listen: ["127.0.0.1:0"], pool: BOTH }
  WRONG: { protocol: dicom, listen: ["127.0.0.1:0"], pool: WRONG }
`;
}

async function echo(balancer: TestBalancer, vip: string): Promise<number | undefined> {
  return (await echoscu(balancer.address(vip))).code;
}
