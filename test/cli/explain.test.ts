import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { givenFacts, parseFacts } from '../../src/cli/given-facts.ts';
import { readConfiguration } from '../../src/config/load.ts';
import { createSample } from '../../src/demo/sample-files.ts';
import { hl7Message } from '../peers/hl7-messages.ts';
import { mllpFrame } from '../peers/mllp-peer.ts';
import { associateRequest } from '../peers/pdus.ts';
import { runHere } from './run-cli.ts';

const text = `
pools:
  archive: { servers: [10.0.0.1:104, 10.0.0.2:104] }
  ct: { servers: [{ name: ct-a, address: 10.0.0.3:104 }, { name: spare, address: 10.0.0.4:104, backup: true }] }
  ris: { servers: [10.0.0.5:2310] }
  web: { servers: [10.0.0.6:80] }
  app: { servers: [10.0.0.7, 10.0.0.8], persistence: { by: source-ip, netmask: 24 } }
vips:
  ARCHIVE:
    protocol: dicom
    listen: 10.0.0.9:104
    routes:
      - { when: { modality: CT }, pool: ct }
      - { when: { called: OLD }, reject: called-ae-not-recognized }
      - { when: { calling: "-X" }, pool: ct }
    pool: archive
    persistence: { by: calling }
  STUDIES:
    protocol: dicom
    listen: 10.0.0.9:11112
    pool: archive
    dicom: { route: study, storage: shared }
    routes: [{ when: { calling: "ER*" }, urgent: true }]
  RIS:
    protocol: hl7
    listen: 10.0.0.9:2310
    routes: [{ when: { type: ADT, version: "2.5.1" }, pool: ris }, { when: { PID-3.4: HOSP }, pool: ris }]
  PORTAL:
    protocol: http
    listen: 10.0.0.9:80
    routes:
      - { when: { path: "/app/*", query.id: "7*", method: [GET, HEAD] }, pool: app }
      - { when: { header.X-Site: north }, pool: app }
      - { when: { cookie.beta: "1" }, pool: app }
      - { when: { host: old.example }, redirect: "https://new.example/" }
      - { when: { path: / }, reject: 404 }
    pool: web
  CLIENT:
    protocol: tcp
    listen: ["10.0.0.9:443", "10.0.0.9:2104"]
    routes: [{ when: { sni: "*.example", client: 10.1.0.0/16 }, reject: reset }, { when: { port: 2104 }, pool: web }]
    pool: app
`;

const folder = mkdtempSync(join(tmpdir(), 'gantry-explain-'));
const file = join(folder, 'gantry.yaml');
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => writeFileSync(file, text));

const explain = (...words: string[]) => runHere(['explain', '-c', file, ...words]);

async function explained(...words: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await explain(...words, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

describe('gantry explain', () => {
  it('the rule, the persistence key, the candidates in order with a reason each', async () => {
    expect(
      await explained('--vip', 'ARCHIVE', '--called', 'ANY', '--calling', 'CT1', '--modality', 'CT'),
    ).toEqual({
      vip: 'ARCHIVE',
      rule: 'routes[1]',
      persistence: { by: 'calling', key: 'CT1' },
      urgent: null,
      candidates: [
        { server: 'ct-a', reason: expect.any(String) },
        { server: 'spare', reason: expect.stringContaining('backup') },
      ],
      exhausted: null,
      reject: null,
      delivery: null,
    });
  });

  it('a rejection: every key is there all the same', async () => {
    expect(await explained('--vip', 'ARCHIVE', '--called=OLD')).toEqual({
      vip: 'ARCHIVE',
      rule: 'routes[2]',
      persistence: null,
      urgent: null,
      candidates: [],
      exhausted: null,
      reject: 'called-ae-not-recognized',
      delivery: null,
    });
  });

  it('facts may have any name, also that of an option, and any value', async () => {
    expect(await explained('--vip', 'RIS', '--type', 'ADT', '--version', '2.5.1')).toMatchObject({
      rule: 'routes[1]',
    });
    expect(await explained('--vip', 'RIS', '--PID-3.4', 'HOSP')).toMatchObject({ rule: 'routes[2]' });
    expect(await explained('--vip', 'ARCHIVE', '--calling', '-X')).toMatchObject({ rule: 'routes[3]' });
  });

  it('--dicom takes a DICOM file, or a captured A-ASSOCIATE-RQ', async () => {
    const image = join(folder, 'ct.dcm');
    writeFileSync(image, createSample({ modality: 'CT', study: 'explained', number: 1 }).file);
    expect(await explained('--vip', 'ARCHIVE', '--dicom', image)).toMatchObject({ rule: 'routes[1]' });
    const request = join(folder, 'request.bin');
    writeFileSync(request, associateRequest({ called: 'OLD', calling: 'CT1' }));
    expect(await explained('--vip', 'ARCHIVE', '--dicom', request)).toMatchObject({ rule: 'routes[2]' });
    expect(await explained('--vip', 'ARCHIVE', '--dicom', request, '--called', 'NEW')).toMatchObject({
      rule: 'default',
      persistence: { by: 'calling', key: 'CT1' },
    });
  });

  it('--hl7 takes the first message of a file, framed or not', async () => {
    const message = hl7Message({ controlId: 'M1' });
    const [plain, framed] = [join(folder, 'plain.hl7'), join(folder, 'framed.hl7')];
    writeFileSync(plain, message.toString('latin1').replaceAll('\r', '\r\n'), 'latin1');
    writeFileSync(framed, mllpFrame(message));
    const facts = ['--version', '2.5.1'];
    expect(await explained('--vip', 'RIS', '--hl7', plain, ...facts)).toMatchObject({ rule: 'routes[1]' });
    expect(await explained('--vip', 'RIS', '--hl7', framed, ...facts)).toMatchObject({ rule: 'routes[1]' });
  });

  it('a request: host in any case, path normalised, a query of the path or facts of its own', async () => {
    const portal = (...words: string[]) => explained('--vip', 'PORTAL', ...words);
    const first = { rule: 'routes[1]', persistence: { by: 'source-ip', key: '10.1.2.0' } };
    const client = ['--client', '10.1.2.3', '--method', 'GET'];
    expect(await portal(...client, '--path', '/app/x?a=1&id=70')).toMatchObject(first);
    expect(await portal(...client, '--path', '/x/../%61pp/x', '--query.id', '7')).toMatchObject(first);
    expect(await portal(...client, '--path', '/app/x?id=80')).toMatchObject({ rule: 'default' });
    expect(await portal('--header.x-SITE', 'north')).toMatchObject({ rule: 'routes[2]' });
    expect(await portal('--cookie.beta', '1')).toMatchObject({ rule: 'routes[3]' });
    expect(await portal('--host', 'OLD.example:80')).toMatchObject({ rule: 'routes[4]', reject: 'redirect' });
    expect(await portal('--path', '/')).toMatchObject({ rule: 'routes[5]', reject: '404' });
    expect(await portal()).toMatchObject({ rule: 'default', reject: null });
  });

  it('a connection: its client, its port, the name that it asks for', async () => {
    const client = (...words: string[]) => explained('--vip', 'CLIENT', '--client', '10.1.2.3', ...words);
    expect(await client('--sni', 'a.example')).toMatchObject({ rule: 'routes[1]', reject: 'reset' });
    expect(await client('--port', '2104')).toMatchObject({ rule: 'routes[2]' });
    expect(await client()).toMatchObject({ rule: 'default', persistence: { by: 'source-ip' } });
  });

  it('why it is urgent: by rule, by priority, or because the fact says so', async () => {
    const study = (...words: string[]) =>
      explained('--vip', 'STUDIES', '--command', 'C-STORE', '--study', '1.2.3', ...words);
    expect(await study('--priority', 'medium')).toMatchObject({ urgent: null });
    expect(await study('--calling', 'ER1')).toMatchObject({ urgent: 'rule routes[1]' });
    expect(await study('--urgent', 'true')).toMatchObject({ urgent: 'fact urgent, as of a STAT order' });
    expect(await study('--priority', 'high')).toMatchObject({
      urgent: 'priority high',
      candidates: [
        { server: expect.any(String), reason: 'urgent, the least busy of 2' },
        { server: expect.any(String), reason: 'the only one to ask' },
      ],
    });
    const { stdout } = await explain('--vip', 'STUDIES', '--priority', 'high');
    expect(stdout).toContain('\nurgent       priority high\n');
  });

  it('as text', async () => {
    const { stdout } = await explain('--vip', 'ARCHIVE', '--calling', 'CT1');
    expect(stdout).toMatch(
      /^vip {10}ARCHIVE\nrule {9}default\npersistence {2}calling = CT1\ncandidates {3}1\. 10\.0\.0\.[12]:104: /,
    );
  });

  it.each([
    ['no VIP', [], '--vip is needed: there are ARCHIVE, STUDIES, RIS, PORTAL, CLIENT'],
    ['an unknown VIP', ['--vip', 'ARCHIV'], 'there is no VIP "ARCHIV": did you mean "ARCHIVE"?'],
    [
      'an unknown fact',
      ['--vip', 'ARCHIVE', '--caled', 'X'],
      '--caled is not a fact of protocol dicom: did you mean "called"?',
    ],
    ['a fact of another protocol', ['--vip', 'ARCHIVE', '--type', 'X'], '--type is a fact of protocol hl7'],
    ['a fact without a value', ['--vip', 'ARCHIVE', '--called'], '--called has no value'],
    ['a stray word', ['--vip', 'ARCHIVE', 'called'], '"called" is not --FACT VALUE'],
    [
      'a message for DICOM',
      ['--vip', 'ARCHIVE', '--hl7', 'x'],
      '--hl7 is for a VIP of protocol hl7; ARCHIVE speaks dicom',
    ],
    [
      'a file that is none',
      ['--vip', 'ARCHIVE', '--dicom', file],
      `${file} is neither a DICOM file nor a captured A-ASSOCIATE-RQ`,
    ],
    ['a running balancer', ['--vip', 'ARCHIVE', '--live'], '--live is not built yet'],
  ])('%s: a sentence, exit 2', async (_name, words, sentence) => {
    expect(await explain(...words)).toEqual({ code: 2, stdout: '', stderr: `gantry: ${sentence}\n` });
  });
});

it('a fact that is given several times has several values; the VIP and its port are facts of themselves', () => {
  const { configuration } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  const vip = configuration!.vips[0]!;
  const facts = givenFacts(vip, parseFacts(['--sopClass', '1', '--sopClass=2', '--called', ''], vip), {});
  expect([
    facts.get('sopClass'),
    facts.get('called'),
    facts.get('vip'),
    facts.get('port'),
    facts.get('client'),
  ]).toEqual([['1', '2'], '', 'ARCHIVE', '104', undefined]);
});
