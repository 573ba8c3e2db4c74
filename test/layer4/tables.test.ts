import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ElementReader, type MapElement, readTables } from '../../src/layer4/tables.ts';

const LISTING = `table netdev gantry_dr_eis {
	comment "gantry 1"
	counter full {
		packets 3 bytes 180
	}

	map flows_ip_4 {
		type ipv4_addr . ipv4_addr . inet_service . inet_service : mark
		size 4
		flags dynamic,timeout
		elements = { 10.50.0.100 . 10.50.0.10 . 48412 . 104 timeout 1m expires 1m56s984ms : 0x47540001,
			     10.50.0.100 . 10.50.0.10 . 48420 . 104 timeout 1h expires 1d2h3m4s : 0x47540002 }
	}

	set services {
		type ipv4_addr . inet_service
		elements = { 10.50.0.10 . 104,
			     10.50.0.10 . 105 }
	}

	map addresses {
		type mark : ipv6_addr
		elements = { 0x47540001 : fd50::21, 0x47540002 : fd50::22 }
	}

	chain vip {
		meta mark vmap @duties
	}

	chain ingress_eth0 {
		type filter hook ingress device "eth0" priority filter; policy accept;
		ip daddr @hosts goto vip
	}
}
table ip filter {
	chain INPUT {
		type filter hook input priority filter; policy accept;
	}
}
`;

const ELEMENTS: MapElement[] = [
  {
    map: 'flows_ip_4',
    key: '10.50.0.100 . 10.50.0.10 . 48412 . 104',
    value: '0x47540001',
    expires: 116_984,
  },
  {
    map: 'flows_ip_4',
    key: '10.50.0.100 . 10.50.0.10 . 48420 . 104',
    value: '0x47540002',
    expires: 93_784_000,
  },
  { map: 'addresses', key: '0x47540001', value: 'fd50::21', expires: undefined },
  { map: 'addresses', key: '0x47540002', value: 'fd50::22', expires: undefined },
].map((element) => ({ family: 'netdev', table: 'gantry_dr_eis', ...element }));

test('tables as nft lists them', () => {
  const [ours, other] = readTables(LISTING);
  expect(ours).toMatchObject({
    family: 'netdev',
    name: 'gantry_dr_eis',
    comment: 'gantry 1',
  });
  expect(ours!.counters).toEqual(new Map([['full', { packets: 3, bytes: 180 }]]));
  expect(ours!.sets.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'map flows_ip_4',
    'set services',
    'map addresses',
  ]);
  expect(ours!.chains).toEqual([
    { name: 'vip', device: undefined },
    { name: 'ingress_eth0', device: 'eth0' },
  ]);
  expect(other).toMatchObject({ name: 'filter', comment: undefined, chains: [{ name: 'INPUT' }] });
  expect(readTables('')).toEqual([]);
});

test('elements, in whatever pieces they come', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(LISTING.length), { maxLength: 20 }), (cuts) => {
      const read: MapElement[] = [];
      const reader = new ElementReader((element) => read.push(element));
      const places = [0, ...cuts.toSorted((a, b) => a - b), LISTING.length];
      for (const [index, place] of places.slice(1).entries())
        reader.push(LISTING.slice(places[index], place));
      expect(read).toEqual(ELEMENTS);
    }),
  );
});
