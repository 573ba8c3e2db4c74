/**
 * Front-ends keep their connections to a server, and its `maxConnections` is for all of them together. One that needs
 * a connection and finds no room gets that of another which lies idle, or the next that becomes idle.
 */
import type { Server } from '../../pools/server.ts';

export interface Tenant {
  /** Closes a connection that lies idle; false when there is none. */
  yieldSlot(): boolean;
}

interface House {
  readonly tenants: Set<Tenant>;
  /** Those that found no room. */
  readonly homeless: Set<Tenant>;
}

const houses = new WeakMap<Server, House>();

function houseOf(server: Server): House {
  let house = houses.get(server);
  if (!house) {
    house = { tenants: new Set(), homeless: new Set() };
    houses.set(server, house);
  }
  return house;
}

export function moveIn(server: Server, tenant: Tenant): void {
  houseOf(server).tenants.add(tenant);
}

export function moveOut(server: Server, tenant: Tenant): void {
  houseOf(server).tenants.delete(tenant);
  houseOf(server).homeless.delete(tenant);
}

/** Takes one of the server's slots, for a connection that is kept. False: there is none to be had now. */
export function takeSlot(server: Server, tenant: Tenant): boolean {
  const { tenants, homeless } = houseOf(server);
  if (!server.hasRoom) for (const other of tenants) if (other !== tenant && other.yieldSlot()) break;
  if (!server.hasRoom) {
    homeless.add(tenant);
    return false;
  }
  homeless.delete(tenant);
  server.acquire(true);
  return true;
}

/**
 * Does anybody else wait for a slot that `tenant` could give back? Then it closes the connection: the pool tells
 * everybody that there is room, and whoever still finds none asks again.
 */
export function isSlotWanted(server: Server, tenant: Tenant): boolean {
  const { homeless } = houseOf(server);
  if (homeless.size === 0) return false;
  const wanted = homeless.size > 1 || !homeless.has(tenant);
  homeless.clear();
  return wanted;
}
