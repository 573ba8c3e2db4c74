import { expect, it } from 'vitest';
import { collide, placesOf, whySeveral } from '../../src/profiles/addresses.ts';
import type { Profile, Service } from '../../src/profiles/profile.ts';
import { PROFILES } from '../../src/profiles/profiles.ts';

function service(name: string, ports: Service['ports']): Service {
  return { ref: name, name, speaks: 'tcp', ports, persistence: 'none', health: { check: 'connect' } };
}

function profileOf(...services: Service[]): Profile {
  return { name: 'test', title: 'A test', services };
}

const names = (profile: Profile) => placesOf(profile).map((services) => services.map(({ name }) => name));

it('one address is enough until a port is wanted twice', () => {
  expect(names(profileOf(service('A', [80]), service('B', [81, 82])))).toEqual([['A', 'B']]);
  expect(whySeveral(profileOf(service('A', [80]), service('B', [81, 82])))).toBe(undefined);
});

it('the first address that is free, in the order of the table; all ports are an address of their own', () => {
  const profile = profileOf(
    service('A', [80]),
    service('B', [80, 443]),
    service('ALL', '*'),
    service('C', [443]),
    service('D', [80, 443]),
  );
  expect(names(profile)).toEqual([['A', 'C'], ['B'], ['ALL'], ['D']]);
  expect(whySeveral(profile)).toBe('A, B and D have port 80, B, C and D have port 443 and ALL has all ports');
});

it('ports that the same services share are one reason', () => {
  expect(whySeveral(profileOf(service('A', [80, 443]), service('B', [80, 443])))).toBe(
    'A and B have ports 80 and 443',
  );
});

it.each(PROFILES.map((profile): [string, Profile] => [profile.name, profile]))(
  '%s: no collision, and as few addresses as there can be',
  (_name, profile) => {
    const places = placesOf(profile);
    expect(places.flat()).toHaveLength(profile.services.length);
    for (const services of places) {
      const pairs = services.flatMap((a, index) => services.slice(index + 1).map((b) => collide(a, b)));
      expect(pairs).not.toContain(true);
    }
    // Services on one port cannot share an address, nor can those of all ports with anyone.
    const whole = profile.services.filter(({ ports }) => ports === '*').length;
    const ports = profile.services.flatMap((one) => (one.ports === '*' ? [] : one.ports));
    const most = Math.max(...ports.map((port) => ports.filter((other) => other === port).length));
    expect(places).toHaveLength(whole + most);
  },
);
