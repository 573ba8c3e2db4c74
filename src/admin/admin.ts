/** The admin API: a small HTTP server of its own, apart from the data path. The only user of fastify. */
import type { AddressInfo } from 'node:net';
import { type FastifyError, type FastifyInstance, fastify } from 'fastify';
import { GantryError } from '../errors.ts';
import { type KeyedHash, publicFacts } from '../observe/privacy.ts';
import { isLoopback, refusalOf } from './access.ts';
import { addChanges, type ChangeSource } from './changes.ts';
import type { ConnectionDocument, StatusDocument } from './documents.ts';
import { addMetrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { addPersistence, type PersistenceSource } from './persistence.ts';
import { problem } from './problem.ts';
import { addQueues, type QueueSource } from './queues.ts';
import { connectionsSchema, healthSchema, statusSchema } from './schemas.ts';
import { contentSecurityPolicy, statusPage } from './status-page.ts';

export interface AdminOptions {
  /** Port 0: the system chooses. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly token: string | undefined;
  /** For facts that are not shown as they are. */
  readonly hash: KeyedHash;
  readonly hashUids: boolean;
  readonly source: AdminSource;
}

/** Where the answers come from. */
export interface AdminSource extends ChangeSource, PersistenceSource, QueueSource {
  /** Every listener is bound, and nothing is draining. */
  ready(): boolean;
  status(): StatusDocument | Promise<StatusDocument>;
  connections(): readonly ConnectionDocument[];
}

export interface Admin {
  readonly endpoint: { readonly host: string; readonly port: number };
  /** From now on. */
  setToken(token: string | undefined): void;
  close(): Promise<void>;
}

/** The largest body of a request, bytes. */
const BODY_LIMIT = 64 * 1024;

/** Listens and answers. Throws `GantryError` GTY_LISTEN when the address cannot be had. */
export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const { listen, token } = options;
  const server = fastify({
    bodyLimit: BODY_LIMIT,
    // A key that is not known is a mistake, not to be passed over.
    ajv: { customOptions: { removeAdditional: false } },
    forceCloseConnections: true,
    requestTimeout: 30_000,
    frameworkErrors: (_error, _request, reply) => void problem(reply, 400, 'The request cannot be read.'),
    clientErrorHandler: (_error, socket) => {
      if (socket.writable)
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    },
  });
  let access = { token, onLoopback: isLoopback(listen.host) };
  server.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    if (OPEN.has(request.routeOptions.url ?? '')) return;
    const { authorization, host, origin } = request.headers;
    const refusal = refusalOf(
      {
        method: request.method,
        authorization,
        host,
        origin,
        isConfidential: request.routeOptions.config.isConfidential ?? false,
        fetchSite: request.headers['sec-fetch-site'],
      },
      access,
    );
    if (!refusal) return;
    if (refusal.status === 401) reply.header('www-authenticate', 'Bearer');
    return problem(reply, refusal.status, refusal.detail);
  });
  addReads(server, options, access.onLoopback);
  addChanges(server, options.source);
  addPersistence(server, options);
  addQueues(server, options.source);
  addMetrics(server, options.source);
  answerWithProblems(server);
  try {
    await server.listen({ ...listen });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new GantryError(
      'GTY_LISTEN',
      `admin: ${listen.host}:${listen.port} cannot be listened on: ${reason}; free it, or set admin.listen to another address`,
      {
        cause: error,
      },
    );
  }
  const [bound] = server.addresses() as AddressInfo[];
  return {
    endpoint: { host: bound?.address ?? listen.host, port: bound?.port ?? listen.port },
    setToken(next) {
      access = { ...access, token: next };
    },
    close: () => server.close(),
  };
}

/** Probes and the page itself, which holds no data, are for everybody. */
const OPEN: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/']);

const SECURITY_HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

function addReads(server: FastifyInstance, options: AdminOptions, onLoopback: boolean): void {
  const { source, hash, hashUids } = options;
  const answer = (schema: object) => ({ schema: { response: { 200: schema } } });
  server.get('/healthz', answer(healthSchema), () => ({ status: 'alive' }));
  server.get('/readyz', answer(healthSchema), (_, reply) =>
    source.ready() ? { status: 'ready' } : problem(reply, 503, 'Starting or draining.'),
  );
  server.get('/api/v1/status', answer(statusSchema), () => source.status());
  server.get('/api/v1/connections', answer(connectionsSchema), () =>
    source
      .connections()
      .map((connection) => ({ ...connection, facts: publicFacts(connection.facts, hash, hashUids) })),
  );
  const openApi = openApiDocument(!onLoopback);
  server.get('/api/v1/openapi.json', () => openApi);
  const page = statusPage();
  server.get('/', (_, reply) =>
    reply
      .header('content-security-policy', contentSecurityPolicy(page))
      .type('text/html; charset=utf-8')
      .send(page.html),
  );
}

/** Every error as RFC 9457 problem details; nothing of an internal error leaves the process. */
function answerWithProblems(server: FastifyInstance): void {
  server.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '/';
    const allowed = METHODS.filter((method) => server.hasRoute({ method, url: path }));
    if (allowed.length === 0) return problem(reply, 404, 'There is nothing at this path.');
    reply.header('allow', allowed.join(', '));
    return problem(reply, 405, `This path takes ${allowed.join(', ')}.`);
  });
  server.setErrorHandler((error, _request, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    return problem(
      reply,
      status,
      status < 500 ? sentenceOf(error) : 'Something went wrong in Gantry itself.',
    );
  });
}

/** What a body or query breaks is said; what came is not repeated. */
function sentenceOf(error: unknown): string {
  const { validation, validationContext } = error as FastifyError;
  const [first] = validation ?? [];
  if (!first) return 'The request cannot be taken as it is.';
  return `The ${validationContext ?? 'request'}${first.instancePath} ${first.message ?? 'is not as it should be'}.`;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'] as const;
