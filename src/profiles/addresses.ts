/** Which VIP has which address: as few addresses as there can be, in the order in which they are given. */
import type { Profile, Service } from './profile.ts';

/** The services at each address, those of the first address first. */
export function placesOf({ services }: Profile): readonly (readonly Service[])[] {
  const places: Service[][] = [];
  for (const service of services) {
    const free = places.find((others) => !others.some((other) => collide(service, other)));
    if (free) free.push(service);
    else places.push([service]);
  }
  return places;
}

/** Two services that cannot share an address: one of all ports with any other, or two on the same port. */
export function collide(a: Service, b: Service): boolean {
  if (a.ports === '*' || b.ports === '*') return true;
  return portsOf(a).some((port) => portsOf(b).includes(port));
}

/** Why one address is not enough, as half a sentence; undefined when it is. */
export function whySeveral({ services }: Profile): string | undefined {
  const ports = [...new Set(services.flatMap(portsOf))];
  const shared = new Map<string, number[]>();
  for (const port of ports) {
    const names = services.filter((service) => portsOf(service).includes(port)).map(({ name }) => name);
    if (names.length > 1) shared.set(inWords(names), [...(shared.get(inWords(names)) ?? []), port]);
  }
  const reasons = [...shared].map(
    ([names, of]) => `${names} have port${of.length > 1 ? 's' : ''} ${inWords(of.map(String))}`,
  );
  const whole = services.filter((service) => service.ports === '*').map(({ name }) => name);
  if (whole.length > 0)
    reasons.push(`${inWords(whole)} ${whole.length > 1 ? 'have all ports each' : 'has all ports'}`);
  return reasons.length === 0 ? undefined : inWords(reasons);
}

function portsOf({ ports }: Service): readonly number[] {
  return ports === '*' ? [] : ports;
}

/** `a, b and c` */
function inWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
