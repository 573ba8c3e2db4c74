/** `pools`: groups of servers, how work is spread over them and how their health is found out. */
import { z } from 'zod';
import { list, named, notBuilt } from './record.ts';
import {
  aeTitle,
  choice,
  duration,
  flag,
  hostAddress,
  integer,
  serverAddress,
  share,
  text,
  word,
} from './scalars.ts';

export const balance = choice(['least-busy', 'round-robin', 'hash', 'first', 'random-two']);

export const persistence = z.union([
  z
    .strictObject({
      by: list(text).describe(
        '`none`, `source-ip` or any fact; a list is a chain: the first that has a value counts.',
      ),
      ttl: duration().prefault('30m').describe('An entry lives this long since its last use.'),
      size: integer(1, 10_000_000)
        .prefault('200000')
        .describe('Entries kept at most; the oldest goes first.'),
      netmask: integer(1, 128)
        .optional()
        .describe('For `source-ip`: addresses that share this many leading bits are one source.'),
      share: word.optional().describe('VIPs and pools that name the same share have one table together.'),
      name: notBuilt('the cookie name (`by: cookie`)'),
    })
    .transform(({ by, ttl, size, netmask, share }) => ({
      by: by.filter((name) => name !== 'none'),
      ttl,
      size,
      netmask,
      share,
    })),
  // `persistence: calling` is short for `persistence: { by: calling }`.
  text.transform((by) => ({
    by: by === 'none' ? [] : [by],
    ttl: 1_800_000,
    size: 200_000,
    netmask: undefined as number | undefined,
    share: undefined as string | undefined,
  })),
]);

const UNBUILT_CHECKS = ['tls', 'http', 'https', 'ping', 'script', 'hl7'];

export const health = z.strictObject({
  check: choice(['none', 'connect', 'dicom-echo'], UNBUILT_CHECKS)
    .prefault('connect')
    .describe('`none`: never down. `connect`: a TCP connection. `dicom-echo`: associate, C-ECHO, release.'),
  interval: duration().prefault('5s').describe('From one check to the next.'),
  timeout: duration().prefault('3s').describe('A check that takes longer has failed.'),
  rise: integer(1, 1000).prefault('2').describe('So many good results in a row bring a server up.'),
  fall: integer(1, 1000).prefault('3').describe('So many bad results in a row take a server down.'),
  port: integer(1, 65_535).optional().describe("Check this port, not the server's own."),
  address: hostAddress.optional().describe("Check this address, not the server's own."),
  startDown: flag
    .prefault('false')
    .describe('A server starts as down, not as up, until its first check result.'),
  calling: aeTitle.prefault('GANTRY').describe('`dicom-echo`: the calling AE title.'),
  called: aeTitle
    .prefault('ANY-SCP')
    .describe("`dicom-echo`: the called AE title; a server's own `ae` goes before it."),
  path: notBuilt('`path` (checks http and https)'),
  method: notBuilt('`method` (checks http and https)'),
  host: notBuilt('`host` (checks http and https)'),
  status: notBuilt('`status` (checks http and https)'),
  body: notBuilt('`body` (checks http and https)'),
  json: notBuilt('`json` (checks http and https)'),
  verify: notBuilt('`verify` (checks tls and https)'),
  script: notBuilt('`script` (check script)'),
  message: notBuilt('`message` (check hl7)'),
  agent: notBuilt(),
  all: notBuilt(),
  any: notBuilt(),
  track: notBuilt(),
});

const serverRecord = z
  .strictObject({
    name: word.optional().describe('Default: the address as written.'),
    address: serverAddress.describe(
      'An IP address or a host name, with a port; without: the port the client came to.',
    ),
    ae: aeTitle.optional().describe('DICOM: the called AE title that this server wants.'),
    weight: integer(0, 1000)
      .prefault('1')
      .describe('Its part of the work, against the others; 0: nothing new.'),
    maxConnections: integer(1, 1_000_000)
      .optional()
      .describe('Associations or connections at once, at most.'),
    backup: flag.prefault('false').describe('Gets work only when no other server is up.'),
    tls: notBuilt(),
    source: notBuilt(),
  })
  .transform(({ name, address, ae, weight, maxConnections, backup }) => ({
    name: name ?? address.written,
    host: address.host,
    port: address.port,
    ae,
    weight,
    maxConnections,
    backup,
  }));

const server = z.union([
  serverRecord,
  serverAddress.transform((address) => ({
    name: address.written,
    host: address.host,
    port: address.port,
    ae: undefined as string | undefined,
    weight: 1,
    maxConnections: undefined as number | undefined,
    backup: false,
  })),
]);

export const pools = named(
  word,
  z.strictObject({
    servers: z.array(server).min(1).describe('`ADDRESS[:PORT]`, or a record.'),
    balance: balance.prefault('least-busy').describe('How work is spread over the servers.'),
    health: health.prefault({}).describe('How a server is found to be up or down.'),
    slowStart: duration({ zero: true })
      .prefault('0')
      .describe('A server that came up reaches its full weight after this time.'),
    panic: share
      .prefault('0')
      .describe('With a smaller share of servers up than this, health is ignored. 0: never.'),
    persistence: persistence.optional().describe("Goes before the VIP's."),
    hl7: z
      .strictObject({
        connections: integer(1, 1000).prefault('8').describe('Outbound connections kept to each server.'),
      })
      .prefault({})
      .describe('For HL7.'),
    mode: notBuilt(),
    failBack: notBuilt(),
    tls: notBuilt(),
    urgent: notBuilt(),
    timeouts: notBuilt('`timeouts` of a pool'),
    source: notBuilt(),
    agent: notBuilt(),
    proxyProtocol: notBuilt(),
  }),
);
