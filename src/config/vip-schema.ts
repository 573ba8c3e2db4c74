/** `vips`: what the balancer listens on, and which pool gets what comes there. */
import { z } from 'zod';
import { dicomSchema, urgent } from './dicom-schema.ts';
import { hl7Schema, onAmbiguous } from './hl7-schema.ts';
import { headers, redirect, respond, rewrite } from './http-schema.ts';
import { persistence } from './persistence-schema.ts';
import { balance } from './pool-schema.ts';
import { list, named, notBuilt } from './record.ts';
import {
  choice,
  flag,
  integer,
  interfaceName,
  network,
  size,
  sourceAddress,
  text,
  vipAddress,
  word,
} from './scalars.ts';
import { timeouts } from './timeouts-schema.ts';
import { tlsServer } from './tls-schema.ts';

/** What a rule asks of the facts: everything in one `when` holds together. Patterns are the file's source text. */
export interface When {
  readonly facts: readonly { readonly name: string; readonly patterns: readonly string[] }[];
  readonly not: When | undefined;
  readonly any: readonly When[] | undefined;
}

const patterns = list(text);

export const when: z.ZodType<When> = z.lazy(() =>
  z
    .object({
      not: when.optional().describe('Holds when this does not.'),
      any: z.array(when).min(1).optional().describe('Holds when one of these does.'),
    })
    .catchall(patterns)
    .transform(({ not, any, ...facts }) => ({
      facts: Object.entries(facts as Record<string, string[]>).map(([name, wanted]) => ({
        name,
        patterns: wanted,
      })),
      not,
      any,
    })),
);

const route = z.strictObject({
  when: when.describe(
    'Facts and their values: a string, a list (any of), a glob, `"/a regular expression/"`, or for `client` a network.',
  ),
  pool: word.optional().describe("Where it goes. Default: the VIP's pool."),
  reject: word
    .optional()
    .describe(
      'Or: how it is turned away. DICOM and HL7: a name of the standard; HTTP: a status code from 400; TCP: `close` or `reset`.',
    ),
  balance: balance.optional().describe("Instead of the pool's."),
  urgent: flag
    .prefault('false')
    .describe('Urgent work goes to the least busy server and is first in the wait queue.'),
  persistence: notBuilt('`persistence` of a rule'),
  onAmbiguous: onAmbiguous.optional().describe("HL7: instead of the VIP's."),
  rewrite: rewrite.optional().describe('HTTP: the request goes on with another path.'),
  redirect: redirect.optional().describe('HTTP: or where the client is sent: a URL, a path, or a record.'),
  respond: respond.optional().describe('HTTP: or what is answered.'),
});

const limits = z.strictObject({
  associations: integer(1, 1_000_000).optional().describe('DICOM: associations at once through this VIP.'),
  perCalling: integer(1, 1_000_000)
    .optional()
    .describe('DICOM: associations at once of one calling AE title.'),
  perServer: integer(1, 1_000_000)
    .optional()
    .describe('DICOM: associations at once of this VIP on one server.'),
  connections: integer(1, 1_000_000).optional().describe('HTTP, TCP: connections at once through this VIP.'),
  headers: size(1024, 2 ** 20)
    .prefault('32KiB')
    .describe('HTTP: the head of a request; more is answered with 431.'),
  body: size(1, 2 ** 40)
    .optional()
    .describe('HTTP: the body of a request; more is answered with 413.'),
});

export const vips = named(
  word,
  z.strictObject({
    mode: choice(['proxy', 'dr', 'nat', 'snat'])
      .prefault('proxy')
      .describe(
        'How traffic goes to the servers: through this process, or past it in the kernel (layer 4): `dr`, straight to the server, which answers the client itself; `nat` and `snat`, with the address of the server, and of the balancer, put in.',
      ),
    protocol: choice(['dicom', 'hl7', 'http', 'tcp'])
      .optional()
      .describe('What is spoken here; for `mode: proxy`.'),
    listen: list(vipAddress).describe(
      '`ADDRESS:PORT`, one or several. Port 0 is chosen by the system; with `mode: dr`, `nat` or `snat`, `*` is all ports.',
    ),
    routes: z.array(route).prefault([]).describe('Rules: the first that matches decides.'),
    pool: word.optional().describe('When no rule matches; without it, what no rule matches is rejected.'),
    persistence: persistence
      .optional()
      .describe('What keeps coming back to the same server. Default: none; with study routing, studies.'),
    limits: limits.prefault({}).describe('What comes beyond them is turned away.'),
    timeouts: timeouts
      .extend({ drain: notBuilt('`drain` of one VIP') })
      .optional()
      .describe('Goes before `timeouts` of the top.'),
    dicom: dicomSchema.optional().describe('For `protocol: dicom`.'),
    hl7: hl7Schema.optional().describe('For `protocol: hl7`.'),
    tls: tlsServer.optional().describe('TLS ends here.'),
    proxyProtocol: flag
      .prefault('false')
      .describe(
        'Connections of `trustedProxies`, or of everybody without, begin with a PROXY protocol header, v1 or v2.',
      ),
    trustedProxies: list(network)
      .optional()
      .describe(
        'Proxies in front: their PROXY and forwarded headers are believed. Default: those of the top.',
      ),
    headers: headers.prefault({}).describe('HTTP: headers that are changed.'),
    forwarded: choice(['append', 'replace', 'off'])
      .prefault('append')
      .describe(
        'HTTP: Forwarded and X-Forwarded-*: added to what a trusted proxy sent, and instead of what others did; always instead; or left as they are.',
      ),
    interface: list(interfaceName)
      .optional()
      .describe(
        "For `mode: dr`: the network interfaces that clients' packets come in by. Default: the one that leads to the servers.",
      ),
    source: sourceAddress
      .optional()
      .describe(
        "The address that servers see. `client`: the client's own (DICOM, HL7, TCP); an address of this machine; default: the one that the system chooses. With `mode: snat`: an address of this machine.",
      ),
    urgent: urgent.prefault({}).describe('DICOM: what urgent work has before routine work.'),
  }),
);
