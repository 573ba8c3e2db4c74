/** What HL7 VIPs remember for the order of messages: each its own, in tables of the snapshot, over reloads. */
import { expect, test } from 'vitest';
import { type Assembly, assemble } from '../src/assemble.ts';
import { formatFault } from '../src/config/fault.ts';
import { readConfiguration } from '../src/config/load.ts';

function assembled(before?: Assembly): Assembly {
  const text = `
version: 1
pools:
  ris: { servers: ["10.0.0.2:2310"] }
vips:
  RIS: { protocol: hl7, listen: "10.0.0.9:2310", pool: ris }
  LAB: { protocol: hl7, listen: "10.0.0.9:2311", pool: ris }
  WEB: { protocol: tcp, listen: "10.0.0.9:2312", pool: ris }
`;
  const { configuration, faults } = readConfiguration(text, { file: 'test.yaml' });
  if (!configuration) throw new Error(faults.map(formatFault).join('\n'));
  return assemble(configuration, { now: () => 1_000_000, random: () => 0.5 }, before);
}

test('each HL7 VIP has its own, in tables of the snapshot', () => {
  const { orderMemories, tables } = assembled();
  expect([...orderMemories.keys()]).toEqual(['RIS', 'LAB']);
  orderMemories.get('RIS')!.aliases!.learn([{ from: 'OLD', to: 'NEW' }]);
  expect(tables.get('aliases RIS')!.serverOf('OLD')).toBe('NEW');
  expect(tables.get('aliases LAB')!.size).toBe(0);
  expect([...tables.keys()]).toEqual(expect.arrayContaining(['pins RIS', 'pins LAB']));
});

test('merges that were on their way when the configuration was changed are still expected', () => {
  const before = assembled();
  const { aliases } = before.orderMemories.get('RIS')!;
  aliases!.expect([{ from: 'OLD', to: 'NEW' }]);
  const after = assembled(before);
  after.commit();
  expect(after.orderMemories.get('RIS')!.aliases!.chain!('OLD')).toEqual(['NEW', 'OLD']);
});
