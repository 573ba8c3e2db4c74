/** What the kernel is to do for one VIP whose packets it forwards itself. Plain data: the wiring makes it of a configuration and of what the health checks say. */

/** One layer 4 VIP. */
export interface Service {
  readonly name: string;
  readonly mode: 'dr' | 'nat' | 'snat';
  /** Where clients connect to: IP addresses of one family. `*`: every TCP port. */
  readonly listen: readonly { readonly host: string; readonly port: number | '*' }[];
  /** dr: where the clients' packets come in. Empty: the interfaces that route to the servers. */
  readonly interfaces: readonly string[];
  /** snat: the address that the servers see. undefined: that of the interface the packet leaves by (masquerade). */
  readonly source: string | undefined;
  /** How new connections are spread over the servers, by their weights. */
  readonly spread: 'round-robin' | 'hash' | 'random';
  readonly persistence: SourcePersistence | undefined;
  /** Milliseconds without a packet of the client after which a flow is forgotten. */
  readonly idle: number;
  readonly servers: readonly Target[];
}

/** A client's address goes to one server, over all ports of the VIP. */
export interface SourcePersistence {
  /** Milliseconds since the client's last packet. */
  readonly ttl: number;
  /** Bits of the address that count; undefined: all. */
  readonly netmask: number | undefined;
  /** Entries at most. */
  readonly size: number;
}

/** A server of a layer 4 VIP. */
export interface Target {
  /** `POOL/SERVER`, the same over reloads. */
  readonly name: string;
  /** An IP address of the VIP's family. */
  readonly address: string;
  /** undefined: the port that the client came to; dr: always so. */
  readonly port: number | undefined;
  /** A whole number of at least 0. 0: nothing new by balance. */
  readonly weight: number;
  /**
   * What it is there for. `open`: everything. `sticky`: open flows, and new ones that persistence brings, which is not
   * renewed by them. `flows`: open flows. `gone`: nothing; open flows are reset.
   */
  readonly duty: 'open' | 'sticky' | 'flows' | 'gone';
}

/** What a server got, since its table was made. Clients' packets only: with DR the answers take another way. */
export interface ServerTraffic {
  readonly packets: number;
  readonly bytes: number;
  /** New connections that were given to it. */
  readonly connections: number;
  /** Connections that are open now, as of the last count; undefined: not counted yet. */
  readonly flows: number | undefined;
}

/** Whom a client belongs to. */
export interface PersistenceEntry {
  /** The client's address, masked. */
  readonly key: string;
  /** `POOL/SERVER`. */
  readonly server: string;
  /** Milliseconds from now. */
  readonly expires: number;
}
