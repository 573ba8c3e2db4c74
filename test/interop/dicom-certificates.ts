/** Certificates as files, for DCMTK and for configurations that name files. */
import { writeFileSync } from 'node:fs';
import type { Authority, CertificateRequest } from '../peers/certificates.ts';
import { pathOf } from './dicom-setup.ts';

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Where a PEM file with this text is. */
export function pem(name: string, text: string): string {
  const path = pathOf(name);
  writeFileSync(path, text);
  return path;
}

/** A certificate for 127.0.0.1, in the files `NAME.pem` and `NAME.key`. */
export async function serverFiles(
  authority: Authority,
  name: string,
  request: CertificateRequest = {},
): Promise<CertificateFiles> {
  return written(name, await authority.issue({ names: ['127.0.0.1'], ...request }));
}

/** One for a client with this subject, as openssl writes it: `/O=Hospital/CN=ct1`. */
export async function clientFiles(
  authority: Authority,
  name: string,
  subject: string,
): Promise<CertificateFiles> {
  return written(name, await authority.issue({ client: true, subject }));
}

function written(name: string, { cert, key }: CertificateFiles): CertificateFiles {
  return { cert: pem(`${name}.pem`, cert), key: pem(`${name}.key`, key) };
}
