/** Answers that no server gives: error pages, redirects, and what a rule says. */
import { STATUS_CODES } from 'node:http';
import type { Target } from '../../../protocols/http/target.ts';
import type { Answer } from './client.ts';
import { errorPage } from './error-page.ts';
import type { RouteAction } from './settings.ts';

export interface OwnAnswer extends Answer {
  readonly body: Buffer;
}

/** Who waited in vain may come back after so many seconds (RFC 9110 10.2.3). */
const RETRY_AFTER_SECONDS = '5';

/** `sentence`: what is wrong, for a person; `id`: the request's. `now`: milliseconds since 1970. */
export function refusal(status: number, sentence: string, id: string, now: number): OwnAnswer {
  const { fields, body } = errorPage(status, sentence, id);
  const retry = status === 503 ? ['Retry-After', RETRY_AFTER_SECONDS] : [];
  return answer(status, [...fields, ...retry], body, now);
}

export function redirection(
  { to, status }: NonNullable<RouteAction['redirect']>,
  target: Target,
  now: number,
): OwnAnswer {
  const location = typeof to === 'string' ? to : to(target);
  return answer(status, ['Location', location, 'Content-Length', '0'], '', now);
}

export function response(
  { status, body, type }: NonNullable<RouteAction['respond']>,
  now: number,
): OwnAnswer {
  const hasBody = status !== 204 && status !== 304;
  const fields = hasBody ? ['Content-Type', type, 'Content-Length', String(Buffer.byteLength(body))] : [];
  return answer(status, fields, hasBody ? body : '', now);
}

function answer(status: number, fields: readonly string[], body: string, now: number): OwnAnswer {
  const content = Buffer.from(body);
  return {
    status,
    reason: STATUS_CODES[status] ?? '',
    fields: ['Date', new Date(now).toUTCString(), ...fields],
    framing: content.length,
    body: content,
  };
}
