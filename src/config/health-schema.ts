/** `health` of a pool: how a server is found to be up or down. */
import { z } from 'zod';
import { list } from './record.ts';
import {
  aeTitle,
  choice,
  duration,
  flag,
  hostAddress,
  hostName,
  integer,
  statusRange,
  text,
  word,
} from './scalars.ts';

/** What `all` and `any` are made of: a check without the times and counts of a whole one. */
const part = z.strictObject({
  check: choice(['none', 'connect', 'tls', 'http', 'https', 'ping', 'script', 'dicom-echo', 'hl7'])
    .prefault('connect')
    .describe(
      '`none`: never down. `connect`: a TCP connection. `tls`: a handshake. `http`, `https`: a request. `ping`: ICMP. `script`: a program. `dicom-echo`: associate, C-ECHO, release. `hl7`: a message and its acknowledgement.',
    ),
  timeout: duration()
    .optional()
    .describe('A check that takes longer has failed. Default: 3s; in `all` and `any`: that of the whole.'),
  port: integer(1, 65_535).optional().describe("Check this port, not the server's own."),
  address: hostAddress.optional().describe("Check this address, not the server's own."),
  method: choice(['GET', 'HEAD', 'OPTIONS']).prefault('GET').describe('`http`, `https`: the method.'),
  path: text
    .refine((path) => /^\/[\x21-\x7e]*$/.test(path) && !path.includes('#'), {
      error: 'is not a path: one that begins with "/" and has no space would be right',
    })
    .prefault('/')
    .describe('`http`, `https`: path and query.'),
  host: text
    .refine((host) => /^[\w.~:[\]-]+$/.test(host), { error: 'is not a host: portal.example would be right' })
    .optional()
    .describe("`http`, `https`: the Host header. Default: the server's address."),
  status: list(statusRange)
    .prefault(['200-399'])
    .describe('`http`, `https`: the status codes that are good: `200`, or a range such as `200-399`.'),
  body: text
    .optional()
    .describe('`http`, `https`: text that the body must have, or `"/a regular expression/"`.'),
  json: z
    .record(text, list(text))
    .optional()
    .transform(readJson)
    .describe('`http`, `https`: what a JSON body must have: `{ status: UP, "disks[0].free": "/^[1-9]/" }`.'),
  verify: flag
    .optional()
    .describe("`tls`, `https`: the certificate must be good. Default: as the pool's `tls` says, else true."),
  ca: text
    .optional()
    .describe("`tls`, `https`: PEM of its authorities, or `file:PATH`. Default: as the pool's `tls` says."),
  servername: hostName
    .optional()
    .describe("`tls`, `https`: the name that is asked for and verified. Default: as the pool's `tls` says."),
  script: text
    .optional()
    .describe(
      '`script`: the program, relative to this file. `$1` VIP, `$2` its port, `$3` server, `$4` its port; exit code 0 is up.',
    ),
  calling: aeTitle.prefault('GANTRY').describe('`dicom-echo`: the calling AE title.'),
  called: aeTitle
    .prefault('ANY-SCP')
    .describe("`dicom-echo`: the called AE title; a server's own `ae` goes before it."),
  message: text
    .optional()
    .describe("`hl7`: the message that is sent, or `file:PATH`. Default: one of the check's own."),
  get all() {
    return z.array(part).min(1).optional().describe('Instead of `check`: up when all of these are.');
  },
  get any() {
    return z.array(part).min(1).optional().describe('Instead of `check`: up when one of these is.');
  },
});

export const health = z.strictObject({
  ...part.shape,
  track: word
    .optional()
    .describe("Instead of `check`: this pool's results for the servers of the same name, or else address."),
  interval: duration().prefault('5s').describe('From one check to the next.'),
  rise: integer(1, 1000).prefault('2').describe('So many good results in a row bring a server up.'),
  fall: integer(1, 1000).prefault('3').describe('So many bad results in a row take a server down.'),
  startDown: flag
    .prefault('false')
    .describe('A server starts as down, not as up, until its first check result.'),
  agent: z
    .strictObject({
      port: integer(1, 65_535).describe('Where the agent of each server is.'),
      interval: duration().optional().describe('From one question to the next. Default: as the check.'),
    })
    .optional()
    .describe(
      'A port where each server says how it is, in the words of HAProxy: `75%`, `drain`, `maint`, `ready`, `down`, `up`.',
    ),
});

export type CheckPart = z.output<typeof part>;

/** Keys of a JSON body and what is wanted there. A key is dotted, with indices: `components.db[0].status`, also after `$.`. */
function readJson(record: Record<string, string[]> | undefined, context: z.core.$RefinementCtx) {
  return Object.entries(record ?? {}).map(([written, patterns]) => {
    const path = readPath(written);
    if (path === undefined) {
      const message = `"${written}" is not a path into JSON: "status" or "disks[0].free" would be right`;
      context.issues.push({ code: 'custom', message, input: written, path: [written] });
    }
    return { written, path: path ?? [], patterns };
  });
}

function readPath(written: string): (string | number)[] | undefined {
  const steps = written.replace(/^\$\.?/, '');
  if (!/^([^.[\]]+|\[\d+\])(\.[^.[\]]+|\[\d+\])*$/.test(steps)) return undefined;
  return [...steps.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, key, index]) => key ?? Number(index));
}
