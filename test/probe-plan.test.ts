/** From the configuration to what is asked: of which servers, as whom, by which name, for which contexts. */
import { describe, expect, test } from 'vitest';
import { readConfiguration } from '../src/config/load.ts';
import type { Configuration } from '../src/config/schema.ts';
import { planProbe } from '../src/probe-plan.ts';

function read(text: string): Configuration {
  const { configuration, faults } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  expect(faults ?? []).toEqual([]);
  return configuration!;
}

/** One VIP over the pool `archive`. */
function vip(lines: string, pool = '{ servers: ["10.0.0.11:104"] }'): Configuration {
  return read(`
pools:
  archive: ${pool}
  worklist: { servers: ["10.0.0.12:104"] }
vips:
  V: { protocol: dicom, listen: "10.0.0.4:104", pool: archive, ${lines} }
`);
}

const titles = (configuration: Configuration, ...options: Parameters<typeof planProbe>[1][]) =>
  Object.fromEntries(
    planProbe(configuration, ...options).map((pool) => [
      pool.name,
      pool.titles.map(({ calling, called }) => `${calling}>${called}`),
    ]),
  );

describe('as whom', () => {
  test('keys of dicom.clients, literal calling patterns of routes, the check of the pool', () => {
    const configuration = vip(
      'dicom: { clients: { CT1: 10.1.0.0/16, WS1: 10.2.0.0/16 } }, routes: [{ when: { calling: [WS1, WS2, "X*"] }, pool: worklist }]',
      '{ servers: ["10.0.0.11:104"], health: { check: dicom-echo, calling: LB, called: PACS } }',
    );
    expect(titles(configuration)).toEqual({
      archive: ['CT1>PACS', 'LB>PACS'],
      worklist: ['WS1>ANY-SCP', 'WS2>ANY-SCP'],
    });
  });

  test('AE titles of certificates', () => {
    const configuration = vip('limits: {}');
    const [first] = configuration.vips;
    const tls = { aeTitles: { 'CN=ct': ['CT7', 'CT8'] } };
    const bound = { ...configuration, vips: [{ ...first!, tls }] } as unknown as Configuration;
    expect(titles(bound).archive).toEqual(['CT7>ANY-SCP', 'CT8>ANY-SCP']);
  });

  test('the check that is a part of another one', () => {
    const health = '{ all: [{ check: connect }, { check: dicom-echo, calling: LB, called: PACS }] }';
    expect(titles(vip('limits: {}', `{ servers: ["10.0.0.11:104"], health: ${health} }`)).archive).toEqual([
      'LB>PACS',
    ]);
  });

  test('nobody is named: as the balancer itself', () => {
    expect(titles(vip('limits: {}'))).toEqual({ archive: ['GANTRY>ANY-SCP'] });
  });

  test('of the command line: every pool, by the names that its rules have', () => {
    const configuration = vip('routes: [{ when: { called: [WL, WL2] }, pool: worklist }]');
    expect(titles(configuration, { calling: ['NEW'], called: 'PACS' })).toEqual({
      archive: ['NEW>PACS'],
      worklist: ['NEW>WL', 'NEW>WL2'],
    });
  });

  test('a pattern that can be no AE title is nobody', () => {
    const configuration = vip(
      'routes: [{ when: { calling: [LONGER_THAN_A_TITLE, CT1], called: [LONGER_THAN_A_TITLE, WL] }, pool: worklist }]',
    );
    expect(titles(configuration)).toEqual({ archive: ['CT1>ANY-SCP'], worklist: ['CT1>WL'] });
  });

  test('each once, whatever names it', () => {
    const health = '{ check: dicom-echo, calling: CT1, called: PACS }';
    const configuration = vip(
      'dicom: { clients: { CT1: 10.1.0.0/16 } }',
      `{ servers: ["10.0.0.11:104"], health: ${health} }`,
    );
    expect(titles(configuration, { calling: ['CT1'] }).archive).toEqual(['CT1>PACS']);
  });
});

describe('by which name', () => {
  test('literal called patterns of the rules that lead there, for those who come by them', () => {
    const configuration = vip(
      'dicom: { clients: { CT1: 10.1.0.0/16 } }, routes: [{ when: { called: WL, calling: RIS }, pool: worklist }]',
    );
    expect(titles(configuration)).toEqual({ archive: ['CT1>ANY-SCP', 'RIS>ANY-SCP'], worklist: ['RIS>WL'] });
  });

  test('where every server has an AE title of its own, a name more is no question more', () => {
    const routes =
      'routes: [{ when: { called: [A, B] }, pool: archive }], dicom: { clients: { CT1: 10.1.0.0/16 } }';
    const own = '{ servers: [{ address: "10.0.0.11:104", ae: P1 }, { address: "10.0.0.12:104", ae: P2 }] }';
    expect(titles(vip(routes)).archive).toEqual(['CT1>A', 'CT1>B']);
    expect(titles(vip(routes, own)).archive?.length).toBe(1);
    expect(planProbe(vip(routes, own))[0]!.servers.map(({ ae }) => ae)).toEqual(['P1', 'P2']);
  });
});

describe('of which servers', () => {
  test('the pools that VIPs of protocol dicom reach; only those that were asked for', () => {
    const configuration = read(`
pools:
  a: { servers: ["10.0.0.11:104"] }
  b: { servers: ["10.0.0.12:104"], tls: { verify: false } }
  ris: { servers: ["10.0.0.13:2310"] }
vips:
  A: { protocol: dicom, listen: "10.0.0.4:104", pool: a, dicom: { clients: { CT1: 10.1.0.0/16 } } }
  B: { protocol: dicom, listen: "10.0.0.5:104", pool: b, routes: [{ when: { calling: CT2 }, pool: a }] }
  RIS: { protocol: hl7, listen: "10.0.0.4:2310", pool: ris }
`);
    expect(titles(configuration)).toEqual({ a: ['CT1>ANY-SCP', 'CT2>ANY-SCP'], b: ['GANTRY>ANY-SCP'] });
    expect(titles(configuration, { vip: 'B' })).toEqual({ a: ['CT2>ANY-SCP'], b: ['GANTRY>ANY-SCP'] });
    expect(titles(configuration, { pool: 'b' })).toEqual({ b: ['GANTRY>ANY-SCP'] });
    expect(planProbe(configuration, { vip: 'RIS' })).toEqual([]);
    expect(planProbe(configuration)[1]!.link.tls).toMatchObject({ verify: false });
  });

  test('a server without a port is asked where the client came to', () => {
    const [pool] = planProbe(vip('limits: {}', '{ servers: [10.0.0.11, "10.0.0.12:11112"] }'));
    expect(pool!.servers.map(({ port }) => port)).toEqual([104, 11112]);
  });
});

test('for which contexts: those that the rules name in addition', () => {
  const classes = (lines: string) =>
    new Set(planProbe(vip(lines))[0]!.proposals.map(({ sopClass }) => sopClass));
  const enhanced = '1.2.840.10008.5.1.4.1.1.2.1';
  expect(classes('limits: {}').has(enhanced)).toBe(false);
  expect(classes('routes: [{ when: { modality: CT }, pool: archive }]').has(enhanced)).toBe(true);
  expect(classes(`routes: [{ when: { sopClass: "${enhanced}" }, pool: worklist }]`).has(enhanced)).toBe(true);
});
