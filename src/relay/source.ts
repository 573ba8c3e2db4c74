/** Where connections to servers come from, when the system is not to choose. */
import type { GantryError } from '../errors.ts';
import type { Endpoint } from './channel.ts';

/** Of a VIP: an address of this machine, or that of the client for whom a connection is made. */
export type Source = { readonly address: string } | { readonly ofClients: ClientSource };

/** Of one connection: an address of this machine, or that of a client. */
export type From = string | { readonly source: ClientSource; readonly client: string };

/** Lets connections bear the addresses of clients. */
export interface ClientSource {
  /**
   * Readies one connection: from the port of the claim to `server`, an IP address, it will bear the address `client`.
   * Rejects with GTY_SOURCE and a sentence when that cannot be; nothing is held then.
   */
  claim(client: string, server: Endpoint): Promise<Claim>;
}

export interface Claim {
  /** To connect from, within seconds. */
  readonly localPort: number;
  /** Called once the connection is closed, or was never made. */
  release(): void;
}

/** For a connection that is made for `client`, an address; for nobody in particular, only an address of our own counts. */
export function fromOf(source: Source | undefined, client: string | undefined): From | undefined {
  if (source === undefined) return undefined;
  if ('address' in source) return source.address;
  return client === undefined ? undefined : { source: source.ofClients, client };
}

/**
 * The client that may be to blame for a connection that bore its address and was not answered in time (`error`: how it
 * ended, when it was not given up): the server answers by another way, when that to the client is not this machine.
 */
export function suspectOf(
  source: Source | undefined,
  client: string,
  error?: GantryError,
): string | undefined {
  const isSilent = error === undefined || error.code === 'GTY_CONNECT_TIMEOUT';
  return isSilent && source && 'ofClients' in source ? client : undefined;
}
