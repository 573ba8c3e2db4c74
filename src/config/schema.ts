/**
 * The configuration file: the only definition of its keys. The types that the rooms are given, the defaults, the JSON
 * Schema (`gantry schema`) and the manual's reference page all come from here.
 */
import { z } from 'zod';
import { type health, type persistence, pools } from './pool-schema.ts';
import { notBuilt } from './record.ts';
import { choice, flag, listenAddress, text } from './scalars.ts';
import { dicomSchema, hl7Schema, timeouts, vips, type When } from './vip-schema.ts';

export type { When };

export const fileSchema = z.strictObject({
  version: choice(['1']).describe('The version of this format: 1.'),
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

type File = z.output<typeof fileSchema>;

/** An address to listen on; port 0: the system chooses. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export type Balance = PoolConfiguration['balance'];
export type PoolConfiguration = File['pools'][number];
export type ServerConfiguration = PoolConfiguration['servers'][number];
export type HealthConfiguration = z.output<typeof health>;
/** `by: []` is no persistence at all, also where the VIP has one. */
export type PersistenceConfiguration = z.output<typeof persistence>;
export type HealthCheck = HealthConfiguration['check'];

export interface RouteConfiguration {
  readonly when: When;
  /** undefined when it rejects. */
  readonly pool: string | undefined;
  readonly reject: string | undefined;
  readonly balance: Balance | undefined;
  readonly urgent: boolean;
  readonly onAmbiguous: Hl7Configuration['onAmbiguous'] | undefined;
}

interface VipCommon {
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
    readonly startBlock: Buffer;
    readonly endBlock: Buffer;
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

const DICOM_TIMEOUTS: DicomTimeouts = {
  request: 30_000,
  connect: 2000,
  accept: 5000,
  stall: 60_000,
  idle: 1_800_000,
  release: 5000,
};
const HL7_TIMEOUTS: Hl7Timeouts = { connect: 2000, stall: 60_000, idle: undefined };

/** From the file's own form to the form that rooms are given. */
export function normalise(file: File): Configuration {
  return {
    admin: file.admin,
    log: file.log,
    table: file.table,
    drain: file.timeouts.drain ?? 60_000,
    pools: file.pools,
    vips: file.vips.flatMap((vip) => normaliseVip(vip, file.timeouts)),
  };
}

type FileVip = File['vips'][number];
type Timeouts = File['timeouts'];

function normaliseVip(vip: FileVip, general: Timeouts): VipConfiguration[] {
  const common: VipCommon = {
    name: vip.name,
    listen: vip.listen,
    pool: vip.pool,
    persistence: vip.persistence,
    limits: {
      associations: vip.limits.associations,
      perCalling: vip.limits.perCalling,
      perServer: vip.limits.perServer,
    },
    routes: vip.routes.map((route) => ({
      when: route.when,
      pool: route.reject === undefined ? (route.pool ?? vip.pool) : undefined,
      reject: route.reject,
      balance: route.balance,
      urgent: route.urgent,
      onAmbiguous: route.onAmbiguous,
    })),
  };
  if (vip.protocol === 'dicom') {
    const {
      route,
      wait,
      whenUnavailable,
      ignoreCase,
      clients = {},
      timeouts,
    } = vip.dicom ?? dicomSchema.parse({});
    return [
      {
        ...common,
        protocol: 'dicom',
        dicom: {
          route,
          wait,
          whenUnavailable,
          ignoreCase,
          clients,
          timeouts: closest(DICOM_TIMEOUTS, general, vip.timeouts, timeouts),
        },
      },
    ];
  }
  if (vip.protocol === 'hl7') {
    const { delivery, order, senderTimeout, ackTimeout, ackMatch, onAmbiguous, ...rest } =
      vip.hl7 ?? hl7Schema.parse({});
    const { whenUnavailable, maxFrame, startBlock, endBlock } = rest;
    return [
      {
        ...common,
        protocol: 'hl7',
        hl7: {
          delivery,
          order,
          senderTimeout,
          ackTimeout,
          ackMatch,
          onAmbiguous,
          whenUnavailable,
          maxFrame,
          startBlock,
          endBlock,
          timeouts: closest(HL7_TIMEOUTS, general, vip.timeouts),
        },
      },
    ];
  }
  return [];
}

/** For each time-out of `defaults`: the value of the last of `places` that has one. */
function closest<T extends object>(defaults: T, ...places: (Partial<Timeouts> | undefined)[]): T {
  const result = { ...defaults };
  for (const place of places) {
    for (const [name, value] of Object.entries(place ?? {})) {
      if (name in defaults && value !== undefined) Object.assign(result, { [name]: value });
    }
  }
  return result;
}
