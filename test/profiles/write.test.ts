import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { placesOf } from '../../src/profiles/addresses.ts';
import { type Choices, decide } from '../../src/profiles/decide.ts';
import type { Profile } from '../../src/profiles/profile.ts';
import { PROFILES } from '../../src/profiles/profiles.ts';
import { writeConfiguration } from '../../src/profiles/write.ts';
import { createAuthority } from '../peers/certificates.ts';
import { describeWith } from '../peers/processes.ts';

const CHOICES: Choices = {
  vips: ['10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.7', '10.0.0.8'],
  servers: ['10.0.0.11', '10.0.0.12'],
  interface: undefined,
  certificate: undefined,
  protocolAware: false,
  scripts: '/etc/gantry/checks',
};

const byName: readonly [string, Profile][] = PROFILES.map((profile) => [profile.name, profile]);

function read(profile: Profile, choices: Partial<Choices> = {}): Configuration {
  const text = writeConfiguration(profile, { ...CHOICES, ...choices });
  const {
    configuration,
    faults = [],
    warnings,
  } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  expect([...faults, ...warnings], text).toEqual([]);
  return configuration!;
}

function profileOf(name: string): Profile {
  return PROFILES.find((profile) => profile.name === name)!;
}

function poolOf({ pools }: Configuration, name: string) {
  return pools.find((pool) => pool.name === name)!;
}

/** Addresses without the first of their networks, all different. */
function addresses(family: 4 | 6, network: number, least: number): fc.Arbitrary<string[]> {
  const written = (host: number) =>
    family === 4 ? `10.0.${network}.${host}` : `fd00:0:0:${network}::${host.toString(16)}`;
  return fc
    .uniqueArray(fc.integer({ min: 1, max: 250 }), { minLength: least, maxLength: least + 6 })
    .map((hosts) => hosts.map(written));
}

describe.each(byName)('%s', (_name, profile) => {
  const needed = placesOf(profile).length;

  it('property: as many addresses as are needed, or more, give a configuration without a fault', () => {
    const families = fc.constantFrom<4 | 6>(4, 6);
    const given = families.chain((family) =>
      fc.record({
        vips: addresses(family, 1, needed),
        servers: addresses(family, 2, 1),
        interface: fc.option(fc.constantFrom('eth0', 'bond0.12', '1'), { nil: undefined }),
        protocolAware: fc.boolean(),
        scripts: fc.constantFrom('/etc/gantry/checks', '/srv/a b/\x24{c}', '/'),
      }),
    );
    fc.assert(
      fc.property(given, (choices) => {
        const { vips, pools } = read(profile, choices);
        expect(vips.map(({ name }) => name)).toEqual(profile.services.map(({ name }) => name));
        const used = new Set(vips.flatMap(({ listen }) => listen.map(({ host }) => host)));
        expect(used).toEqual(new Set(choices.vips.slice(0, needed)));
        for (const { servers } of pools) {
          expect(servers.map(({ host }) => host)).toEqual(choices.servers);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('each path leads to its pool, any other one to the pool of the VIP', () => {
    const { vips } = read(profile);
    for (const { name, backends = [] } of profile.services) {
      const vip = vips.find((one) => one.name === name)!;
      expect(vip.pool).toBe(name);
      expect(vip.routes.map(({ when, pool }) => [when.facts, pool])).toEqual(
        backends.map(({ path, name: pool }) => [[{ name: 'path', patterns: [path, `${path}/*`] }], pool]),
      );
    }
  });

  it('each check goes where its row says, or where the work goes, and can be spoken there', () => {
    const configuration = read(profile);
    for (const service of profile.services) {
      for (const { name, health } of [service, ...(service.backends ?? [])]) {
        const pool = poolOf(configuration, name);
        const [server] = pool.servers;
        const own = health.check === 'none' ? undefined : health.port;
        const asked = pool.health.port ?? server!.port ?? service.ports[0];
        expect(asked, name).toBe(own ?? service.to?.port ?? service.ports[0]);
        expect(asked, name).not.toBe('*');
        // 80 speaks no TLS, and 443 nothing else.
        if (health.check === 'https') expect(asked, name).not.toBe(80);
        if (health.check === 'http') expect(asked, name).not.toBe(443);
      }
    }
  });

  it('every VIP is where the head says, with nothing but ASCII in the file', () => {
    const text = writeConfiguration(profile, CHOICES);
    expect(text).toMatch(/^[\n -~]*\n$/);
    const head = text.slice(0, text.indexOf('\nversion: 1'));
    for (const { name, ref } of profile.services) {
      expect(head).toContain(name);
      expect(text).toContain(`# ${ref}\n`);
    }
    for (const address of CHOICES.vips.slice(0, needed)) expect(head).toContain(`#   ${address} `);
  });
});

describe('servers', () => {
  const portOf = (name: string, pool: string) => {
    const { servers, link } = poolOf(read(profileOf(name)), pool);
    return [servers[0]!.port, link.tls !== undefined];
  };

  it.each([
    ['ge-true-pacs', 'WFC_443', 443, true],
    ['ge-true-pacs', 'WFC_patient_443', 443, true],
    ['ge-true-pacs', 'WFC_masterfiledata_10443', 10443, true],
    ['ge-true-pacs', 'WFC_patient_80', undefined, false],
    ['ge-true-pacs', 'SR_https_vs', undefined, false],
    ['agfa-enterprise-imaging', 'CoreServer-443', 443, true],
    ['agfa-enterprise-imaging', 'WebServer-withXero', undefined, false],
    ['philips-ris-wim', 'RIS_EM', undefined, false],
    ['philips-ris-wim', 'R2I', undefined, false],
  ])('%s %s: port %s, TLS %s', (name, pool, port, tls) => {
    expect(portOf(name, pool)).toEqual([port, tls]);
  });

  it('one server is enough', () => {
    for (const profile of PROFILES) read(profile, { servers: ['10.0.0.11'] });
  });

  it('a service behind an address that has another family: proxied', () => {
    read(profileOf('ge-true-pacs'), { vips: ['fd00::4'], servers: ['10.0.0.11', 'fd00::12'] });
  });
});

describe('persistence by cookie', () => {
  it.each(byName)('%s: a cookie of its own for each row', (_name, profile) => {
    const { vips, pools } = read(profile);
    const cookies = [...vips, ...pools].flatMap(({ persistence }) => persistence?.cookie?.name ?? []);
    expect(new Set(cookies).size).toBe(cookies.length);
  });

  it('a parent without persistence has pools with, and one with has pools without', () => {
    const ris = read(profileOf('philips-ris-wim'));
    expect(ris.vips[0]!.persistence).toBe(undefined);
    expect(poolOf(ris, 'RIS').persistence).toBe(undefined);
    expect(poolOf(ris, 'RIS_EM').persistence).toMatchObject({ by: ['cookie'] });
    expect(poolOf(ris, 'RIS_Auth').persistence).toBe(undefined);
    const vue = read(profileOf('philips-vue-pacs'));
    expect(vue.vips[2]).toMatchObject({ name: 'PORTAL_VIP', persistence: { by: ['source-ip'] } });
    expect(poolOf(vue, 'CHAT').persistence).toMatchObject({ by: [] });
  });
});

it('an interface, and the folder of the scripts', () => {
  const profile = profileOf('philips-ris-wim');
  const { vips, pools } = read(profile, { interface: 'eth1', scripts: '/srv/checks' });
  expect(vips.filter((vip) => vip.mode === 'dr')).toMatchObject([
    { name: 'R2I', interfaces: ['eth1'] },
    { name: 'EIS', interfaces: ['eth1'] },
  ]);
  expect(pools.find(({ name }) => name === 'R2I')?.health).toMatchObject({ script: '/srv/checks/R2I' });
  expect(writeConfiguration(profile, CHOICES)).toContain('    # interface: eth0\n');
});

it('what is given as an example is a rule that check accepts', () => {
  const text = writeConfiguration(profileOf('philips-vue-pacs'), CHOICES);
  const with3 = text
    .replace(/^ {4}# (routes:| {2}- )/gm, '    $1')
    .replace('pools:\n', 'pools:\n  LARGE: { servers: [10.0.0.13] }\n');
  expect(with3.match(/^ {6}- \{ when/gm)).toHaveLength(5);
  const { configuration, faults } = readConfiguration(with3, { file: 'f.yaml', environment: {} });
  expect(faults).toBe(undefined);
  expect(configuration?.vips[0]?.routes.map(({ pool, urgent }) => [pool, urgent])).toEqual([
    ['DICOM_VIP', true],
    ['LARGE', false],
    ['DICOM_VIP', true],
  ]);
});

describeWith(['openssl'], 'with a certificate', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-profiles-'));
  const certificate = { cert: join(folder, 'the cert.pem'), key: join(folder, 'key.pem') };

  beforeAll(async () => {
    const { cert, key } = await (await createAuthority()).issue({ names: ['pacs.example'] });
    writeFileSync(certificate.cert, cert);
    writeFileSync(certificate.key, key);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['agfa-enterprise-imaging', ['CoreServerDICOM-2762 dicom', 'CoreServerClient-8443 http']],
    ['ge-true-pacs', ['WFC_443 http', 'WFC_10443 http', 'WFM_karaf_Group http', 'SR_https_vs http']],
    ['philips-ris-wim', []],
    ['philips-vue-pacs', []],
    ['canon-vitrea-delftdi', []],
  ])('%s: TLS ends at %j, and begins again behind them', (name, ending) => {
    const profile = profileOf(name);
    const configuration = read(profile, { certificate });
    const ends = configuration.vips.filter((vip) => vip.mode === 'proxy' && vip.tls !== undefined);
    expect(ends.map((vip) => `${vip.name} ${vip.protocol}`)).toEqual(ending);
    for (const { pool } of ends)
      expect(poolOf(configuration, pool!).link.tls).toMatchObject({ verify: false });
  });

  it('without one, what needs no paths passes through, and a comment says so', () => {
    const agfa = profileOf('agfa-enterprise-imaging');
    const protocols = new Map(read(agfa).vips.map(({ name, protocol }) => [name, protocol]));
    expect(protocols.get('CoreServerDICOM-2762')).toBe('tcp');
    expect(protocols.get('CoreServerClient-8443')).toBe('tcp');
    for (const { services } of PROFILES) {
      for (const service of services.filter(({ speaks }) => speaks === 'https' || speaks === 'dicom-tls')) {
        expect(decide(service, CHOICES).comment).toContain('gantry init --cert FILE --key FILE');
      }
    }
  });
});
