/** `pools`: groups of servers, how work is spread over them and how their health is found out. */
import { z } from 'zod';
import { health } from './health-schema.ts';
import { persistence } from './persistence-schema.ts';
import { named, notBuilt } from './record.ts';
import { aeTitle, choice, duration, flag, integer, serverAddress, share, word } from './scalars.ts';
import { poolTimeouts } from './timeouts-schema.ts';
import { tlsClient } from './tls-schema.ts';

export const balance = choice(['least-busy', 'round-robin', 'hash', 'first', 'random-two']);

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
      .describe('Associations or connections at once, at most; at layer 4 about as many.'),
    backup: flag.prefault('false').describe('Gets work only when no other server is up.'),
    tls: notBuilt(),
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
    balance: balance
      .prefault('least-busy')
      .describe(
        'How work is spread over the servers. At layer 4 the kernel knows weights only: `least-busy` changes them every other second, by what each server got; `random-two` is chance by weight.',
      ),
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
        release2: flag
          .prefault('false')
          .describe('The servers speak MLLP release 2: they send commit acknowledgements.'),
      })
      .prefault({})
      .describe('For HL7.'),
    mode: choice(['shared', 'single-active'])
      .prefault('shared')
      .describe('`single-active`: one server has all the work until it fails; then the next one has it.'),
    failBack: flag
      .prefault('false')
      .describe('`single-active`: a server that comes up again takes the work back from those after it.'),
    tls: tlsClient.optional().describe('Servers are spoken to in TLS: `true`, or a record.'),
    proxyProtocol: choice(['v1', 'v2'])
      .transform((version) => (version === 'v1' ? 1 : 2))
      .optional()
      .describe('Connections begin with a PROXY protocol header of this version, which names the client.'),
    timeouts: poolTimeouts.prefault({}).describe('Go before those of the VIP and of the top.'),
    urgent: notBuilt(),
  }),
);
