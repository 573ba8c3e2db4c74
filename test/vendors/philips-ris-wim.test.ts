import { testRows } from './rows.ts';

testRows({
  profile: 'philips-ris-wim',
  addresses: 5,
  layout: { 80: 'http', 443: 'https', 104: 'store', 2575: 'hl7', 50000: 'echo' },
  sampled: [443, 80, 104, 2575, 50_000],
  pathOf: (name) => `/${name.replace('RIS_', '').replace('_', '/').toLowerCase()}`,
});
