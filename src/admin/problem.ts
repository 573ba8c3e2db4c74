/** Problem details (RFC 9457): what every error of the API is. */
import { STATUS_CODES } from 'node:http';
import type { FastifyReply } from 'fastify';

/** RFC 9457 3. `more`: extension members. */
export function problem(
  reply: FastifyReply,
  status: number,
  detail: string,
  more: object = {},
): FastifyReply {
  const body = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, ...more };
  return reply.code(status).type('application/problem+json').serializer(JSON.stringify).send(body);
}
