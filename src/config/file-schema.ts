/**
 * The configuration file: the only definition of its keys. The defaults, the JSON Schema (`gantry schema`) and the
 * manual's reference page all come from here; what the rooms are given is in schema.ts.
 */
import { z } from 'zod';
import { pools } from './pool-schema.ts';
import { list, notBuilt } from './record.ts';
import { choice, duration, flag, listenAddress, network, text } from './scalars.ts';
import { timeouts } from './timeouts-schema.ts';
import { vips } from './vip-schema.ts';

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
      z
        .strictObject({
          memory: z
            .strictObject({
              file: text
                .optional()
                .describe(
                  'A snapshot that outlives a restart, relative to this file; what is new since is in `FILE.journal` beside it. Default: none is kept.',
                ),
            })
            .optional()
            .describe('In this process.'),
          valkey: notBuilt('a table in Valkey'),
        })
        .transform(({ memory }) => ({ file: memory?.file })),
      choice(['memory']).transform(() => ({ file: undefined as string | undefined })),
    ])
    .prefault('memory')
    .describe('Where persistence lives: `memory`, or a record.'),
  timeouts: timeouts.prefault({}).describe('For every VIP that does not say otherwise.'),
  trustedProxies: list(network)
    .default([])
    .describe(
      'Proxies in front: their PROXY and forwarded headers are believed, for every VIP with no list of its own.',
    ),
  pools: pools.describe('Groups of servers.'),
  vips: vips.describe('What is listened on.'),
  probe: z
    .strictObject({ interval: duration().describe('From one probe to the next, such as `12h`.') })
    .optional()
    .describe(
      'Servers are asked now and then which AE titles and contexts they accept, and the log tells where servers of a pool differ. Default: only `gantry probe` asks.',
    ),
  layer4: z
    .strictObject({
      onStop: choice(['keep', 'remove'])
        .prefault('keep')
        .describe(
          'What becomes of the rules in the kernel when the balancer stops. `keep`: traffic goes on, and the next start finds them; `remove`: they go.',
        ),
    })
    .prefault({})
    .describe('VIPs with `mode: dr`, `nat` or `snat`.'),
  user: notBuilt(),
});

/** A file that the schema accepts, before what belongs together is put together. */
export type File = z.output<typeof fileSchema>;
