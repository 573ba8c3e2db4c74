/**
 * The durable queues: how full they are, and what an operator does with messages in quarantine. Bodies are patient data:
 * they are shown only to who has the token, never to a browser, and each look, like each change, is in the log.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GantryError } from '../errors.ts';
import { notice } from '../observe/events.ts';
import type { HeldDocument, QueueDocument } from './documents.ts';
import { problem } from './problem.ts';
import { heldSchema, movedSchema, queuesSchema } from './queue-schemas.ts';

export interface QueueSource {
  /** Of every VIP that has one. */
  queues(): Promise<readonly QueueDocument[]>;
  quarantine(vip: string): Quarantine | 'no VIP' | 'no queue';
}

/** One in quarantine. */
export interface HeldMessage {
  readonly id: number;
  /** What its front-end wrote down of it: no patient data. */
  readonly about: Readonly<Record<string, string>>;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly arrived: number;
  readonly attempts: number;
  readonly maybeTwice: boolean;
  readonly reason: string;
  readonly keepsPlace: boolean;
}

/** The queue of a VIP, as an operator uses it. Every call rejects with GTY_QUEUE when its file cannot be used. */
export interface Quarantine {
  /** Those with ids above `after`, in order. */
  list(after: number, limit: number): Promise<readonly HeldMessage[]>;
  /** The body; undefined: it is damaged. */
  show(id: number): Promise<Buffer | undefined>;
  /** A piece of the body of any message of the queue; undefined: there is no such message. */
  read(id: number, piece: number): Promise<Buffer | undefined>;
  release(id: number): Promise<boolean>;
  /** Its new id. */
  replay(id: number): Promise<number | undefined>;
  drop(id: number): Promise<boolean>;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Shown only to who has the token. */
    readonly isConfidential?: true;
  }
}

const QUARANTINE = '/api/v1/queues/:vip/quarantine';
const ONE = `${QUARANTINE}/:id`;

interface ListRoute {
  readonly Params: { readonly vip: string };
  readonly Querystring: { readonly after: number; readonly limit: number };
}

interface OneRoute {
  readonly Params: { readonly vip: string; readonly id: number };
}

const params = {
  type: 'object',
  properties: { vip: { type: 'string' }, id: { type: 'integer', minimum: 1, maximum: 2 ** 53 - 1 } },
};

const querystring = {
  type: 'object',
  properties: {
    after: { type: 'integer', minimum: 0, maximum: 2 ** 53 - 1, default: 0 },
    limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
  },
  additionalProperties: false,
};

export function addQueues(server: FastifyInstance, source: QueueSource): void {
  server.get('/api/v1/queues', { schema: { response: { 200: queuesSchema } } }, () => source.queues());

  server.get<ListRoute>(
    QUARANTINE,
    { schema: { querystring, response: { 200: heldSchema } } },
    ({ params: { vip }, query: { after, limit } }, reply) =>
      withQuarantine(source, vip, reply, async (quarantine) =>
        (await quarantine.list(after, limit)).map(heldDocument),
      ),
  );

  /** Does `act` to a message that is in quarantine, and says so in the log; undefined: it cannot be done. */
  const actOn = <Answer>(
    action: 'show' | 'release' | 'replay' | 'drop',
    { params: { vip, id }, ip }: FastifyRequest<OneRoute>,
    reply: FastifyReply,
    act: (quarantine: Quarantine) => Promise<Answer | undefined>,
  ): Promise<Answer | FastifyReply> =>
    withQuarantine(source, vip, reply, async (quarantine) => {
      const [message] = await quarantine.list(id - 1, 1);
      if (message?.id !== id) return notHeld(quarantine, id, reply);
      const answer = await act(quarantine);
      if (answer === undefined)
        return problem(
          reply,
          409,
          action === 'show' ? 'Its body is damaged on the disk.' : 'It has just left quarantine.',
        );
      notice('info', 'quarantine', { action, vip, id, controlId: message.about.controlId, client: ip });
      return answer;
    });

  const schema = { params, response: { 200: movedSchema } };
  server.post<OneRoute>(`${ONE}/release`, { schema }, (request, reply) =>
    actOn('release', request, reply, async (quarantine) => {
      const { id } = request.params;
      return (await quarantine.release(id)) ? { id } : undefined;
    }),
  );
  server.post<OneRoute>(`${ONE}/replay`, { schema }, (request, reply) =>
    actOn('replay', request, reply, async (quarantine) => {
      const id = await quarantine.replay(request.params.id);
      return id === undefined ? undefined : { id };
    }),
  );
  server.delete<OneRoute>(ONE, { schema }, (request, reply) =>
    actOn('drop', request, reply, async (quarantine) => {
      const { id } = request.params;
      return (await quarantine.drop(id)) ? { id } : undefined;
    }),
  );

  server.get<OneRoute>(
    `${ONE}/body`,
    { schema: { params }, config: { isConfidential: true }, exposeHeadRoute: false },
    (request, reply) =>
      actOn('show', request, reply, async (quarantine) => {
        // Not sent here: the log has it first.
        void reply.type('application/octet-stream');
        return quarantine.show(request.params.id);
      }),
  );
}

/** What `work` makes of the VIP's quarantine, or a problem. */
async function withQuarantine<Answer>(
  source: QueueSource,
  vip: string,
  reply: FastifyReply,
  work: (quarantine: Quarantine) => Promise<Answer>,
): Promise<Answer | FastifyReply> {
  const quarantine = source.quarantine(vip);
  if (quarantine === 'no VIP') return problem(reply, 404, 'There is no such VIP.');
  if (quarantine === 'no queue')
    return problem(reply, 404, 'This VIP has no durable queue: `hl7.delivery: store` would give it one.');
  try {
    return await work(quarantine);
  } catch (error) {
    if (!(error instanceof GantryError) || error.code !== 'GTY_QUEUE') throw error;
    return problem(reply, 503, 'The file of the durable queue cannot be used now: the log says why.');
  }
}

async function notHeld(quarantine: Quarantine, id: number, reply: FastifyReply): Promise<FastifyReply> {
  const isKept = (await quarantine.read(id, 0)) !== undefined;
  return isKept
    ? problem(reply, 409, 'This message is not in quarantine: it waits for its turn, or is on its way.')
    : problem(
        reply,
        404,
        'There is no such message in the queue: it was delivered or dropped, or never there.',
      );
}

function heldDocument({ about, arrived, ...message }: HeldMessage): HeldDocument {
  const { type = null, event = null, controlId = null } = about;
  const { sender = null, client = null, returnTo = null } = about;
  const stored = new Date(arrived).toISOString();
  return { ...message, arrived: stored, type, event, controlId, sender, client, returnTo };
}
