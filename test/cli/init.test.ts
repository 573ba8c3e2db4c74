/** `gantry init`: what goes where, and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROFILES } from '../../src/profiles/profiles.ts';
import { runCli, runHere } from './run-cli.ts';

const NAMES =
  'philips-ris-wim, philips-vue-pacs, canon-vitrea-delftdi, agfa-enterprise-imaging, ge-true-pacs';
const GE = ['init', 'ge-true-pacs'];
const VIP = ['--vip', '10.0.0.4'];
const SERVER = ['--server', '10.0.0.11'];

describe('gantry init: bad input is one sentence and exit code 2, and nothing on standard output', () => {
  it.each([
    [
      'init with too few addresses',
      ['init', 'philips-ris-wim', ...VIP, ...SERVER],
      'philips-ris-wim needs 5 addresses of VIPs and has 1, because RIS, Patient_Assistance and External_SMS have port 80 and R2I and EIS have all ports each: give --vip 5 times',
    ],
    [
      'one too few',
      ['init', 'philips-vue-pacs', '--vip', '10.0.0.4', '10.0.0.5', ...SERVER],
      'philips-vue-pacs needs 3 addresses of VIPs and has 2, because DICOM_VIP and CLIENT_VIP have port 2104 and PORTAL_VIP, PORTAL_VIP_STANDBY and CLIENT_VIP have port 80: give --vip 3 times',
    ],
    [
      "a server address that is the VIP's",
      [...GE, ...VIP, '--server', '10.0.0.11', '--server', '10.0.0.4'],
      '--server 10.0.0.4 is the address of a VIP: a server needs one of its own',
    ],
    [
      "a server address that is the VIP's, spelled in another way",
      [...GE, '--vip', 'fd00::4', '--server', 'FD00:0:0::4'],
      '--server fd00::4 is the address of a VIP: a server needs one of its own',
    ],
    [
      'an unknown profile',
      ['init', 'philips-vue-pac', ...VIP, ...SERVER],
      `there is no profile "philips-vue-pac": did you mean "philips-vue-pacs"? there are ${NAMES}`,
    ],
    [
      'an unknown profile that is like none',
      ['init', 'x', ...VIP, ...SERVER],
      `there is no profile "x": there are ${NAMES}`,
    ],
    [
      'no profile',
      ['init', '--vip', '10.0.0.4', '--server', '10.0.0.11', 'ge-true-pacs'],
      `the profile is missing, which comes before --vip and --server: there are ${NAMES}`,
    ],
    ['no server', [...GE, ...VIP], "required option '--server <address...>' not specified"],
    ['no VIP', [...GE, ...SERVER], "required option '--vip <address...>' not specified"],
    [
      'a server that is no IP address',
      [...GE, ...VIP, '--server', 'pacs.example'],
      '--server "pacs.example" is not an IP address: 10.0.0.11 or fd00::11 would be right',
    ],
    [
      'a VIP with a port',
      [...GE, '--vip', '10.0.0.4:80', ...SERVER],
      '--vip "10.0.0.4:80" is not an IP address: 10.0.0.11 or fd00::11 would be right',
    ],
    ['a VIP twice', [...GE, ...VIP, ...VIP, ...SERVER], '--vip 10.0.0.4 is given twice'],
    ['a server twice', [...GE, ...VIP, ...SERVER, ...SERVER], '--server 10.0.0.11 is given twice'],
    [
      'every address',
      [...GE, '--vip', '0.0.0.0', ...SERVER],
      '--vip "0.0.0.0" is not the address of one machine',
    ],
    [
      'two families, and packets that go on as they are',
      ['init', 'canon-vitrea-delftdi', '--vip', '10.0.0.4', '10.0.0.5', '--server', 'fd00::11'],
      'DicomRouting sends packets on as they are, so that 10.0.0.4 and fd00::11 must both be IPv4, or both IPv6',
    ],
    [
      'a server on this machine, and packets that leave it',
      ['init', 'canon-vitrea-delftdi', '--vip', '10.0.0.4', '10.0.0.5', '--server', '10.0.0.11', '127.0.0.1'],
      '--server 127.0.0.1 is this machine itself: DicomRouting sends packets on to other machines',
    ],
    [
      'a certificate without its key',
      [...GE, ...VIP, ...SERVER, '--cert', 'a.pem'],
      '--cert and --key belong together: give both or none',
    ],
    [
      'an interface that cannot be one',
      [...GE, ...VIP, ...SERVER, '--interface', 'eth 0'],
      '--interface "eth 0" is not the name of a network interface: eth0 would be right',
    ],
  ])('%s', async (_name, words, sentence) => {
    expect(await runHere(words)).toEqual({ code: 2, stdout: '', stderr: `gantry: ${sentence}\n` });
  });
});

describe('gantry init', () => {
  it('writes the configuration and nothing else to standard output, in a process of its own', async () => {
    const { code, stdout, stderr } = await runCli([...GE, ...VIP, ...SERVER]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^# GE HealthCare True PACS/);
    expect(stdout.endsWith('\n')).toBe(true);
  });

  it.each(PROFILES.map(({ name }) => name))(
    '%s: gantry check accepts it, and with more --vip than it needs',
    async (name) => {
      const folder = mkdtempSync(join(tmpdir(), 'gantry-init-'));
      try {
        const vips = [
          '127.0.0.2',
          '127.0.0.3',
          '127.0.0.4',
          '127.0.0.5',
          '127.0.0.6',
          '127.0.0.7',
          '127.0.0.8',
        ];
        const { code, stdout, stderr } = await runHere(['init', name, '--vip', ...vips, ...SERVER]);
        expect(code).toBe(0);
        expect(stderr).toMatch(
          new RegExp(`^warning: ${name} needs no more addresses of VIPs: .*127.0.0.8 (is|are) left over\n$`),
        );
        const file = join(folder, 'gantry.yaml');
        writeFileSync(file, stdout);
        expect(await runHere(['check', '-c', file])).toMatchObject({ code: 0, stdout: '' });
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  it.each([
    ['--interface', ['--interface', 'eth0'], '--interface changes nothing: no VIP is at layer 4 here'],
    [
      '--protocol-aware',
      ['--protocol-aware'],
      '--protocol-aware changes nothing: no DICOM or HL7 service is at layer 4 here',
    ],
  ])('%s that changes nothing is a warning', async (_name, options, sentence) => {
    const plain = await runHere([...GE, ...VIP, ...SERVER]);
    const result = await runHere([...GE, ...VIP, ...SERVER, ...options]);
    expect(result).toEqual({ code: 0, stdout: plain.stdout, stderr: `warning: ${sentence}\n` });
  });

  it('a certificate that no VIP has use for is a warning; paths are of the folder where it was said', async () => {
    const words = ['--cert', 'a.pem', '--key', '/etc/b.key'];
    const vips = ['--vip', '10.0.0.4', '10.0.0.5'];
    const canon = await runHere(['init', 'canon-vitrea-delftdi', ...vips, ...SERVER, ...words]);
    expect(canon.stderr).toBe(
      'warning: --cert and --key change nothing: TLS ends at no VIP of this profile\n',
    );
    expect(canon.stdout).not.toContain('a.pem');
    const { stdout } = await runHere([...GE, ...VIP, ...SERVER, ...words]);
    expect(stdout).toContain(`{ cert: file:${join(process.cwd(), 'a.pem')}, key: file:/etc/b.key }`);
  });
});

it('gantry profiles', async () => {
  expect((await runHere(['profiles'])).stdout).toBe(`NAME                     ROWS  VIPS  TITLE
philips-ris-wim          14    5     Philips Healthcare Radiology Information System (RIS) / Workflow Information Management (WIM)
philips-vue-pacs         9     3     Philips Vue PACS
canon-vitrea-delftdi     16    2     Canon Medical Systems - Vitrea and DelftDI
agfa-enterprise-imaging  21    2     AGFA HealthCare Enterprise Imaging
ge-true-pacs             35    1     GE HealthCare True PACS (SP1 and SP2)
`);
});
