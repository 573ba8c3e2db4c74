/** What the certificate of a client may call itself: `tls.aeTitles` and `tls.senders`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatFault } from '../../src/config/fault.ts';
import { readConfiguration } from '../../src/config/load.ts';
import { isProxy } from '../../src/config/schema.ts';
import { createAuthority } from '../peers/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'gantry-config-tls-names-'));
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(async () => {
  const { ca, issue } = await createAuthority();
  const { cert, key } = await issue({ names: ['a.test'] });
  const files = { 'own.pem': cert, 'own.key': key, 'ca.pem': ca };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
});

const read = (text: string) => readConfiguration(text, { file: join(folder, 'f.yaml'), environment: {} });

/** Faults without the folder. */
function faultsIn(text: string): string[] {
  return (read(text).faults ?? []).map((fault) => formatFault({ ...fault, file: 'f.yaml' }));
}

const vip = (tls: string) =>
  `pools: { a: { servers: [10.0.0.1] } }\nvips:\n  V:\n    protocol: tcp\n    listen: 127.0.0.1:0\n    pool: a\n    tls: ${tls}\n`;

/** The place in `text` that ▸ marks, and the text without it. */
function marked(text: string): { text: string; place: string } {
  const before = text.slice(0, text.indexOf('▸')).split('\n');
  return { text: text.replace('▸', ''), place: `${before.length}:${before.at(-1)!.length + 1}` };
}

describe('AE titles of certificates', () => {
  const dicom = (aeTitles: string, clientCa = ', clientCa: file:ca.pem') =>
    vip(`{ cert: file:own.pem, key: file:own.key${clientCa}, aeTitles: ${aeTitles} }`).replace(
      'tcp',
      'dicom',
    );

  it('by names in their subjects, which stay as they are written', () => {
    const { configuration } = read(
      dicom('{ CN=ct1: CT1, "O = Hospital, CN = mr*": [MR1, "0012"] }').replace(
        'aeTitles',
        'profile: modified, aeTitles',
      ),
    );
    expect(configuration?.vips.filter(isProxy)[0]?.tls).toMatchObject({
      profile: 'modified',
      aeTitles: { 'CN=ct1': ['CT1'], 'O = Hospital, CN = mr*': ['MR1', '0012'] },
    });
  });

  it('are not asked for by default, and the profile is that of BCP 195', () => {
    const { configuration } = read(vip('{ cert: file:own.pem, key: file:own.key }'));
    expect(configuration?.vips.filter(isProxy)[0]?.tls).toMatchObject({ profile: 'bcp195', aeTitles: {} });
  });

  it.each([
    [
      'without authorities of clients',
      dicom('{ CN=ct1: CT1 }', '').replace('aeTitles', '▸aeTitles'),
      'vips.V.tls.aeTitles: needs `clientCa`: without it no client shows a certificate',
    ],
    [
      'of nobody',
      dicom('▸{}'),
      'vips.V.tls.aeTitles: names no certificate: no client could use any AE title',
    ],
    [
      'of a subject that is no name',
      dicom('{ ▸ct1: CT1 }'),
      'vips.V.tls.aeTitles.ct1: "ct1" is no name in a subject: "CN=ct1" or "CN=ct1,O=Hospital" would be right',
    ],
    [
      'that are none',
      dicom('{ CN=ct1: ▸SEVENTEEN_LETTERS }'),
      'vips.V.tls.aeTitles.CN=ct1: "SEVENTEEN_LETTERS" is not an AE title: 1 to 16 characters of ASCII without "\\" would be right',
    ],
  ])('%s: a fault at its place', (_name, written, fault) => {
    const { text, place } = marked(written);
    expect(faultsIn(text)).toEqual([`f.yaml:${place}: ${fault}`]);
  });
});

describe('sending applications of certificates', () => {
  const hl7 = (senders: string, clientCa = ', clientCa: file:ca.pem') =>
    vip(`{ cert: file:own.pem, key: file:own.key${clientCa}, senders: ${senders} }`).replace('tcp', 'hl7');

  it('by names in their subjects, as patterns', () => {
    const { configuration } = read(hl7('{ CN=his: [HIS, "LAB*"], "CN=ris,O=Hospital": "/^RIS[0-9]$/" }'));
    expect(configuration?.vips.filter(isProxy)[0]?.tls).toMatchObject({
      aeTitles: {},
      senders: { 'CN=his': ['HIS', 'LAB*'], 'CN=ris,O=Hospital': ['/^RIS[0-9]$/'] },
    });
  });

  it.each([
    [
      'for another protocol',
      hl7('{ CN=his: HIS }').replace('hl7', 'dicom').replace('senders', '▸senders'),
      'vips.V.tls.senders: is for HL7: `aeTitles` would be right for dicom',
    ],
    [
      'AE titles in their place',
      hl7('{ CN=his: HIS }').replace('senders', '▸aeTitles'),
      'vips.V.tls.aeTitles: is for DICOM: `senders` would be right for hl7',
    ],
    [
      'without authorities of clients',
      hl7('{ CN=his: HIS }', '').replace('senders', '▸senders'),
      'vips.V.tls.senders: needs `clientCa`: without it no client shows a certificate',
    ],
    [
      'of nobody',
      hl7('▸{}'),
      'vips.V.tls.senders: names no certificate: no client could use any sending application',
    ],
    [
      'of a subject that is no name',
      hl7('{ ▸his: HIS }'),
      'vips.V.tls.senders.his: "his" is no name in a subject: "CN=ct1" or "CN=ct1,O=Hospital" would be right',
    ],
    [
      'by a pattern that cannot be read',
      hl7('{ CN=his: [HIS, ▸"/(/"] }'),
      'vips.V.tls.senders.CN=his[2]: is not a regular expression: Invalid regular expression: /(/: Unterminated group',
    ],
  ])('%s: a fault at its place', (_name, written, fault) => {
    const { text, place } = marked(written);
    expect(faultsIn(text)).toEqual([`f.yaml:${place}: ${fault}`]);
  });
});
