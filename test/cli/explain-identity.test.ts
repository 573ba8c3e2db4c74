/** `gantry explain`: why an AE title is turned away, by the certificate and by the address it comes with. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAuthority } from '../peers/certificates.ts';
import { skipWithout } from '../peers/processes.ts';
import { runHere } from './run-cli.ts';

skipWithout('openssl');

const folder = mkdtempSync(join(tmpdir(), 'gantry-explain-identity-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(async () => {
  const { ca, issue } = await createAuthority();
  const { cert, key } = await issue({ names: ['archive.test'] });
  const files = {
    'ca.pem': ca,
    'own.pem': cert,
    'own.key': key,
    'gantry.yaml': `
pools: { archive: { servers: [10.0.0.1:104] } }
vips:
  SECURE:
    protocol: dicom
    listen: 10.0.0.9:2762
    pool: archive
    tls:
      cert: file:own.pem
      key: file:own.key
      clientCa: file:ca.pem
      aeTitles: { CN=ct1: [CT1, CT1_TEST], "CN=mr*,O=Hospital": MR, OU=Radiology: ANY, CN=gateway: "RAD_*" }
    dicom: { ignoreCase: true, clients: { MR: 10.2.0.0/16 } }
`,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
});

const REJECTED = 'calling-ae-not-recognized';

it.each([
  ['CN=ct1,O=Hospital', 'CT1', 'default', null],
  ['CN=ct1,O=Hospital', 'ct1_test', 'default', null],
  ['CN=ct1,OU=Radiology,O=Hospital', 'ANY', 'default', null],
  ['CN=ct1,OU=Radiology,O=Hospital', 'CT1', 'default', null],
  ['CN=gateway,O=Hospital', 'RAD_7', 'default', null],
  ['CN=gateway,O=Hospital', 'CT1', 'tls.aeTitles', REJECTED],
  ['CN=ct1,O=Hospital', 'MR', 'tls.aeTitles', REJECTED],
  ['CN=mr3,O=Clinic', 'MR', 'tls.aeTitles', REJECTED],
  ['CN=us1,O=Hospital', 'US1', 'tls.aeTitles', REJECTED],
  ['CN=x\\,CN=ct1', 'CT1', 'tls.aeTitles', REJECTED],
  [undefined, 'CT1', 'tls.aeTitles', REJECTED],
])('%s as %s: %s', async (subject, calling, rule, reject) => {
  const facts = ['--calling', calling, '--client', '10.2.0.7', ...(subject ? ['--tlsSubject', subject] : [])];
  const { code, stdout } = await runHere(['explain', '-c', join(folder, 'gantry.yaml'), ...facts, '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ rule, reject });
});

it('both must hold: the certificate and the address', async () => {
  const facts = ['--calling', 'MR', '--client', '10.1.0.7', '--tlsSubject', 'CN=mr3,O=Hospital'];
  const { stdout } = await runHere(['explain', '-c', join(folder, 'gantry.yaml'), ...facts, '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ rule: 'dicom.clients', reject: REJECTED });
});
