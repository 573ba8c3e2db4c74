import { expect, it } from 'vitest';
import { factFault, REJECT_NAMES } from '../../src/config/fact-names.ts';
import { isNetwork } from '../../src/config/scalars.ts';
import { compilePattern } from '../../src/director/patterns.ts';
import { REJECTIONS } from '../../src/frontends/dicom/rejections.ts';

it('the rejections that rules may name are those of the DICOM front-end', () => {
  expect([...REJECT_NAMES.dicom].sort()).toEqual(Object.keys(REJECTIONS).sort());
});

it('what is a network to the configuration is one to the director', () => {
  const texts = [
    '10.0.0.0/8',
    '10.0.0.0/33',
    '10.0.0.1',
    'fd00::/8',
    '::/129',
    '::ffff:10.0.0.0/104',
    '::ffff:10.0.0.0/8',
    'pc1',
    '10.0.0',
  ];
  const compiles = (text: string): boolean => {
    try {
      compilePattern('client', text);
      return true;
    } catch {
      return false;
    }
  };
  expect(texts.filter(isNetwork)).toHaveLength(4);
  expect(texts.filter(isNetwork).every(compiles)).toBe(true);
});

it.each(['client', 'port', 'vip', 'called', 'calling', 'modality', 'sopClass', 'user'])(
  '%s is a fact of DICOM',
  (name) => {
    expect(factFault(name, { protocol: 'dicom' })).toBeUndefined();
  },
);

it.each([
  'client',
  'type',
  'event',
  'sendingApp',
  'patient',
  'orderPriority',
  'PID-3.4',
  'PID-3[2].1',
  'ZPI-1',
  'MSH-9',
])('%s is a fact of HL7', (name) => expect(factFault(name, { protocol: 'hl7' })).toBeUndefined());

it.each([
  ['study', 'dicom', 'needs `dicom: { route: study }`: only a message has it'],
  ['(0010,0020)', 'dicom', 'needs `dicom: { route: study }`: only a message has it'],
  ['sni', 'hl7', 'needs `tls`: only a handshake has it'],
  ['tlsSubject', 'tcp', "needs `tls.clientCa`: it is of the client's certificate"],
  ['header.Host', 'dicom', 'is a fact of protocol http'],
  ['path', 'tcp', 'is a fact of protocol http'],
  ['called', 'http', 'is a fact of protocol dicom'],
  ['query.', 'http', 'names no query: query.NAME would be right'],
  ['header.X Y', 'http', 'is not a name that a header can have'],
  ['methd', 'http', 'is not a fact of protocol http: did you mean "method"?'],
  [
    'header',
    'http',
    'is not a fact of protocol http: there are client, port, vip, method, host, path, query.NAME, header.NAME, cookie.NAME',
  ],
  ['PID-3', 'dicom', 'is a fact of protocol hl7'],
  ['callling', 'dicom', 'is not a fact of protocol dicom: did you mean "calling"?'],
] as const)('%s is no fact of %s', (name, protocol, fault) =>
  expect(factFault(name, { protocol })).toBe(fault),
);

it.each(['command', 'priority', 'urgent', 'sopInstance', 'study', 'accession', 'patient', '(0008,103e)'])(
  '%s is a fact of DICOM where studies are routed',
  (name) => {
    expect(factFault(name, { protocol: 'dicom', route: 'study' })).toBeUndefined();
    expect(factFault(name, { protocol: 'dicom', route: 'association' })).toMatch(/^needs `dicom: /);
  },
);

it('what nearly is a fact of study routing', () => {
  expect(factFault('studdy', { protocol: 'dicom', route: 'study' })).toMatch(/did you mean "study"\?$/);
  expect(factFault('(0008,103)', { protocol: 'dicom', route: 'study' })).toMatch(/^is not a fact/);
});

it('at layer 4 nothing is known but where a connection comes from and to', () => {
  const faults = ['client', 'port', 'vip', 'called', 'sni'].map((name) =>
    factFault(name, { protocol: null }),
  );
  const unknown = 'is not known at layer 4: client, port or vip would be right';
  expect(faults).toEqual([undefined, undefined, undefined, unknown, unknown]);
});
