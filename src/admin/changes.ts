/** Changes to the running balancer: a server's duty, weight and limit, and the configuration as a whole. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { FaultDocument, ReloadDocument, ServerStatus } from './documents.ts';
import { problem } from './problem.ts';
import { reloadSchema, serverSchema } from './schemas.ts';

export type ServerChange =
  | { readonly to: 'drain'; readonly strict: boolean }
  | { readonly to: 'halt' }
  | { readonly to: 'online' }
  /** `maxConnections` null: no limit. */
  | { readonly to: 'set'; readonly weight?: number; readonly maxConnections?: number | null };

export type ReloadResult =
  | { readonly done: ReloadDocument }
  /** Nothing was changed. Every fault of the file, or why the machine could not do what it says. */
  | { readonly faults: readonly FaultDocument[]; readonly detail: string };

export interface ChangeSource {
  /** The server's new status; undefined: there is no such server. */
  change(pool: string, server: string, change: ServerChange): ServerStatus | undefined;
  /** Reads the configuration again. */
  reload(): Promise<ReloadResult>;
}

const SERVER = '/api/v1/pools/:pool/servers/:server';

interface ServerRoute {
  readonly Params: { readonly pool: string; readonly server: string };
}

export function addChanges(server: FastifyInstance, source: ChangeSource): void {
  const response = { 200: serverSchema };
  const change = (
    reply: FastifyReply,
    { pool, server: name }: ServerRoute['Params'],
    what: ServerChange,
  ): FastifyReply | ServerStatus =>
    source.change(pool, name, what) ?? problem(reply, 404, 'There is no such server in such a pool.');

  const strictly = {
    schema: {
      response,
      querystring: {
        type: 'object',
        properties: { strict: { type: 'boolean' } },
        additionalProperties: false,
      },
    },
  };
  server.post<ServerRoute & { Querystring: { strict?: boolean } }>(
    `${SERVER}/drain`,
    strictly,
    (request, reply) => change(reply, request.params, { to: 'drain', strict: request.query.strict ?? false }),
  );
  for (const to of ['halt', 'online'] as const) {
    server.post<ServerRoute>(`${SERVER}/${to}`, { schema: { response } }, (request, reply) =>
      change(reply, request.params, { to }),
    );
  }
  server.patch<ServerRoute & { Body: { weight?: number; maxConnections?: number | null } }>(
    SERVER,
    { schema: { response, body: settingsSchema } },
    (request, reply) => change(reply, request.params, { to: 'set', ...request.body }),
  );

  server.post('/api/v1/reload', { schema: { response: { 200: reloadSchema } } }, async (_, reply) => {
    const result = await source.reload();
    if ('done' in result) return result.done;
    return problem(reply, 422, result.detail, { faults: result.faults });
  });
}

/** The limits are those of the configuration. */
export const settingsSchema = {
  type: 'object',
  properties: {
    weight: { type: 'integer', minimum: 0, maximum: 1000 },
    maxConnections: { type: ['integer', 'null'], minimum: 1, maximum: 1_000_000 },
  },
  minProperties: 1,
  additionalProperties: false,
};
