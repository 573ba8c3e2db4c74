/** Two archives that should be alike, and are not: the probe names what each of them lacks. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runHere } from '../cli/run-cli.ts';
import { createAuthority } from '../peers/certificates.ts';
import { startStorescp } from '../peers/dcmtk.ts';
import { type Orthanc, startOrthanc } from '../peers/orthanc.ts';
import { describeWith } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';
import { pem, serverFiles } from './dicom-certificates.ts';
import { pathOf, stopLater } from './dicom-setup.ts';

/** Orthanc looks at the calling AE title of an association only when nothing at all is allowed to everybody. */
const KNOWN_ONLY = {
  DicomAlwaysAllowEcho: false,
  DicomAlwaysAllowStore: false,
  DicomAlwaysAllowFind: false,
  DicomAlwaysAllowGet: false,
  DicomAlwaysAllowMove: false,
};
/** Little endian, JPEG Baseline, JPEG 2000, RLE: no JPEG Lossless SV1. */
const SYNTAXES = ['2', '2.1', '2.4.50', '2.4.90', '2.4.91', '2.5'].map(
  (suffix) => `1.2.840.10008.1.${suffix}`,
);
const JPEG_LOSSLESS_SV1 = '1.2.840.10008.1.2.4.70';

const somewhere: Address = { host: '127.0.0.1', port: 9 };

async function start(name: string, known: readonly string[], syntaxes: readonly string[]): Promise<Orthanc> {
  const modalities = Object.fromEntries(known.map((ae) => [ae, somewhere]));
  const configuration = { ...KNOWN_ONLY, AcceptedTransferSyntaxes: syntaxes };
  return stopLater(await startOrthanc(pathOf(name), { ae: 'ARCHIVE', modalities, configuration }));
}

function configure(a: Orthanc, b: Orthanc): string {
  const file = pathOf('gantry.yaml');
  writeFileSync(
    file,
    `
version: 1
pools:
  archive:
    servers:
      - { name: pacs-a, address: "${a.endpoint}" }
      - { name: pacs-b, address: "${b.endpoint}" }
    health: { check: dicom-echo, called: ARCHIVE }
vips:
  ARCHIVE:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    pool: archive
    dicom: { clients: { CT1: 127.0.0.0/8, CT3: 127.0.0.0/8 } }
`,
  );
  return file;
}

describeWith(['orthanc'], 'gantry probe on a pool of two Orthanc', () => {
  test('one Orthanc does not know an AE and another lacks a transfer syntax: names both', async () => {
    const a = await start('a', ['CT1', 'GANTRY'], [...SYNTAXES, JPEG_LOSSLESS_SV1]);
    const b = await start('b', ['CT1', 'CT3', 'GANTRY'], SYNTAXES);
    const { code, stdout, stderr } = await runHere(['probe', '-c', configure(a, b)]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'gantry: 2 findings\n' });
    expect(stdout.split('\n').filter((line) => line.startsWith('pool archive:'))).toEqual([
      'pool archive: pacs-a does not accept calling AE CT3 (1/1/3: rejected permanently by the service user, calling AE title not recognized), pacs-b does',
      'pool archive: pacs-b does not accept JPEG Lossless SV1 for CT Image Storage, MR Image Storage and 13 more SOP classes, pacs-a does',
    ]);
    expect(stdout).toMatch(/^CT1 +ARCHIVE +accepted +accepted\nCT3 +ARCHIVE +1\/1\/3 +accepted$/m);
    expect(stdout).toMatch(/^JPEG Baseline +15 SOP classes +15 SOP classes$/m);
    expect(stdout).toMatch(/^JPEG Lossless SV1 +15 SOP classes +none$/m);
    expect([await a.instances(), await b.instances()]).toEqual([[], []]);
  });

  test('--all: every storage SOP class; alike when they are configured alike', async () => {
    const [a, b] = [
      await start('a', ['CT1', 'CT3', 'GANTRY'], SYNTAXES),
      await start('b', ['CT1', 'CT3', 'GANTRY'], SYNTAXES),
    ];
    const { code, stdout, stderr } = await runHere(['probe', '-c', configure(a, b), '--all', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [pool] = JSON.parse(stdout).pools;
    expect(pool.findings).toEqual([]);
    expect(Object.keys(pool.proposed).length).toBeGreaterThan(150);
    expect(pool.servers[0].titles[0].contexts['1.2.840.10008.5.1.4.1.1.2']).toEqual(SYNTAXES);
  });
});

describeWith(['dcmtk', 'openssl'], 'gantry probe on servers of DCMTK', () => {
  test('in TLS where the pool is: a server whose certificate is not good could not be asked', async () => {
    const authority = await createAuthority();
    const certificates = [
      await serverFiles(authority, 'good'),
      await serverFiles(await createAuthority('Another authority'), 'bad'),
    ];
    const [good, bad] = await Promise.all(
      certificates.map(async ({ cert, key }, index) =>
        stopLater(await startStorescp(pathOf(`store${index}`), { args: ['+tls', key, cert, '-ic'] })),
      ),
    );
    const file = pathOf('gantry.yaml');
    writeFileSync(
      file,
      `
version: 1
pools:
  archive:
    servers: [{ name: good, address: "${good!.endpoint}" }, { name: bad, address: "${bad!.endpoint}" }]
    tls: { ca: "file:${pem('ca.pem', authority.ca)}" }
vips:
  ARCHIVE: { protocol: dicom, listen: ["127.0.0.1:0"], pool: archive }
`,
    );
    const { code, stdout } = await runHere(['probe', '-c', file]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^GANTRY +ANY-SCP +accepted +unreachable$/m);
    expect(stdout).toMatch(/^pool archive: bad could not be asked: .*certificate/m);
  });
});
