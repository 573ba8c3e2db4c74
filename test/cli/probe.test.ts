/** `gantry probe` against scripted servers: what it prints, what it returns, what it says of a wrong command line. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { accepting, rejecting, type Scp, type ScpScript, startScp } from '../peers/dicom-scp.ts';
import { runHere } from './run-cli.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gantry-probe-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const SV1 = '1.2.840.10008.1.2.4.70';
const CT = '1.2.840.10008.5.1.4.1.1.2';
const MR = '1.2.840.10008.5.1.4.1.1.4';

/** Only these SOP classes, and not this transfer syntax. */
function taking(classes: readonly string[], not?: string): ScpScript {
  return accepting({
    judge: ({ abstractSyntax, transferSyntaxes: [transferSyntax = ''] }) => {
      if (!classes.includes(abstractSyntax)) return { result: 3, transferSyntax };
      return { result: transferSyntax === not ? 4 : 0, transferSyntax };
    },
  });
}

/** Does not know CT3. */
function strict(script: ScpScript): ScpScript {
  return async (association) => {
    const received = association.receiveRequest();
    await received;
    association.receiveRequest = () => received;
    await (association.parsed!.calling === 'CT3' ? rejecting(1, 1, 3) : script)(association);
  };
}

async function serve(script: ScpScript): Promise<Scp> {
  const server = await startScp(script);
  onTestFinished(() => server.stop());
  return server;
}

function configure(servers: readonly Scp[], server = ''): string {
  const file = join(folder, 'gantry.yaml');
  const list = servers.map(
    ({ endpoint }, index) => `{ name: pacs-${'ab'[index]}, address: "${endpoint}"${server} }`,
  );
  writeFileSync(
    file,
    `
version: 1
pools:
  archive: { servers: [${list.join(', ')}], health: { check: none } }
  ris: { servers: ["127.0.0.1:9"] }
vips:
  ARCHIVE: { protocol: dicom, listen: "127.0.0.1:0", pool: archive, dicom: { clients: { CT1: 10.0.0.0/8, CT3: 10.0.0.0/8 } } }
  RIS: { protocol: hl7, listen: "127.0.0.1:0", pool: ris }
`,
  );
  return file;
}

describe('gantry probe', () => {
  test('a table of AE titles, one of transfer syntaxes, one of SOP classes, a sentence a difference; exit code 1', async () => {
    const file = configure([await serve(strict(taking([CT, MR]))), await serve(taking([CT], SV1))]);
    const { code, stdout, stderr } = await runHere(['probe', '-c', file, '--called', 'PACS']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'gantry: 3 findings\n' });
    const [name, titles, syntaxes, classes, sentences] = stdout.split('\n\n');
    expect([name, titles, classes, sentences]).toEqual([
      'pool archive',
      [
        'CALLING  CALLED  pacs-a    pacs-b',
        'CT1      PACS    accepted  accepted',
        'CT3      PACS    1/1/3     accepted',
      ].join('\n'),
      ['SOP CLASS         pacs-a                pacs-b', 'MR Image Storage  15 transfer syntaxes  none'].join(
        '\n',
      ),
      [
        'pool archive: pacs-a does not accept calling AE CT3 (1/1/3: rejected permanently by the service user, calling AE title not recognized), pacs-b does',
        'pool archive: pacs-b does not accept JPEG Lossless SV1 for CT Image Storage, pacs-a does',
        'pool archive: pacs-b does not accept MR Image Storage, pacs-a does\n',
      ].join('\n'),
    ]);
    expect(syntaxes).toContain('TRANSFER SYNTAX                     pacs-a         pacs-b\n');
    expect(syntaxes).toContain('JPEG Lossless SV1                   2 SOP classes  none\n');
    expect(syntaxes).toContain('RLE Lossless                        2 SOP classes  1 SOP class\n');
  });

  test('alike: says so, exit code 0', async () => {
    const file = configure([await serve(accepting()), await serve(accepting())], ', ae: PACS');
    const { code, stdout, stderr } = await runHere([
      'probe',
      '-c',
      file,
      '--pool',
      'archive',
      '--timeout',
      '5s',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(
      'CALLING  CALLED  pacs-a (AE PACS)  pacs-b (AE PACS)\nCT1      -       accepted',
    );
    expect(stdout).toMatch(/\n\npool archive: no differences\n$/);
  });

  test('a server that is not there: told, exit code 1', async () => {
    const [a, b] = [await serve(accepting()), await serve(accepting())];
    await b.stop();
    const { code, stdout } = await runHere(['probe', '-c', configure([a, b])]);
    expect(code).toBe(1);
    expect(stdout).toContain('CT1      ANY-SCP  accepted  unreachable');
    expect(stdout).toContain(`pool archive: pacs-b could not be asked: ${b.endpoint} refuses connections\n`);
  });

  test('--json: everything, with the findings; --calling: further titles', async () => {
    const file = configure([await serve(strict(taking([CT]))), await serve(taking([CT]))]);
    const { code, stdout } = await runHere(['probe', '-c', file, '--json', '--calling', 'NEW', 'NEWER']);
    expect(code).toBe(1);
    const { pools } = JSON.parse(stdout);
    expect(pools).toHaveLength(1);
    expect(pools[0].titles.map((title: { calling: string }) => title.calling)).toEqual([
      'CT1',
      'CT3',
      'NEW',
      'NEWER',
    ]);
    expect(pools[0].servers[0].titles[1]).toMatchObject({
      calling: 'CT3',
      answer: 'rejected',
      code: '1/1/3',
    });
    expect(pools[0].servers[1].titles[1].contexts[CT]).toContain(SV1);
    expect(pools[0].findings).toEqual([
      {
        kind: 'title',
        pool: 'archive',
        servers: ['pacs-a'],
        others: ['pacs-b'],
        calling: ['CT3'],
        called: ['ANY-SCP'],
        code: '1/1/3',
        reason: expect.any(String),
        sentence: expect.stringContaining('pacs-a does not accept calling AE CT3'),
      },
    ]);
  });

  test.each([
    ['no configuration', [], "required option '-c, --config <file>' not specified"],
    [
      'a VIP that is none',
      ['--vip', 'ARCHIV'],
      'there is no VIP "ARCHIV" of protocol dicom: did you mean "ARCHIVE"?',
    ],
    [
      'a VIP of another protocol',
      ['--vip', 'RIS'],
      'there is no VIP "RIS" of protocol dicom: there are ARCHIVE',
    ],
    [
      'a pool of another protocol',
      ['--pool', 'ris'],
      'there is no pool "ris" that a VIP of protocol dicom reaches: there are archive',
    ],
    [
      'no AE title',
      ['--calling', 'A\\B'],
      '--calling "A\\B" is not an AE title: 1 to 16 characters of ASCII without "\\"',
    ],
    [
      'no AE title of the server',
      ['--called', 'A23456789012345678'],
      '--called "A23456789012345678" is not an AE title: 1 to 16 characters of ASCII without "\\"',
    ],
    ['no time', ['--timeout', 'soon'], '--timeout "soon" is not a number of seconds'],
  ])('%s: a sentence, exit code 2', async (name, words, sentence) => {
    const file = configure([await serve(accepting())]);
    const config = name === 'no configuration' ? [] : ['-c', file];
    const { code, stdout, stderr } = await runHere(['probe', ...config, ...words]);
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: `gantry: ${sentence}\n` });
  });
});
