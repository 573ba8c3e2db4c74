import { expect, it } from 'vitest';
import { readConfiguration } from '../../src/config/load.ts';
import { missingOnMachine } from '../../src/config/machine.ts';

const text = `
admin: { listen: 127.0.0.1:80 }
pools: { a: { servers: [10.0.0.1] } }
vips:
  HERE: { protocol: dicom, listen: ["10.0.0.4:104", "127.0.0.2:11112", "0.0.0.0:105", "[::]:0"], pool: a }
  AWAY: { protocol: hl7, listen: "10.0.0.5:2310", pool: a }
`;

it('an address or a privilege that this machine lacks is a sentence, and no fault', () => {
  const { configuration } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  const missing = (firstFreePort: number) =>
    missingOnMachine(configuration!, { addresses: ['10.0.0.4'], firstFreePort });
  expect(missing(0)).toEqual(['vips.AWAY.listen: this machine has no address 10.0.0.5']);
  expect(missing(105)).toEqual([
    'vips.HERE.listen: port 104 needs CAP_NET_BIND_SERVICE, which this user does not have',
    'vips.AWAY.listen: this machine has no address 10.0.0.5',
    'admin.listen: port 80 needs CAP_NET_BIND_SERVICE, which this user does not have',
  ]);
});

it('this machine has its own addresses', () => {
  const own = text
    .replace('10.0.0.4:104', '127.0.0.3:11113')
    .replace('10.0.0.5:2310', '127.0.0.1:12310')
    .replace(':80', ':19090')
    .replace(':105', ':11105');
  const { configuration } = readConfiguration(own, { file: 'f.yaml', environment: {} });
  expect(missingOnMachine(configuration!)).toEqual([]);
});
