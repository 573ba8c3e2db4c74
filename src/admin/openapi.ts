/** The OpenAPI document of the admin API. */
import { settingsSchema } from './changes.ts';
import { heldSchema, movedSchema, queuesSchema } from './queue-schemas.ts';
import {
  clearedSchema,
  connectionsSchema,
  entriesSchema,
  healthSchema,
  problemSchema,
  reloadSchema,
  serverSchema,
  statusSchema,
} from './schemas.ts';

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
  const call = (summary: string, schema: object, ...statuses: readonly number[]) => ({
    summary,
    responses: {
      200: { description: 'OK', content: { 'application/json': { schema } } },
      ...problems(...statuses),
    },
  });
  const read = (summary: string, schema: object, ...statuses: readonly number[]) => ({
    get: call(summary, schema, ...statuses),
  });
  /** Needs the token when one is set, wherever the API listens. */
  const change = (summary: string, schema: object, ...statuses: readonly number[]) => ({
    ...call(summary, schema, 401, 403, ...statuses),
    security: [{}, { token: [] }],
  });
  const parameters = (place: string, ...names: readonly string[]) => ({
    parameters: names.map((name) => ({
      name,
      in: place,
      required: place === 'path',
      schema: { type: 'string' },
    })),
  });
  const quarantine = '/api/v1/queues/{vip}/quarantine';
  const ofHeld = (method: string, operation: object) => ({
    ...parameters('path', 'vip', 'id'),
    [method]: operation,
  });
  const server = '/api/v1/pools/{pool}/servers/{server}';
  const ofServer = (method: string, operation: object) => ({
    ...parameters('path', 'pool', 'server'),
    [method]: operation,
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
      [`${server}/drain`]: ofServer('post', {
        ...change('No new work; what is in hand finishes.', reference('Server'), 404),
        ...parameters('query', 'strict'),
      }),
      [`${server}/halt`]: ofServer(
        'post',
        change('Out, and what is open ends at its next safe point.', reference('Server'), 404),
      ),
      [`${server}/online`]: ofServer('post', change('Back to work.', reference('Server'), 404)),
      [server]: ofServer('patch', {
        ...change('Weight and limit.', reference('Server'), 400, 404),
        requestBody: { content: { 'application/json': { schema: settingsSchema } } },
      }),
      '/api/v1/persistence': {
        ...parameters('query', 'table', 'key'),
        ...read('Persistence entries, at most 1000.', reference('Entries'), 401, 403, 503),
        delete: change('Forgets these entries.', reference('Cleared'), 503),
      },
      '/api/v1/queues': read('The durable queues.', reference('Queues'), 401, 403),
      [quarantine]: {
        ...parameters('path', 'vip'),
        get: {
          ...call('Messages in quarantine.', reference('Quarantine'), 400, 401, 403, 404, 503),
          ...parameters('query', 'after', 'limit'),
        },
      },
      [`${quarantine}/{id}/release`]: ofHeld(
        'post',
        change(
          'Delivered next, before the later messages of its patients.',
          reference('Moved'),
          404,
          409,
          503,
        ),
      ),
      [`${quarantine}/{id}/replay`]: ofHeld(
        'post',
        change('Delivered after all that wait, under a new id.', reference('Moved'), 404, 409, 503),
      ),
      [`${quarantine}/{id}`]: ofHeld(
        'delete',
        change('Removes the message for ever.', reference('Moved'), 404, 409, 503),
      ),
      [`${quarantine}/{id}/body`]: ofHeld('get', {
        summary: 'The message itself: patient data. Always needs the token; not for browsers.',
        responses: {
          200: {
            description: 'Its bytes as they came, without framing.',
            content: { 'application/octet-stream': {} },
          },
          ...problems(401, 403, 404, 409, 503),
        },
        security: [{ token: [] }],
      }),
      '/metrics': {
        get: {
          summary: "Counters and gauges, in Prometheus' text format.",
          responses: {
            200: { description: 'OK', content: { 'text/plain': { schema: { type: 'string' } } } },
            ...problems(401, 403),
          },
        },
      },
      '/api/v1/reload': {
        post: change(
          'Reads the configuration again; a faulty one changes nothing.',
          reference('Reload'),
          422,
        ),
      },
      '/api/v1/openapi.json': read('This document.', { type: 'object' }, 401, 403),
    },
    components: {
      schemas: {
        Status: statusSchema,
        Connections: connectionsSchema,
        Server: serverSchema,
        Entries: entriesSchema,
        Cleared: clearedSchema,
        Queues: queuesSchema,
        Quarantine: heldSchema,
        Moved: movedSchema,
        Reload: reloadSchema,
        Health: healthSchema,
        Problem: problemSchema,
      },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
    security: tokenNeeded ? [{ token: [] }] : [],
  };
}
