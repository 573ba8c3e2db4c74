/** What the admin API answers with (contract, "Admin API"). Plain JSON; `balancer.ts` fills it in. */
import type { ServerState } from '../pools/server.ts';

/** Counters since the start, by name (`connections`, `associations`, `messages`, `rejected`, …). They only grow. */
export type Totals = Readonly<Record<string, number>>;

/** `GET /api/v1/status` */
export interface StatusDocument {
  /** Gantry's own version. */
  readonly version: string;
  /** Seconds since the start. */
  readonly uptime: number;
  readonly vips: readonly VipStatus[];
  readonly pools: readonly PoolStatus[];
}

export interface VipStatus {
  readonly name: string;
  /** null: a layer 4 VIP, whose packets the kernel forwards. */
  readonly protocol: 'dicom' | 'hl7' | 'http' | 'tcp' | null;
  readonly mode: 'proxy' | 'dr' | 'nat' | 'snat';
  /** Bound addresses, `host:port`; a port that the system chose is shown as chosen, all ports of a layer 4 VIP as `*`. */
  readonly listen: readonly string[];
  /** The pool when no rule matches; null when that is a rejection. */
  readonly pool: string | null;
  /** `none`, `source-ip`, `cookie`, or the fact; a chain is joined with `, `. */
  readonly persistence: string;
  /** Open client connections. Of a layer 4 VIP: open flows as of the last count, 0 before the first. */
  readonly connections: number;
  /** Of a layer 4 VIP `connections`, `packets` and `bytes`: the sums of `servers`. */
  readonly totals: Totals;
  /** Of a layer 4 VIP, and only there: what each server got. */
  readonly servers?: readonly ForwardedStatus[];
  /** Its durable queue: not there when it has none, null while its file cannot be read. */
  readonly queue?: QueueStatus | null;
}

/**
 * What the kernel forwarded for a layer 4 VIP to one server: what the clients sent, not the answers, which with DR take
 * another way. The counters only grow, and go on where they were when Gantry is started again.
 */
export interface ForwardedStatus {
  readonly pool: string;
  readonly server: string;
  /** New connections that were given to it. */
  readonly connections: number;
  readonly packets: number;
  /** Of those packets, IP headers included. */
  readonly bytes: number;
  /** Open now, as of the last count; null: not counted yet. */
  readonly flows: number | null;
}

/** A VIP's durable queue of messages. */
export interface QueueStatus {
  /** As configured. */
  readonly file: string;
  /** Those in quarantine included. */
  readonly messages: number;
  /** Of their bodies. */
  readonly bytes: number;
  /** On their way to servers. */
  readonly taken: number;
  /** In quarantine. */
  readonly held: number;
  /** When the oldest that is not in quarantine was stored, ISO 8601 in UTC; null: there is none. */
  readonly oldest: string | null;
  /** Of the file and its log. */
  readonly fileBytes: number;
}

export interface PoolStatus {
  readonly name: string;
  readonly balance: string;
  /** `none`, `connect`, `dicom-echo`, … */
  readonly health: string;
  readonly mode: 'shared' | 'single-active';
  /** The one server of a `single-active` pool that gets work now; null: none may, or they share it. */
  readonly activeServer: string | null;
  readonly servers: readonly ServerStatus[];
}

export interface ServerStatus {
  readonly name: string;
  /** As configured: `host:port`, or `host` when it takes the port the client came to. */
  readonly address: string;
  readonly state: ServerState;
  /** When it entered that state, ISO 8601 in UTC. */
  readonly since: string;
  /** Why it is in that state, a sentence. */
  readonly reason: string;
  readonly weight: number;
  /** Associations or connections it has right now; flows of layer 4 VIPs as of the last count. */
  readonly active: number;
  /** With layer 4 VIPs `packets` and `bytes` too: what their clients sent it. */
  readonly totals: Totals;
}

/** One of `GET /api/v1/connections`. Flows of layer 4 VIPs, which pass Gantry by, are counted in their status only. */
export interface ConnectionDocument {
  /** Unique while the process lives. */
  readonly id: string;
  readonly vip: string;
  readonly protocol: 'dicom' | 'hl7' | 'http' | 'tcp';
  /** `host:port` of the client. */
  readonly client: string;
  /** Facts by name. Those outside the allow-list (observe/privacy.ts) leave the API only as keyed hashes. */
  readonly facts: Readonly<Record<string, string | readonly string[]>>;
  readonly pool: string | null;
  /** null: not chosen yet, or, with messages routed one by one, several. */
  readonly server: string | null;
  readonly bytes: { readonly toServer: number; readonly toClient: number };
  /** DIMSE operations or HL7 messages so far. */
  readonly messages: number;
  /** Milliseconds since the connection was accepted. */
  readonly age: number;
  /** Why this server, a sentence. */
  readonly reason: string | null;
}

/** `POST /api/v1/reload` */
export interface ReloadDocument {
  readonly changes: readonly {
    readonly kind: string;
    /** Of a VIP or pool; otherwise the kind again. */
    readonly name: string;
    readonly what: 'added' | 'changed' | 'removed';
    /** The running balancer goes on as before: it takes effect at the next start. */
    readonly nextStart: boolean;
  }[];
}

/** What is wrong with a configuration, and where. */
export interface FaultDocument {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
}

/** One of `GET /api/v1/persistence` */
export interface EntryDocument {
  /** `vip NAME`, `pool NAME` or `share NAME`. */
  readonly table: string;
  /** null: of a shared table. */
  readonly pool: string | null;
  readonly by: string;
  /** The value; a keyed hash when it may be patient data. */
  readonly key: string;
  readonly server: string;
  /** Milliseconds it lives on if it is not used; null: for ever. */
  readonly remaining: number | null;
}

/** One of `GET /api/v1/queues` */
export interface QueueDocument {
  readonly vip: string;
  readonly file: string;
  /** False: its file cannot be read now, and what would be read from it is null. */
  readonly isReadable: boolean;
  /** Those in quarantine included. */
  readonly messages: number | null;
  /** Of their bodies. */
  readonly bytes: number | null;
  /** On their way to servers. */
  readonly taken: number | null;
  /** In quarantine. */
  readonly held: number | null;
  /** When the oldest that is not in quarantine was stored, ISO 8601 in UTC; null: there is none. */
  readonly oldest: string | null;
  /** Seconds since then. */
  readonly age: number | null;
  /** Of the file and its log. */
  readonly fileBytes: number | null;
  /** Messages since the queue was opened. They only grow. */
  readonly stored: number;
  readonly delivered: number;
  /** Over the last ten seconds. */
  readonly storedPerSecond: number;
  readonly deliveredPerSecond: number;
}

/** One of `GET /api/v1/queues/{vip}/quarantine`. What the message did not say is null. */
export interface HeldDocument {
  /** Names it as long as it is kept. */
  readonly id: number;
  /** When it was stored, ISO 8601 in UTC. */
  readonly arrived: string;
  /** Bytes. */
  readonly size: number;
  readonly attempts: number;
  /** It may have been delivered already. */
  readonly maybeTwice: boolean;
  /** Why it is there, a sentence. */
  readonly reason: string;
  /** Later messages of its patients wait for it. */
  readonly keepsPlace: boolean;
  /** MSH-9.1 */
  readonly type: string | null;
  /** MSH-9.2 */
  readonly event: string | null;
  /** MSH-10 */
  readonly controlId: string | null;
  /** MSH-3 and MSH-4, as `application^facility`. */
  readonly sender: string | null;
  /** The address that it came from. */
  readonly client: string | null;
  /** Where it is to go, when it is the answer of an application: `host port`. */
  readonly returnTo: string | null;
}
