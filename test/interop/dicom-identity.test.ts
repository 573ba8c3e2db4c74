/** Must show, TLS and identity: DCMTK's senders with certificates of their own, and what a VIP lets each of them be. */
import { expect, test } from 'vitest';
import { type Authority, createAuthority } from '../peers/certificates.ts';
import {
  type ClientOptions,
  echoscu,
  startStorescp,
  startStorescu,
  storescu,
  whileStopped,
} from '../peers/dcmtk.ts';
import { expectedDataSets, storedDataSets, writeInstances } from '../peers/dicom-files.ts';
import { describeWith } from '../peers/processes.ts';
import { startTestBalancer } from '../peers/start-balancer.ts';
import { type CertificateFiles, clientFiles, pem, serverFiles } from './dicom-certificates.ts';
import { pathOf, startVip, stopLater } from './dicom-setup.ts';

const CALLING_NOT_RECOGNIZED = /Calling AE Title Not Recognized/;

/** What of DCMTK's options makes it speak TLS with this certificate, and believe these authorities. */
function withTls({ cert, key }: CertificateFiles, ca: string, ...args: readonly string[]): string[] {
  return ['+tls', key, cert, '+cf', ca, ...args];
}

/** The lines of a VIP that ends TLS and asks for certificates; `more` of its record. */
async function tlsOf(authority: Authority, more: string): Promise<string> {
  const { cert, key } = await serverFiles(authority, 'balancer');
  const ca = pem('ca.pem', authority.ca);
  return `tls: { cert: "file:${cert}", key: "file:${key}", clientCa: "file:${ca}"${more} }`;
}

const ROUTINGS = ['route: association', 'route: study, storage: shared'];

describeWith(['dcmtk', 'openssl'], 'certificates and AE titles', () => {
  test.each(ROUTINGS)(
    'storescu with TLS and a client certificate: allowed AE in, other AE 1/1/3 (%s)',
    async (route) => {
      const authority = await createAuthority();
      const server = stopLater(await startStorescp(pathOf('stored')));
      const aeTitles = '{ CN=ct1: [CT1, CT1_TEST], "O = Hospital, CN = mr*": MR, "OU=Radiology": ANY_ROOM }';
      const balancer = await startVip([{ name: 's1', endpoint: server.endpoint }], {
        vip: `dicom: { ${route} }\n${await tlsOf(authority, `, aeTitles: ${aeTitles}`)}`,
      });
      const instances = writeInstances(pathOf('files'), 8, 512);
      const paths = instances.map(({ path }) => path);
      const ca = pathOf('ca.pem');
      const store = async (subject: string, calling: string, files: readonly string[]) => {
        const own = await clientFiles(authority, 'modality', subject);
        return storescu(balancer.vip, files, { calling, args: ['-R', ...withTls(own, ca)] });
      };

      for (const [subject, calling] of [
        ['/O=Hospital/CN=ct1', 'CT1'],
        ['/O=Hospital/CN=ct1', 'CT1_TEST'],
        ['/O=Hospital/CN=mr7', 'MR'],
        ['/O=Hospital/OU=Radiology/CN=mr7', 'ANY_ROOM'],
      ] as const) {
        const { code, output } = await store(subject, calling, paths.splice(0, 2));
        expect(code, output).toBe(0);
      }
      expect(storedDataSets(server.folder)).toEqual(expectedDataSets(instances));

      for (const [subject, calling] of [
        ['/O=Hospital/CN=ct1', 'MR'],
        ['/O=Hospital/CN=ct1', 'CT2'],
        ['/O=Clinic/CN=mr7', 'MR'],
        // Subjects that are not listed may be nobody, whatever they look like.
        ['/O=Hospital/CN=us1', 'US1'],
        ['/O=Hospital/CN=ct12', 'CT1'],
        ['/O=Hospital,CN=ct1/CN=us1', 'CT1'],
      ] as const) {
        const { code, output } = await store(subject, calling, [instances[0]!.path]);
        expect(code, `${subject} ${calling}`).not.toBe(0);
        expect(output).toMatch(CALLING_NOT_RECOGNIZED);
      }
      const ended = await balancer.associations.count(10);
      const rejected = ended.filter(({ end }) => end !== 'release');
      expect(rejected.map(({ rule, end, code }) => `${rule} ${end} ${code}`)).toEqual(
        Array.from({ length: 6 }, () => 'tls.aeTitles reject 1/1/3'),
      );
      expect(server.files()).toHaveLength(8);
    },
  );

  test('an AE title from an address that is not its own: 1/1/3', async () => {
    const server = stopLater(await startStorescp(pathOf('stored')));
    const balancer = await startVip([{ name: 's1', endpoint: server.endpoint }], {
      vip: 'dicom: { clients: { CT1: [10.1.0.0/16, 127.0.0.0/8], MR1: 10.2.0.0/16, US1: "2001:db8::/32" } }',
    });
    const files = writeInstances(pathOf('files'), 1).map(({ path }) => path);
    const store = (calling: string) => storescu(balancer.vip, files, { calling });
    for (const calling of ['CT1', 'UNBOUND']) expect((await store(calling)).code, calling).toBe(0);
    for (const calling of ['MR1', 'US1']) {
      const { code, output } = await store(calling);
      expect(code, calling).not.toBe(0);
      expect(output).toMatch(CALLING_NOT_RECOGNIZED);
    }
    const ended = await balancer.associations.count(4);
    // One that was let in ends when its server is gone too: perhaps behind the next one.
    expect(ended.map(({ calling, rule, code }) => `${calling} ${rule} ${code ?? 'in'}`).toSorted()).toEqual([
      'CT1 default in',
      'MR1 dicom.clients 1/1/3',
      'UNBOUND default in',
      'US1 dicom.clients 1/1/3',
    ]);
  });
});

describeWith(['dcmtk', 'openssl'], 'TLS profiles', () => {
  const BCP195 = ['--profile-bcp195', '--profile-bcp195-nd', '--profile-bcp195-ex'];
  const RETIRED = ['--profile-aes', '--profile-null'];

  test.each([
    ['bcp195', 'ec'],
    ['bcp195', 'rsa'],
    ['modified', 'ec'],
    ['modified', 'rsa'],
  ] as const)(
    "DCMTK's BCP 195 profiles connect to %s with a key of kind %s, the retired ones do not",
    async (profile, keyType) => {
      const authority = await createAuthority();
      const ca = pem('ca.pem', authority.ca);
      const { cert, key } = await serverFiles(authority, 'balancer', { keyType });
      const own = await clientFiles(authority, 'ct1', '/CN=ct1');
      const server = stopLater(await startStorescp(pathOf('stored')));
      const balancer = await startVip([{ name: 's1', endpoint: server.endpoint }], {
        vip: `tls: { cert: "file:${cert}", key: "file:${key}", clientCa: "file:${ca}", profile: ${profile} }`,
      });
      const codeOf = async (option: string) =>
        (await echoscu(balancer.vip, { args: withTls(own, ca, option) })).code;
      for (const option of BCP195) expect(await codeOf(option), option).toBe(0);
      for (const option of RETIRED) expect(await codeOf(option), option).not.toBe(0);
      const ended = await balancer.associations.count(3);
      expect(ended.map(({ end }) => end)).toEqual(['release', 'release', 'release']);
      const { fields } = await balancer.notices.find(
        ({ message }) => message === 'a connection was turned away',
      );
      expect(fields.reason).toBe('it has no cipher in common, or wants a certificate');
    },
  );

  test.each(['bcp195', 'modified'])('%s towards storescp with each of its profiles', async (profile) => {
    const authority = await createAuthority();
    const ca = pem('ca.pem', authority.ca);
    const own = await serverFiles(authority, 'server', { keyType: 'rsa' });
    const names = [...BCP195, ...RETIRED];
    const servers = await Promise.all(
      names.map(async (option) => {
        const args = [...withTls(own, ca, option), '-ic'];
        return stopLater(await startStorescp(pathOf(option), { args }));
      }),
    );
    const tls = `tls: { ca: "file:${ca}", profile: ${profile} }, health: { check: none }`;
    const lines = (line: (index: number) => string) => names.map((_, index) => line(index)).join('\n');
    const balancer = stopLater(
      await startTestBalancer(`
pools:
${lines((index) => `  P${index}: { servers: ["${servers[index]!.endpoint}"], ${tls} }`)}
vips:
${lines((index) => `  V${index}: { protocol: dicom, listen: ["127.0.0.1:0"], pool: P${index} }`)}
`),
    );
    const codes: Record<string, number | undefined> = {};
    for (const [index, option] of names.entries())
      codes[option] = (await echoscu(balancer.address(`V${index}`))).code;
    expect(codes).toEqual({
      ...Object.fromEntries(BCP195.map((option) => [option, 0])),
      ...Object.fromEntries(RETIRED.map((option) => [option, 1])),
    });
  });
});

describeWith(['dcmtk', 'openssl'], 'plain and TLS on the wrong port', () => {
  test('each is closed at once, with a sentence', async () => {
    const authority = await createAuthority();
    const own = await clientFiles(authority, 'ct1', '/CN=ct1');
    const server = stopLater(await startStorescp(pathOf('stored')));
    const tls = await tlsOf(authority, '');
    const balancer = stopLater(
      await startTestBalancer(`
pools: { P: { servers: ["${server.endpoint}"], health: { check: none } } }
vips:
  PLAIN: { protocol: dicom, listen: ["127.0.0.1:0"], pool: P }
  SECURE: { protocol: dicom, listen: ["127.0.0.1:0"], pool: P, ${tls} }
`),
    );
    const options: ClientOptions = { args: withTls(own, pathOf('ca.pem')) };
    expect((await echoscu(balancer.address('SECURE'))).code).not.toBe(0);
    expect((await echoscu(balancer.address('PLAIN'), options)).code).not.toBe(0);
    const said = (await balancer.notices.count(3))
      .slice(1)
      .map(({ message, fields }) => ({ message, ...fields }));
    expect(said).toMatchObject([
      { message: 'a connection was turned away', vip: 'SECURE', reason: 'it speaks DICOM without TLS' },
      {
        message: expect.stringMatching(/^a client spoke TLS to this plain port: give it the TLS port/),
        vip: 'PLAIN',
      },
    ]);
    expect((await echoscu(balancer.address('SECURE'), options)).code).toBe(0);
    expect((await echoscu(balancer.address('PLAIN'))).code).toBe(0);
  });
});

describeWith(['dcmtk', 'openssl'], 'certificates that change', () => {
  test.each(ROUTINGS)(
    'an open association goes on, a new one sees the new certificate and the new AE titles (%s)',
    async (route) => {
      const [before, after] = await Promise.all([createAuthority(), createAuthority('The authority after')]);
      const [caBefore, caAfter] = [pem('before.pem', before.ca), pem('after.pem', after.ca)];
      const both = pem('both.pem', before.ca + after.ca);
      const own = await clientFiles(before, 'ct1', '/CN=ct1');
      const server = stopLater(await startStorescp(pathOf('stored')));
      const renewed = await after.issue({ names: ['127.0.0.1'] });
      const configuration = (aes: string) => `
pools: { P: { servers: ["${server.endpoint}"], health: { check: none } } }
vips:
  V:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    pool: P
    dicom: { ${route} }
    tls: { cert: "file:${pathOf('balancer.pem')}", key: "file:${pathOf('balancer.key')}", clientCa: "file:${both}", aeTitles: { CN=ct1: ${aes} } }
`;
      await serverFiles(before, 'balancer');
      const balancer = stopLater(await startTestBalancer(configuration('CT1')));
      const to = balancer.address('V');
      const instances = ['first', 'second', 'third'].flatMap((study) =>
        writeInstances(pathOf(study), 48, 512, study),
      );
      const paths = instances.map(({ path }) => path);
      const args = ['-R', ...withTls(own, caBefore)];
      const running = stopLater(startStorescu(to, paths, { calling: 'CT1', args }));
      while (server.files().length < 5) await new Promise(setImmediate);

      // The change comes in the middle, however fast the sender is.
      await whileStopped(running, async () => {
        pem('balancer.pem', renewed.cert);
        pem('balancer.key', renewed.key);
        await balancer.apply(configuration('CT2'));
        expect(balancer.associations.length).toBe(0);
      });
      const echo = (calling: string, ca: string) => echoscu(to, { calling, args: withTls(own, ca) });
      expect((await echo('CT2', caAfter)).code).toBe(0);
      expect((await echo('CT2', caBefore)).code).not.toBe(0);
      expect((await echo('CT1', caAfter)).output).toMatch(CALLING_NOT_RECOGNIZED);

      const { code, output } = await running.exited;
      expect(code, output).toBe(0);
      expect(storedDataSets(server.folder)).toEqual(expectedDataSets(instances));
    },
  );
});
