/** Keys of a VIP with `protocol: dicom`: what is routed, study routing, and what urgent work has. */
import { z } from 'zod';
import { list } from './record.ts';
import {
  aeTitle,
  choice,
  destination,
  duration,
  flag,
  integer,
  listenAddress,
  network,
  size,
  word,
} from './scalars.ts';
import { timeouts } from './timeouts-schema.ts';

const dicomTimeouts = z.strictObject({
  request: timeouts.shape.request,
  connect: timeouts.shape.connect,
  accept: timeouts.shape.accept,
  stall: timeouts.shape.stall,
  idle: timeouts.shape.idle,
  release: timeouts.shape.release,
});

const KEPT = { least: 64 * 1024, most: 2 ** 40 };

const replay = z.strictObject({
  perInstance: size(KEPT.least, KEPT.most)
    .prefault('64MiB')
    .describe('Of one instance; a longer one is refused with 0xA700 when its server is lost half-way.'),
  total: size(KEPT.least, KEPT.most).prefault('512MiB').describe('Of all instances of this VIP together.'),
});

const egress = z.strictObject({
  listen: list(listenAddress).describe('`ADDRESS:PORT`, one or several: where the servers call.'),
  destinations: z
    .record(aeTitle, destination)
    .describe('AE title that a server calls → where it is, `HOST:PORT`.'),
});

export const dicomSchema = z.strictObject({
  route: choice(['association', 'study'])
    .prefault('association')
    .describe('What is routed: each association as a whole, or each study that comes in it.'),
  storage: choice(['shared', 'separate'])
    .optional()
    .describe(
      'Study routing, where it must be said: the servers are nodes of one archive, or independent archives.',
    ),
  replay: replay
    .prefault({})
    .describe(
      'Study routing: bytes of instances that are kept until their response, to be sent to another server.',
    ),
  egress: egress
    .optional()
    .describe('Study routing: for associations that servers begin: C-MOVE sub-operations, N-EVENT-REPORT.'),
  wait: duration({ zero: true })
    .prefault('3s')
    .describe('An association waits this long for a place when every server is full; urgent ones first.'),
  whenUnavailable: choice(['reject', 'refuse'])
    .prefault('reject')
    .describe('Without a server: reject each association for now, or close the listening port.'),
  ignoreCase: flag.prefault('false').describe('AE titles are compared without regard to case.'),
  clients: z
    .record(aeTitle, list(network))
    .optional()
    .describe(
      'Calling AE title → the networks it may come from. An AE title that is not named here is free.',
    ),
  timeouts: dicomTimeouts.optional().describe('Goes before `timeouts` of the VIP and of the top.'),
});

export const urgent = z.strictObject({
  reserve: integer(0, 10_000)
    .prefault('0')
    .describe('So many of the `maxConnections` of each server are for urgent work only.'),
  fromOrders: list(word)
    .optional()
    .describe('Study routing: HL7 VIPs whose STAT orders make their studies urgent.'),
});
