/** `timeouts`: how long each step may take, at the top for all VIPs, at a VIP or a pool for that one. */
import { z } from 'zod';
import { duration } from './scalars.ts';

/** At the top and at a VIP. A protocol reads the ones that it knows. */
export const timeouts = z.strictObject({
  request: duration()
    .optional()
    .describe(
      'DICOM: from the connection to the whole A-ASSOCIATE-RQ. HTTP: from the first byte of a request to the end of its head.',
    ),
  connect: duration()
    .optional()
    .describe(
      'A server takes the connection; for DICOM also answers the request, while there is another to try.',
    ),
  accept: duration().optional().describe('DICOM: all tries together.'),
  response: duration()
    .optional()
    .describe('HTTP: from the end of a request to the head of its response; then 504.'),
  queue: duration({ zero: true })
    .optional()
    .describe(
      'HTTP, TCP: waiting for a place while every server is full; then 503, or the connection is closed. 0: nobody waits.',
    ),
  stall: duration()
    .optional()
    .describe('Silence inside a PDU, a message or the body of a request or response.'),
  idle: duration()
    .optional()
    .describe(
      'Silence between PDUs with no operation open, between messages or requests; TCP: in both directions; layer 4: of the client, after which its connection is forgotten.',
    ),
  tunnel: duration()
    .optional()
    .describe('HTTP: silence of an upgraded connection, such as a WebSocket, in both directions.'),
  release: duration().optional().describe('DICOM: from A-RELEASE-RQ to its answer.'),
  drain: duration()
    .optional()
    .describe('Work that is older is cut when a server is halted or the balancer stops.'),
});

export const poolTimeouts = z.strictObject({
  connect: duration().optional().describe("A server takes the connection. Default: the VIP's."),
  response: duration()
    .optional()
    .describe(
      "HTTP: from the end of a request to the head of its response; HL7: to the acknowledgement; DICOM: to the answer of an association, all tries together. Default: the VIP's.",
    ),
  drain: duration()
    .optional()
    .describe('Work that is older is cut when a server is halted. Default: `timeouts.drain` of the top.'),
});

/** For each time-out of `defaults`: the value of the last of `places` that has one. */
export function closest<T extends object>(defaults: T, ...places: (object | undefined)[]): T {
  const result = { ...defaults };
  for (const place of places) {
    for (const [name, value] of Object.entries(place ?? {})) {
      if (name in defaults && value !== undefined) Object.assign(result, { [name]: value });
    }
  }
  return result;
}
