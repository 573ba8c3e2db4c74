import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { importText, told } from './accounting.ts';

const fixture = (name: string) =>
  readFileSync(new URL(`../../fixtures/import/${name}`, import.meta.url), 'utf8');

const service = (lines: string, virtual = '10.0.0.6:104', globals = '') =>
  `${globals}\nvirtual=${virtual}\n${lines
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')}\n`;
const yamlOf = (text: string, protocolAware = false) =>
  importText('ldirectord', text, { protocolAware }).yaml ?? '';
const REAL = 'real=10.0.0.11:104 gate';

test('a hospital: gate is mode dr, masq is mode nat, and what is left is told of by line', () => {
  const imported = importText('ldirectord', fixture('hospital-ldirectord.cf'));
  const { yaml } = imported;
  expect(yaml).toContain('archive:\n    mode: dr\n    listen: [10.77.0.6:104]');
  expect(yaml).toContain('persistence: { by: source-ip, ttl: 30m, netmask: 24 }');
  expect(yaml).toContain('10.77.0.6-80:\n    mode: nat');
  expect(yaml).toContain('{ name: 10.77.1.13, address: 10.77.1.13:8080, backup: true }');
  expect(yaml).toContain('listen: ["[fd00:77::6]:104"]');
  expect(told(imported)).toEqual([
    'lost 5: fallback=127.0.0.1:80 gate',
    'lost 9: emailalert="watcher@hospital.example"',
    'lost 17: real=10.77.0.30:104 ipip',
    'changed 27: … request, receive',
    'changed 42: scheduler=dh',
    'lost 45: virtual=10.77.0.8:514',
    'lost 46: real=10.77.2.12:514 gate',
    'lost 47: protocol=udp',
    'lost 49: virtual=7',
    'lost 50: real=10.77.2.13 gate',
    'lost 51: protocol=fwm',
  ]);
});

test('an import file with everything wrong: a sentence each, nothing half applied', () => {
  const imported = importText('ldirectord', fixture('everything-wrong.cf'));
  expect(imported.yaml).toBeUndefined();
  expect(imported.reason).toBe('has no `virtual` that could be taken over');
  const lines = fixture('everything-wrong.cf').split('\n').length - 1;
  expect([
    ...new Set(imported.notes.filter(({ fate }) => fate === 'lost').map(({ line }) => line)),
  ]).toHaveLength(lines);
});

test('what is no configuration of ldirectord is told so', () => {
  for (const text of ['', 'global\n  daemon\n', 'checktimeout=3\n']) {
    expect(importText('ldirectord', text).reason).toContain('is not a configuration of ldirectord');
  }
});

describe('checks', () => {
  it.each([
    [
      'checktype=connect',
      'health: { check: connect, port: 104, interval: 10s, timeout: 5s, rise: 1, fall: 1 }',
    ],
    ['checktype=on', 'health: { check: none }'],
    ['checktype=ping', 'health: { check: ping, interval: 10s'],
    ['checktype=external\ncheckcommand="/bin/c"', 'check: script'],
    ['checkport=1104', 'check: connect, port: 1104'],
    ['service=http\nrequest="a"\nreceive="b+"', 'body: "/b+/"'],
    ['service=https\nhttpmethod=HEAD', 'method: HEAD'],
    ['checktype=4\nservice=http', 'check: http'],
    ['checktype=negotiate\nservice=ldap', 'check: connect'],
    ['failurecount=4\nchecktype=connect', 'fall: 4'],
  ])('%s', (lines, wanted) => {
    expect(yamlOf(service(`${REAL}\n${lines}`)).replaceAll(/\n {6}(?=\w)/g, ', ')).toContain(wanted);
  });

  it('what stands above all services counts where one says nothing', () => {
    const yaml = yamlOf(
      service(`${REAL}\nchecktype=connect`, '10.0.0.6:104', 'checkinterval=3\nchecktimeout=2'),
    );
    expect(yaml).toContain('interval: 3s, timeout: 2s');
  });
});

describe('servers', () => {
  it.each([
    ['real=10.0.0.11->10.0.0.13:104 gate 3', ['10.0.0.11', '10.0.0.12', '10.0.0.13']],
    ['real=10.0.0.254->10.0.1.1:104 gate', ['10.0.0.254', '10.0.0.255', '10.0.1.0', '10.0.1.1']],
    ['real=10.0.0.11:11112 masq', ['10.0.0.11:11112']],
    ['real=10.0.0.11 masq', ['10.0.0.11:104']],
    ['real=10.0.0.11:http masq', ['10.0.0.11:80']],
  ])('%s', (line, addresses) => {
    const found = [...yamlOf(service(line)).matchAll(/address: ([\d.:]+)/g)].map(([, address]) => address);
    expect(found).toEqual(addresses);
  });

  it('servers in another mode than the first are told of', () => {
    const imported = importText('ldirectord', service(`${REAL}\nreal=10.0.0.12:104 masq`));
    expect(imported.yaml).toContain('mode: dr');
    expect(told(imported)).toEqual(['lost 4: real=10.0.0.12:104 masq']);
  });
});

test('with protocol-aware, DICOM and HL7 are proxied', () => {
  const dicom = yamlOf(service(REAL), true);
  expect(dicom).toContain('protocol: dicom');
  expect(dicom).toContain('address: 10.0.0.11:104');
  expect(dicom).not.toContain('mode:');
  expect(yamlOf(service(REAL.replace('104', '2575'), '10.0.0.6:2575'), true)).toContain('protocol: hl7');
  expect(yamlOf(service(REAL.replace('104', '81'), '10.0.0.6:81'), true)).toContain('mode: dr');
});
