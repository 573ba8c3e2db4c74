/** What the rooms are given of a configuration: every default filled in, times in milliseconds, sizes in bytes. */
import type { z } from 'zod';
import type { fileSchema } from './file-schema.ts';
import type { HealthConfiguration } from './health-configuration.ts';
import type { hl7Schema } from './hl7-schema.ts';
import type { balance } from './pool-schema.ts';
import type { QueueConfiguration } from './queue-configuration.ts';
import type { When } from './vip-schema.ts';

export type { When };

/** An address to listen on; port 0: the system chooses. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A certificate chain and its private key, PEM. */
export interface CertificateConfiguration {
  readonly cert: string;
  readonly key: string;
}

/** TLS that ends here. */
export interface TlsServerConfiguration {
  /** The first is for clients that ask for no name, or for one that no certificate has. */
  readonly certificates: readonly CertificateConfiguration[];
  /** PEM of the authorities that a client's certificate must come from; undefined: none is asked for. */
  readonly clientCa: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** PS3.15 B.12, or the restricted algorithms of B.13. */
  readonly profile: 'bcp195' | 'modified';
  /** DICOM: names in the subject of a certificate → the calling AE titles that it may use; {}: not asked. */
  readonly aeTitles: Readonly<Record<string, readonly string[]>>;
  /** HL7: the same → the sending applications (MSH-3) that it may use, as patterns; {}: not asked. */
  readonly senders: Readonly<Record<string, readonly string[]>>;
}

/** TLS that begins here. */
export interface TlsClientConfiguration {
  /** Is the certificate of the server checked, and its name? */
  readonly verify: boolean;
  /** PEM; undefined: the authorities of Node. */
  readonly ca: string | undefined;
  /** undefined: the host that is dialled. */
  readonly servername: string | undefined;
  /** PEM of the own certificate and its key: both or none. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** undefined: the algorithms of Node. */
  readonly profile: 'bcp195' | 'modified' | undefined;
}

export type Balance = z.output<typeof balance>;

export interface ServerConfiguration {
  readonly name: string;
  readonly host: string;
  /** undefined: the port the client came to. */
  readonly port: number | undefined;
  readonly ae: string | undefined;
  readonly weight: number;
  readonly maxConnections: number | undefined;
  readonly backup: boolean;
}

/** `by: []` is no persistence at all, also where the VIP has one. */
export interface PersistenceConfiguration {
  readonly by: readonly string[];
  /** Milliseconds; Infinity: an entry is never forgotten, and never moves. */
  readonly ttl: number;
  /** Entries. */
  readonly size: number;
  readonly netmask: number | undefined;
  readonly share: string | undefined;
  /** When `by` has `cookie`. Without a key, one is drawn at each start. */
  readonly cookie: { readonly name: string; readonly key: string | undefined } | undefined;
}

export interface PoolConfiguration {
  readonly name: string;
  readonly servers: readonly ServerConfiguration[];
  readonly balance: Balance;
  readonly mode: 'shared' | 'single-active';
  readonly failBack: boolean;
  readonly health: HealthConfiguration;
  /** Milliseconds. */
  readonly slowStart: number;
  /** From 0 to 1. */
  readonly panic: number;
  readonly persistence: PersistenceConfiguration | undefined;
  readonly hl7: {
    readonly connections: number;
    /** Its servers speak MLLP release 2. */
    readonly release2: boolean;
  };
  /** Milliseconds that the open work of a halted server has. */
  readonly drain: number;
  /** How connections to its servers are made. Times in milliseconds; undefined: the VIP's. */
  readonly link: {
    readonly tls: TlsClientConfiguration | undefined;
    readonly proxyProtocol: 1 | 2 | undefined;
    readonly connectTimeout: number | undefined;
    readonly responseTimeout: number | undefined;
  };
}

export interface RouteConfiguration {
  readonly when: When;
  /** undefined when it rejects. */
  readonly pool: string | undefined;
  /** A name of the protocol's; HTTP: a status code, `redirect` or `respond`; TCP: `close` or `reset`. */
  readonly reject: string | undefined;
  readonly balance: Balance | undefined;
  readonly urgent: boolean;
  readonly onAmbiguous: Hl7Configuration['onAmbiguous'] | undefined;
}

/** What every VIP has whose traffic goes through this process. */
export interface VipCommon {
  readonly name: string;
  readonly mode: 'proxy';
  /** What servers see as the client: `client`, its own address; an address of this machine; undefined: the system's choice. */
  readonly source: string | undefined;
  readonly listen: readonly ListenAddress[];
  readonly routes: readonly RouteConfiguration[];
  /** undefined: what no rule matches is rejected. */
  readonly pool: string | undefined;
  readonly persistence: PersistenceConfiguration | undefined;
  readonly tls: TlsServerConfiguration | undefined;
  /** Each connection begins with a PROXY protocol header. */
  readonly proxyProtocol: boolean;
  /** Networks whose PROXY and forwarded headers are believed; none: PROXY headers of everybody. */
  readonly trustedProxies: readonly string[];
  /** Milliseconds for the PROXY header and the TLS handshake together. */
  readonly handshakeTimeout: number;
}

/** Milliseconds. */
export interface DicomTimeouts {
  readonly request: number;
  readonly connect: number;
  readonly accept: number;
  readonly stall: number;
  readonly idle: number;
  readonly release: number;
}

/** Milliseconds. */
export interface Hl7Timeouts {
  readonly connect: number;
  readonly stall: number;
  /** undefined: a sender's connection may be silent for ever. */
  readonly idle: number | undefined;
}

export interface DicomVip extends VipCommon {
  readonly protocol: 'dicom';
  readonly urgent: {
    /** Slots of each server that only urgent work may use. */
    readonly reserve: number;
    /** HL7 VIPs whose STAT orders make studies urgent. */
    readonly fromOrders: readonly string[];
  };
  /** Associations at once. */
  readonly limits: {
    readonly associations: number | undefined;
    readonly perCalling: number | undefined;
    readonly perServer: number | undefined;
  };
  readonly dicom: {
    readonly route: 'association' | 'study';
    /** Study routing: nodes of one archive, or independent archives. */
    readonly storage: 'shared' | 'separate';
    /** Study routing: bytes of instances that are kept until their response. */
    readonly replay: { readonly perInstance: number; readonly total: number };
    /** Tags, `(gggg,eeee)`, that rules and persistence ask for beside the facts that have names. */
    readonly tags: readonly string[];
    /** Where servers send what they begin themselves: C-MOVE sub-operations, N-EVENT-REPORT. */
    readonly egress:
      | {
          readonly listen: readonly ListenAddress[];
          /** AE title → where it is. */
          readonly destinations: Readonly<Record<string, ListenAddress>>;
        }
      | undefined;
    /** Milliseconds; 0: nobody waits. */
    readonly wait: number;
    readonly whenUnavailable: 'reject' | 'refuse';
    readonly ignoreCase: boolean;
    /** Calling AE title → the networks it may come from. */
    readonly clients: Readonly<Record<string, readonly string[]>>;
    readonly timeouts: DicomTimeouts;
  };
}

export type Hl7Configuration = z.output<typeof hl7Schema>;

export interface Hl7Vip extends VipCommon {
  readonly protocol: 'hl7';
  /** undefined: what comes is relayed. */
  readonly queue: QueueConfiguration | undefined;
  readonly hl7: {
    /** With a queue: what is kept there, and who hears of it. */
    readonly store:
      | {
          readonly ackOnStore: 'AA' | undefined;
          /** Where the answers of applications go, by sending application (MSH-3). */
          readonly returnTo: {
            readonly default: ListenAddress | undefined;
            readonly byApplication: Readonly<Record<string, ListenAddress>>;
          };
        }
      | undefined;
    readonly order: Hl7Configuration['order'];
    /** Milliseconds, by sending application (MSH-3). */
    readonly senderTimeout: {
      readonly default: number;
      readonly byApplication: Readonly<Record<string, number>>;
    };
    /** Milliseconds; undefined: follows from `senderTimeout`. */
    readonly ackTimeout: number | undefined;
    readonly ackMatch: Hl7Configuration['ackMatch'];
    readonly onAmbiguous: Hl7Configuration['onAmbiguous'];
    /** `close`, or the code of the acknowledgement that is sent. */
    readonly whenUnavailable: Hl7Configuration['whenUnavailable'];
    /** Repetitions are recognised for `ms` milliseconds, 0: never; the latest `entries` messages of one VIP. */
    readonly duplicates: { readonly ms: number; readonly entries: number };
    /** Messages on their way at once on one connection to a server. */
    readonly pipeline: number;
    /** Senders speak MLLP release 2. */
    readonly release2: boolean;
    /** Bytes. */
    readonly maxFrame: number;
    /** The byte before each message, and the one after it. */
    readonly startBlock: number;
    readonly endBlock: number;
    /** Which repetition of PID-3 names the patient. */
    readonly patient: { readonly types?: string[] | undefined; readonly repetition?: number | undefined };
    /** Field paths: the first that has a value. */
    readonly accession: readonly string[];
    readonly timeouts: Hl7Timeouts;
  };
}

/** Milliseconds. */
export interface HttpTimeouts {
  /** The head of a request, from its first byte. */
  readonly request: number;
  /** Silence inside a body. */
  readonly stall: number;
  /** From the whole request to the head of its response. */
  readonly response: number;
  /** Between requests. */
  readonly idle: number;
  readonly connect: number;
  /** In the queue while every server is full. */
  readonly queue: number;
  /** Silence of an upgraded connection, such as a WebSocket. */
  readonly tunnel: number;
}

/** What an HTTP rule does beside choosing a pool. */
export interface HttpAction {
  /** The `path` patterns of its `when`, which `$1`… come from. */
  readonly paths: readonly string[];
  /** The new path, with `$1`… */
  readonly rewrite: string | undefined;
  /** `to`: a URL or a path, with `$1`… */
  readonly redirect: { readonly to: string; readonly status: number } | undefined;
  readonly respond: { readonly status: number; readonly body: string; readonly type: string } | undefined;
}

/** `remove` goes first, then `set`, then `add`. Values are without control characters. */
export interface HeaderChanges {
  /** Name → value. */
  readonly set: Readonly<Record<string, string>>;
  readonly add: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

export interface HttpVip extends VipCommon {
  readonly protocol: 'http';
  readonly http: {
    /** One for each of `routes`. */
    readonly actions: readonly HttpAction[];
    readonly headers: { readonly request: HeaderChanges; readonly response: HeaderChanges };
    readonly forwarded: 'append' | 'replace' | 'off';
    readonly limits: {
      /** Bytes of a request's head. */
      readonly headers: number;
      /** Bytes; undefined: any. */
      readonly body: number | undefined;
      /** undefined: any number. */
      readonly connections: number | undefined;
    };
    readonly timeouts: HttpTimeouts;
  };
}

/** Milliseconds. */
export interface TcpTimeouts {
  readonly connect: number;
  /** In the queue while every server is full. */
  readonly queue: number;
  /** Silence in both directions. */
  readonly idle: number;
}

export interface TcpVip extends VipCommon {
  readonly protocol: 'tcp';
  readonly tcp: {
    readonly limits: { readonly connections: number | undefined };
    readonly timeouts: TcpTimeouts;
    /** Something asks for `sni`, and TLS does not end here: it is read from the ClientHello. */
    readonly peeksSni: boolean;
  };
}

export type ProxyVip = DicomVip | Hl7Vip | HttpVip | TcpVip;

/** An address that traffic comes to in the kernel; `*`: all ports. */
export interface Layer4Address {
  readonly host: string;
  readonly port: number | '*';
}

/** Its traffic goes to the servers in the kernel, past this process. */
export interface Layer4Vip {
  readonly name: string;
  readonly mode: 'dr' | 'nat' | 'snat';
  readonly protocol: null;
  readonly listen: readonly Layer4Address[];
  /** dr: the network interfaces that packets of clients come in by; []: the one that leads to the servers. */
  readonly interfaces: readonly string[];
  readonly routes: readonly never[];
  readonly pool: string;
  readonly persistence: PersistenceConfiguration | undefined;
  /** snat: what servers see as the client; undefined: the address of the interface that leads to them. */
  readonly source: string | undefined;
  /** Milliseconds of silence after which an open flow is forgotten. */
  readonly idle: number;
}

export type VipConfiguration = ProxyVip | Layer4Vip;

/** The VIPs whose traffic the kernel forwards. */
export function layer4Vips({ vips }: Configuration): Layer4Vip[] {
  return vips.filter((vip) => vip.mode !== 'proxy');
}

export function isProxy(vip: VipConfiguration): vip is ProxyVip {
  return vip.mode === 'proxy';
}

/** What a file says, with every default filled in: durations in milliseconds, sizes in bytes. */
export interface Configuration {
  /** undefined: no admin API. */
  readonly admin: { readonly listen: ListenAddress; readonly token?: string | undefined } | undefined;
  readonly log: z.output<typeof fileSchema>['log'];
  /** Where persistence lives; `file`: the absolute path of the snapshot that outlives a restart; its journal is beside it. */
  readonly table: { readonly kind: 'memory'; readonly file: string | undefined };
  /** Milliseconds that work in hand gets when the balancer stops. */
  readonly drain: number;
  /** `interval`: milliseconds; undefined: servers are probed on demand only. */
  readonly probe: { readonly interval: number } | undefined;
  /** What becomes of the rules in the kernel when the balancer stops. */
  readonly layer4: { readonly onStop: 'keep' | 'remove' };
  readonly pools: readonly PoolConfiguration[];
  readonly vips: readonly VipConfiguration[];
}
