/**
 * The configuration file: the only definition of its keys. The types that the rooms are given, the defaults, the JSON
 * Schema (`gantry schema`) and the manual's reference page all come from here.
 */
import { z } from 'zod';
import { type health, type persistence, pools } from './pool-schema.ts';
import { notBuilt } from './record.ts';
import { choice, flag, listenAddress, text } from './scalars.ts';
import { type hl7Schema, timeouts, vips, type When } from './vip-schema.ts';

export type { When };

export const fileSchema = z.strictObject({
  version: choice(['1']).prefault('1').describe('The version of this format: 1.'),
  admin: z
    .union([
      z.strictObject({
        listen: listenAddress
          .prefault('127.0.0.1:9090')
          .describe('Where the API, metrics and dashboard are.'),
        token: text.optional().describe('Needed when not on loopback. `file:PATH` takes it from a file.'),
      }),
      choice(['off']).transform(() => undefined),
    ])
    .prefault({})
    .describe('API, metrics and dashboard; `off` to have none.'),
  log: z
    .strictObject({
      level: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).prefault('info'),
      hashUids: flag.prefault('false').describe('Study UIDs are logged as keyed hashes.'),
    })
    .prefault({})
    .describe('JSON lines on standard output.'),
  table: z
    .union([
      z.strictObject({
        valkey: notBuilt('a table in Valkey'),
        memory: notBuilt('a table with a snapshot file'),
      }),
      choice(['memory']),
    ])
    .prefault('memory')
    .transform(() => 'memory' as const)
    .describe('Where persistence lives.'),
  timeouts: timeouts.prefault({}).describe('For every VIP that does not say otherwise.'),
  pools: pools.describe('Groups of servers.'),
  vips: vips.describe('What is listened on.'),
  trustedProxies: notBuilt(),
  layer4: notBuilt(),
  user: notBuilt(),
});

/** A file that the schema accepts, before what belongs together is put together. */
export type File = z.output<typeof fileSchema>;

/** An address to listen on; port 0: the system chooses. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export type Balance = PoolConfiguration['balance'];
export type PoolConfiguration = File['pools'][number];
export type HealthConfiguration = z.output<typeof health>;
/** `by: []` is no persistence at all, also where the VIP has one. */
export type PersistenceConfiguration = z.output<typeof persistence>;

export interface RouteConfiguration {
  readonly when: When;
  /** undefined when it rejects. */
  readonly pool: string | undefined;
  readonly reject: string | undefined;
  readonly balance: Balance | undefined;
  readonly urgent: boolean;
  readonly onAmbiguous: Hl7Configuration['onAmbiguous'] | undefined;
}

export interface VipCommon {
  readonly name: string;
  readonly listen: readonly ListenAddress[];
  readonly routes: readonly RouteConfiguration[];
  /** undefined: what no rule matches is rejected. */
  readonly pool: string | undefined;
  readonly persistence: PersistenceConfiguration | undefined;
  /** Associations at once. */
  readonly limits: {
    readonly associations: number | undefined;
    readonly perCalling: number | undefined;
    readonly perServer: number | undefined;
  };
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
  readonly dicom: {
    readonly route: 'association';
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
  readonly hl7: {
    readonly delivery: 'relay';
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

export type VipConfiguration = DicomVip | Hl7Vip;

/** What a file says, with every default filled in: durations in milliseconds, sizes in bytes. */
export interface Configuration {
  /** undefined: no admin API. */
  readonly admin: { readonly listen: ListenAddress; readonly token?: string | undefined } | undefined;
  readonly log: File['log'];
  readonly table: 'memory';
  /** Milliseconds that work in hand gets when the balancer stops. */
  readonly drain: number;
  readonly pools: readonly PoolConfiguration[];
  readonly vips: readonly VipConfiguration[];
}
