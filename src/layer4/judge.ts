/** Services that cannot be: said in a sentence before anything is rendered, so that nothing strange gets into a rule. */
import { GantryError } from '../errors.ts';
import { canonicalAddress } from '../ip-address.ts';
import { type Family, familyOf } from './families.ts';
import type { Service } from './service.ts';

/** The service with addresses as the kernel writes them, and its family. Throws GTY_LAYER4. */
export function judged(service: Service): { readonly service: Service; readonly family: Family } {
  const refuse = (why: string) => new GantryError('GTY_LAYER4', `VIP "${service.name}": ${why}`);
  const { listen, servers, interfaces, source, mode } = service;
  const family = listen[0] && familyOf(listen[0].host);
  if (!family) throw refuse('it has no IP address to listen on');
  const requireAddress = (address: string, what: string) => {
    if (familyOf(address) !== family) {
      throw refuse(
        `${what} "${address}" is no ${family.ip === 'ip' ? 'IPv4' : 'IPv6'} address, as its others are`,
      );
    }
  };
  for (const { host, port } of listen) {
    requireAddress(host, 'the address');
    if (port !== '*' && !isPort(port)) throw refuse(`${port} is no port`);
  }
  const seen = new Set<string>();
  for (const { name, address, port, weight } of servers) {
    requireAddress(address, `the server ${name}:`);
    if (port !== undefined && !isPort(port)) throw refuse(`the server ${name}: ${port} is no port`);
    if (!(weight >= 0 && weight < 2 ** 24)) throw refuse(`the server ${name}: ${weight} is no weight`);
    const place = placeOf(service, { address: canonicalAddress(address), port });
    if (seen.has(place)) throw refuse(`two servers are one: ${place}`);
    seen.add(place);
  }
  if (source !== undefined) requireAddress(source, 'the source');
  const odd = interfaces.find((one) => !/^[^\s/"\\]{1,15}$/.test(one));
  if (odd !== undefined) throw refuse(`"${odd}" is no name of an interface`);
  requireTimes(service, refuse);
  return {
    family,
    service: {
      ...service,
      source: source && canonicalAddress(source),
      listen: listen.map(({ host, port }) => ({ host: canonicalAddress(host), port })),
      servers: servers.map((one) => ({
        ...one,
        address: canonicalAddress(one.address),
        port: mode === 'dr' ? undefined : one.port,
        weight: Math.round(one.weight),
      })),
    },
  };
}

/** Where a server is: what its mark stands for. The port counts where it is translated. */
export function placeOf(
  { mode }: Pick<Service, 'mode'>,
  { address, port }: { readonly address: string; readonly port: number | undefined },
): string {
  return mode === 'dr' || port === undefined ? address : `${address} . ${port}`;
}

function requireTimes({ idle, persistence }: Service, refuse: (why: string) => GantryError): void {
  const isCount = (value: number) => Number.isInteger(value) && value > 0;
  if (!isCount(idle)) throw refuse(`timeouts.idle: ${idle} ms is impossible`);
  if (!persistence) return;
  if (!isCount(persistence.ttl)) throw refuse(`persistence.ttl: ${persistence.ttl} ms is impossible`);
  if (!isCount(persistence.size)) throw refuse(`persistence.size: ${persistence.size} is impossible`);
  const { netmask } = persistence;
  if (netmask !== undefined && !(isCount(netmask) && netmask <= 128)) {
    throw refuse(`persistence.netmask: ${netmask} is impossible`);
  }
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65_536;
}
