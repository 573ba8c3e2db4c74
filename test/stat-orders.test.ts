/** How the balancer's parts share STAT orders: HL7 VIPs learn them, DICOM VIPs ask, tables outlive reload and restart. */
import { expect, test } from 'vitest';
import { type Assembly, assemble } from '../src/assemble.ts';
import { formatFault } from '../src/config/fault.ts';
import { readConfiguration } from '../src/config/load.ts';
import type { Configuration } from '../src/config/schema.ts';
import { differenceOf, touchedVips } from '../src/difference.ts';

/** Two HL7 VIPs and a DICOM VIP that asks some of them for orders. */
function configurationOf(urgent: string): Configuration {
  const { configuration, faults } = readConfiguration(
    `
version: 1
pools:
  archive: { servers: [{ address: "10.0.0.1:104", maxConnections: 4 }] }
  ris: { servers: ["10.0.0.2:2310"] }
vips:
  ARCHIVE:
    protocol: dicom
    listen: "10.0.0.9:104"
    pool: archive
    dicom: { route: study, storage: shared }
    ${urgent === '' ? '' : `urgent: ${urgent}`}
  RIS: { protocol: hl7, listen: "10.0.0.9:2310", pool: ris }
  LAB: { protocol: hl7, listen: "10.0.0.9:2311", pool: ris }
`,
    { file: 'test.yaml' },
  );
  if (!configuration) throw new Error(faults.map(formatFault).join('\n'));
  return configuration;
}

const assembled = (configuration: Configuration, before?: Assembly) =>
  assemble(configuration, { now: () => 1_000_000, random: () => 0.5 }, before);
const touched = (before: string, after: string) => {
  const [one, other] = [configurationOf(before), configurationOf(after)];
  return touchedVips(differenceOf(one, other), one, other).map(({ name }) => name);
};

test('only VIPs that somebody asks for orders keep any, each in a table of the snapshot', () => {
  const { statOrders, tables } = assembled(configurationOf('{ fromOrders: [RIS] }'));
  expect([...statOrders.keys()]).toEqual(['RIS']);
  expect([...tables.keys()]).toContain('orders RIS');
  statOrders.get('RIS')!.learn([{ urgency: 'urgent', accessions: ['A1'], studies: [] }]);
  expect(tables.get('orders RIS')!.size).toBe(1);
  expect([...assembled(configurationOf('')).statOrders]).toEqual([]);
});

test('orders that are known outlive a reload', () => {
  const before = assembled(configurationOf('{ fromOrders: [RIS] }'));
  before.statOrders.get('RIS')!.learn([{ urgency: 'urgent', accessions: ['A1'], studies: [] }]);
  const after = assembled(configurationOf('{ fromOrders: [RIS, LAB] }'), before);
  after.commit();
  expect(after.statOrders.get('RIS')!.isUrgent('A1', undefined)).toBe(true);
  expect(after.statOrders.get('LAB')!.isUrgent('A1', undefined)).toBe(false);
});

test('an HL7 VIP is touched by a reload when it begins or ceases to be asked', () => {
  expect(touched('', '{ fromOrders: [RIS] }')).toEqual(['ARCHIVE', 'RIS']);
  expect(touched('{ fromOrders: [RIS] }', '{ fromOrders: [LAB] }')).toEqual(['ARCHIVE', 'RIS', 'LAB']);
  expect(touched('{ fromOrders: [RIS] }', '{ fromOrders: [RIS], reserve: 1 }')).toEqual(['ARCHIVE']);
  expect(touched('{ fromOrders: [RIS] }', '{ fromOrders: [RIS] }')).toEqual([]);
});

test('the reserve of the configuration holds for the director', () => {
  const assembly = assembled(configurationOf('{ reserve: 3 }'));
  const server = assembly.pools.get('archive')!.servers[0]!;
  const director = assembly.directors.get('ARCHIVE')!;
  const facts = { get: () => undefined };
  server.acquire();
  expect(director.choose(facts).next()).toBeUndefined();
  expect(director.choose(facts, { urgent: true }).next()?.server).toBe(server);
});
