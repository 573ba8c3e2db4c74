/** What a file says of HL7 delivery, and what its front-end and its queue are given of it. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatFault } from '../../src/config/fault.ts';
import { loadConfiguration, readConfiguration } from '../../src/config/load.ts';
import { missingOnMachine } from '../../src/config/machine.ts';
import type { Hl7Vip } from '../../src/config/schema.ts';
import type { Hl7Settings } from '../../src/frontends/hl7/settings.ts';
import { type QueueSettings, USUAL_SETTINGS } from '../../src/queue/message.ts';

function vipOf(hl7: string): Hl7Vip {
  const text = `
pools: { ris: { servers: [10.0.0.31:2310] } }
vips: { RIS: { protocol: hl7, listen: 127.0.0.1:0, pool: ris, hl7: ${hl7} } }
`;
  const { configuration, faults = [] } = readConfiguration(text, { file: '/etc/gantry/gantry.yaml' });
  expect(faults.map(formatFault)).toEqual([]);
  return configuration!.vips[0] as Hl7Vip;
}

/** The front-end's own settings, but for paths, which the wiring reads. */
type Settings = Omit<Hl7Settings, 'accession'>;

describe('delivery', () => {
  it('relay is the default, and has no queue', () => {
    const vip = vipOf('{}');
    expect([vip.queue, vip.hl7.store]).toEqual([undefined, undefined]);
    expect(vipOf('{ delivery: relay }')).toEqual(vip);
  });

  it('store: a queue as queues usually are, in a file relative to the configuration', () => {
    const { queue, hl7 } = vipOf('{ delivery: store, queue: state/ris }');
    expect(queue?.file).toBe('/etc/gantry/state/ris');
    const settings: QueueSettings = queue!.settings;
    expect(settings).toEqual(USUAL_SETTINGS);
    const { store }: Settings = hl7;
    expect(store).toEqual({ ackOnStore: undefined, returnTo: { default: undefined, byApplication: {} } });
  });

  it('every key', () => {
    const fixture = join(import.meta.dirname, '../../fixtures/config/valid/hospital.yaml');
    const { configuration } = loadConfiguration(fixture, { GANTRY_TEST_TOKEN: 'not-a-real-token' });
    const vip = configuration!.vips.find(({ name }) => name === 'LAB') as Hl7Vip;
    expect(vip.queue).toEqual({
      file: join(fixture, '../queues/lab'),
      settings: {
        ...USUAL_SETTINGS,
        mostMessages: 5000,
        mostBytes: 1024 ** 3,
        reserve: 128 * 1024 ** 2,
        maxAge: 24 * 3_600_000,
        maxAttempts: 3,
        onPoison: 'skip',
        remember: { ms: 3_600_000, entries: 200_000 },
      },
    });
    expect(vip.hl7).toMatchObject({
      store: {
        ackOnStore: 'AA',
        returnTo: {
          default: { host: 'his.example', port: 2321 },
          byApplication: { HIS: { host: '10.0.0.9', port: 2320 } },
        },
      },
      duplicates: { ms: 3_600_000, entries: 200_000 },
      pipeline: 4,
      release2: true,
    });
    expect(configuration!.pools.find(({ name }) => name === 'lab')?.hl7).toEqual({
      connections: 8,
      release2: true,
    });
  });

  it('one address for the answers of all applications', () => {
    expect(vipOf('{ delivery: store, queue: q, returnTo: "[fd00::9]:2320" }').hl7.store?.returnTo).toEqual({
      default: { host: 'fd00::9', port: 2320 },
      byApplication: {},
    });
  });

  it('a folder that the queue cannot be made in is a sentence, and no fault', () => {
    const text = `
admin: off
pools: { ris: { servers: [10.0.0.31:2310] } }
vips: { RIS: { protocol: hl7, listen: 127.0.0.1:0, pool: ris, hl7: { delivery: store, queue: nowhere/ris } } }
`;
    const { configuration } = readConfiguration(text, { file: '/nowhere/gantry.yaml' });
    expect(missingOnMachine(configuration!)).toEqual([
      'vips.RIS.hl7.queue: this user cannot write in the folder /nowhere/nowhere',
    ]);
  });
});

it.each([
  ['duplicates: off', { ms: 0, entries: 200_000 }],
  ['duplicates: 90s', { ms: 90_000, entries: 200_000 }],
])('%s', (written, duplicates) => {
  const vip = vipOf(`{ delivery: store, queue: q, ${written} }`);
  expect(vip.hl7.duplicates).toEqual(duplicates);
  expect(vip.queue?.settings.remember).toEqual(duplicates);
});
