/** The OpenAPI document of the admin API. */
import { connectionsSchema, healthSchema, problemSchema, statusSchema } from './schemas.ts';

/** `tokenNeeded`: reads need the token too, because the API is not on loopback. */
export function openApiDocument(tokenNeeded: boolean): object {
  const problems = (...statuses: readonly number[]) =>
    Object.fromEntries(
      statuses.map((status) => [
        status,
        {
          description: 'A problem (RFC 9457).',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      ]),
    );
  const read = (summary: string, schema: object, ...statuses: readonly number[]) => ({
    get: {
      summary,
      responses: {
        200: { description: 'OK', content: { 'application/json': { schema } } },
        ...problems(...statuses),
      },
    },
  });
  const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` });
  return {
    openapi: '3.1.0',
    info: { title: 'Gantry', version: '1', description: 'A load balancer that understands DICOM and HL7.' },
    paths: {
      '/healthz': { ...read('Alive?', reference('Health')), security: [] },
      '/readyz': { ...read('Is every listener bound?', reference('Health'), 503), security: [] },
      '/api/v1/status': read('Virtual services, pools and servers.', reference('Status'), 401, 403),
      '/api/v1/connections': read('Live associations and connections.', reference('Connections'), 401, 403),
      '/api/v1/openapi.json': read('This document.', { type: 'object' }, 401, 403),
    },
    components: {
      schemas: {
        Status: statusSchema,
        Connections: connectionsSchema,
        Health: healthSchema,
        Problem: problemSchema,
      },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
    security: tokenNeeded ? [{ token: [] }] : [],
  };
}
