/** `HOST:PORT` of a command line. */
import { isIP } from 'node:net';
import { isAeTitle } from '../../protocols/dicom/associate-write.ts';
import { usageFailure } from './failure.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Throws a Failure with a sentence when `written` is not an endpoint. */
export function parseEndpoint(written: string): Endpoint {
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(written);
  const port = Number(match?.[3]);
  const isRight = match && port >= 1 && port <= 65_535 && (match[1] === undefined || isIP(match[1]) === 6);
  if (!isRight) throw usageFailure(`"${written}" is not HOST:PORT, such as 127.0.0.1:11112 or [::1]:11112`);
  return { host: match[1] ?? match[2] ?? '', port };
}

/** `--timeout SECONDS` in milliseconds. */
export function parseSeconds(written: string): number {
  const seconds = Number(written);
  if (!(seconds > 0 && seconds <= 86_400))
    throw usageFailure(`--timeout "${written}" is not a number of seconds`);
  return seconds * 1000;
}

/** An AE title of a command line (PS3.5 6.2, VR AE). */
export function checkAeTitle(option: string, written: string): string {
  if (isAeTitle(written)) return written;
  throw usageFailure(`${option} "${written}" is not an AE title: 1 to 16 characters of ASCII without "\\"`);
}
