/** What a client gets when no server answers for it: a short plain page with the request's id, and nothing of the request. */

import { randomBytes } from 'node:crypto';
import { STATUS_CODES } from 'node:http';

export interface ErrorPage {
  /** Flat fields, the length of the body among them. */
  readonly fields: string[];
  readonly body: string;
}

/**
 * `sentence`: what is wrong, for a person who cannot change it. `id`: the request's; the log line of the request has it
 * too.
 */
export function errorPage(status: number, sentence: string, id: string): ErrorPage {
  const body = `${status} ${STATUS_CODES[status] ?? 'Error'}\n\n${sentence}\nRequest ${id}\n`;
  return {
    fields: [
      'Content-Type',
      'text/plain; charset=utf-8',
      'Content-Length',
      String(Buffer.byteLength(body)),
      'Cache-Control',
      'no-store',
      'X-Content-Type-Options',
      'nosniff',
    ],
    body,
  };
}

/** Of this process: two balancers, or two runs of one, do not give the same ids. */
const PROCESS = randomBytes(5).toString('hex');
let requests = 0;

/** Short and unique: ten random digits of the process and the number of the request in it. */
export function requestId(): string {
  requests++;
  return `${PROCESS}-${requests.toString(36)}`;
}
