/** `tls`: of a VIP, where it ends here, and of a pool, where it begins here. */
import { z } from 'zod';
import { list } from './record.ts';
import { aeTitle, choice, duration, flag, hostName, subject, text } from './scalars.ts';

const minVersion = choice(['1.2', '1.3'])
  .prefault('1.2')
  .transform((version) => `TLSv${version}` as const)
  .describe('The oldest version of TLS that is spoken.');

const profile = choice(['bcp195', 'modified']);

/** PEM itself, or `file:PATH`. */
const certificate = text.describe(
  'PEM of the certificate, then those that lead to its authority; or `file:PATH`.',
);
const privateKey = text.describe('PEM of its private key, not encrypted; or `file:PATH`.');

export const tlsServer = z.strictObject({
  cert: certificate.optional(),
  key: privateKey.optional(),
  certificates: list(z.strictObject({ cert: certificate, key: privateKey }))
    .default([])
    .describe('More of them: the name that a client asks for (SNI) chooses; without one, the first.'),
  clientCa: text
    .optional()
    .describe(
      'PEM of authorities, or `file:PATH`: a client must have a certificate of one of them. Default: none is asked for.',
    ),
  minVersion,
  profile: profile
    .prefault('bcp195')
    .describe(
      'PS3.15 B.12, which is BCP 195 (RFC 8996, 9325), or `modified`, B.13: only the algorithms listed there.',
    ),
  handshake: duration()
    .prefault('10s')
    .describe('From the connection to the end of the handshake, PROXY header included.'),
  aeTitles: z
    .record(subject, list(aeTitle))
    .optional()
    .describe(
      'DICOM: names in the subject of a certificate → the calling AE titles that it may use. A certificate that is not named here may use none.',
    ),
  senders: z
    .record(subject, list(text))
    .optional()
    .describe(
      'HL7: names in the subject of a certificate → the sending applications (MSH-3) that it may use, as patterns. A certificate that is not named here may use none.',
    ),
});

const tlsRecord = z.strictObject({
  verify: flag
    .prefault('true')
    .describe("The server's certificate must be good, and its name the one that was asked for."),
  ca: text
    .optional()
    .describe(
      'PEM of the authorities that its certificate may come from, or `file:PATH`. Default: those of Node.',
    ),
  servername: hostName
    .optional()
    .describe("The name that is asked for (SNI) and verified. Default: the host of the server's address."),
  cert: certificate.optional(),
  key: privateKey.optional(),
  minVersion,
  profile: profile
    .optional()
    .describe('As for a VIP. Default: what Node has, which is more, for servers that are old.'),
});

/** `tls: true` is a record of defaults. */
export const tlsClient = z.union([
  tlsRecord,
  flag.transform((spoken) => (spoken ? tlsRecord.parse({}) : undefined)),
]);
