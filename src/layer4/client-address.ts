/** Which addresses of clients a server can see. */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Why a server cannot see this client's address; undefined: it can. */
export function obstacleBetween(client: string, server: string): string | undefined {
  const [ofClient, ofServer] = [isIP(client), isIP(server)];
  if (ofClient === 0) return 'the client has none';
  if (ofServer === 0 || server === '0.0.0.0' || server === '::')
    return `\`${server}\` is no address of a server`;
  if (ofClient !== ofServer) {
    return `the client has an IPv${ofClient} address, the server an IPv${ofServer} one: both need one of the same version`;
  }
  if (client.includes('%') || server.includes('%')) return 'a link-local address is known on one link only';
  if (isLoopback(client) && !isLoopback(server)) {
    return 'the client is on this machine and came by its loopback address';
  }
  if (isLoopback(server) && !isLoopback(client))
    return 'the server has a loopback address, which nobody else reaches';
  if (client === server && !isLoopback(client) && !isOurs(client)) {
    return 'the client is that server itself, which takes no packets from its own address';
  }
  return undefined;
}

function isOurs(address: string): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === address));
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
