/**
 * The JSON Schemas of documents.ts: what the OpenAPI document says, and what answers are serialised by, so that nothing
 * leaves the API that is not described here.
 */

export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly (string | null)[];
  readonly format?: string;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
}

export const text = (description: string): Schema => ({ type: 'string', description });
export const textOrNull = (description: string): Schema => ({ type: ['string', 'null'], description });
export const integer = (description: string): Schema => ({ type: 'integer', description });
export const list = (items: Schema, description: string): Schema => ({ type: 'array', items, description });

/** An object whose keys are all there. */
export function record(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
}

const totals: Schema = {
  type: 'object',
  additionalProperties: { type: 'number' },
  description: 'Counters since the start, by name. They only grow.',
};

export const serverSchema: Schema = record({
  name: text('Unique in its pool.'),
  address: text('As configured.'),
  state: { type: 'string', enum: ['starting', 'up', 'down', 'draining', 'drained', 'halted'] },
  since: { type: 'string', format: 'date-time', description: 'When it entered that state.' },
  reason: text('Why it is in that state.'),
  weight: { type: 'number' },
  active: integer('Associations or connections it has now; flows of layer 4 VIPs as of the last count.'),
  totals,
});

const pool = record({
  name: text('Unique.'),
  balance: text('How a server is chosen among equals.'),
  health: text('What the check is.'),
  mode: { type: 'string', enum: ['shared', 'single-active'] },
  activeServer: textOrNull('Of a single-active pool: the server that gets work now.'),
  servers: list(serverSchema, 'As configured, in that order.'),
});

const queueStatus = {
  file: text('Its file, as configured.'),
  messages: integer('Those in quarantine included.'),
  bytes: integer('Of their bodies.'),
  taken: integer('On their way to servers.'),
  held: integer('In quarantine.'),
  oldest: textOrNull('When the oldest that is not in quarantine was stored; null: there is none.'),
  fileBytes: integer('Of the file and its log.'),
};

const vipMembers = {
  name: text('Unique.'),
  protocol: { type: ['string', 'null'], enum: ['dicom', 'hl7', 'http', 'tcp', null] },
  mode: { type: 'string', enum: ['proxy', 'dr', 'nat', 'snat'] },
  listen: list({ type: 'string' }, 'Bound addresses, host:port; host:* is all ports.'),
  pool: textOrNull('The pool when no rule matches; null when that is a rejection.'),
  persistence: text('none, source-ip, cookie, or the fact.'),
  connections: integer('Open client connections; of a layer 4 VIP open flows as of the last count.'),
  totals,
};
const forwarded = record({
  pool: text('The pool it is of.'),
  server: text('Its name there.'),
  connections: integer('New connections that were given to it.'),
  packets: integer('What the clients sent it: not the answers, which with DR take another way.'),
  bytes: integer('Of those packets, IP headers included.'),
  flows: {
    type: ['integer', 'null'],
    description: 'Open now, as of the last count; null: not counted yet.',
  },
});
const vip: Schema = {
  ...record(vipMembers),
  properties: {
    ...vipMembers,
    queue: {
      anyOf: [record(queueStatus), { type: 'null' }],
      description: 'Its durable queue: not there when it has none, null while its file cannot be read.',
    },
    servers: list(forwarded, 'Of a layer 4 VIP, and only there: what the kernel forwarded to each server.'),
  },
};

export const statusSchema: Schema = record({
  version: text("Gantry's version."),
  uptime: { type: 'number', description: 'Seconds since the start.' },
  vips: list(vip, 'The virtual services.'),
  pools: list(pool, 'The pools and their servers.'),
});

export const connectionsSchema: Schema = list(
  record({
    id: text('Unique while the process lives.'),
    vip: text('Where it came in.'),
    protocol: { type: 'string', enum: ['dicom', 'hl7', 'http', 'tcp'] },
    client: text('host:port of the client.'),
    facts: {
      type: 'object',
      additionalProperties: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
      description: 'Facts by name; patient data only as keyed hashes.',
    },
    pool: textOrNull('null: not chosen yet.'),
    server: textOrNull('null: not chosen yet, or several.'),
    bytes: record({ toServer: integer('Bytes so far.'), toClient: integer('Bytes so far.') }),
    messages: integer('DIMSE operations or HL7 messages so far.'),
    age: { type: 'number', description: 'Milliseconds since it was accepted.' },
    reason: textOrNull('Why this server.'),
  }),
  'Live associations and connections. Flows of layer 4 VIPs are counted in the status, not listed here.',
);

/** RFC 9457 3. */
export const problemSchema: Schema = record({
  type: text('about:blank: the status says it all.'),
  title: text('The meaning of the status.'),
  status: integer('The HTTP status.'),
  detail: text('What is wrong with this very request.'),
});

export const healthSchema: Schema = record({ status: text('alive or ready') });

export const reloadSchema: Schema = record({
  changes: list(
    record({
      kind: text('vip, pool, admin, log, table, timeouts or probe.'),
      name: text('Of a VIP or pool; otherwise the kind again.'),
      what: { type: 'string', enum: ['added', 'changed', 'removed'] },
      nextStart: { type: 'boolean', description: 'It takes effect at the next start only.' },
    }),
    'What is different from before; empty: nothing.',
  ),
});

export const entriesSchema: Schema = list(
  record({
    table: text('vip NAME, pool NAME or share NAME.'),
    pool: textOrNull('The pool it is for; null in a shared table.'),
    by: text('The fact by which work comes back, or source-ip.'),
    key: text('The value; a keyed hash when it may be patient data.'),
    server: text('Where it comes back to.'),
    remaining: {
      type: ['integer', 'null'],
      description: 'Milliseconds it lives on if it is not used; null: for ever.',
    },
  }),
  'Persistence entries, at most 1000.',
);

export const clearedSchema: Schema = record({ cleared: integer('So many entries were forgotten.') });
