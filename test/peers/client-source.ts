/** What lets connections bear clients' addresses, without a kernel that does: it notes whom each port was for. */
import { GantryError } from '../../src/errors.ts';
import type { Claim, ClientSource } from '../../src/relay/source.ts';
import { freePort } from './processes.ts';
import { type Gate, Journal } from './waiting.ts';

export interface NotedClaim {
  readonly client: string;
  readonly server: string;
  readonly port: number;
  isReleased: boolean;
}

export interface TestClientSource extends ClientSource {
  readonly claims: Journal<NotedClaim>;
  /** Claims that were granted and not released. */
  readonly held: number;
  /** For whom the connection from this port is; the last one. */
  clientOf(port: number | undefined): string | undefined;
}

/** What those hear who are refused. */
export const REFUSED = 'the address of this client cannot be borne';

/**
 * `ports`: the first that are handed out. `gate`: claims wait for it. `refusesFor`: no claim is granted for a server at
 * this port.
 */
export function createClientSource({
  ports = [] as number[],
  gate = undefined as Gate | undefined,
  refusesFor = undefined as number | undefined,
} = {}): TestClientSource {
  const claims = new Journal<NotedClaim>('claims');
  return {
    claims,
    get held() {
      return claims.items.filter(({ isReleased }) => !isReleased).length;
    },
    clientOf: (port) => claims.items.findLast((claim) => claim.port === port)?.client,
    async claim(client, { host, port }): Promise<Claim> {
      await gate?.opened;
      if (port === refusesFor) throw new GantryError('GTY_SOURCE', REFUSED);
      const claim = {
        client,
        server: `${host}:${port}`,
        port: ports.shift() ?? (await freePort()),
        isReleased: false,
      };
      claims.add(claim);
      return {
        localPort: claim.port,
        release() {
          if (claim.isReleased) throw new Error(`port ${claim.port} is released twice`);
          claim.isReleased = true;
          claims.changed();
        },
      };
    },
  };
}
