/**
 * What happens in Gantry, as one typed table of `node:diagnostics_channel` channels. The data path publishes, and only
 * when somebody listens; `observe` and `admin` listen. Values here are safe to log: no patient data.
 */
import { type Channel, channel } from 'node:diagnostics_channel';

/** A server changed its state. */
export interface ServerEvent {
  readonly pool: string;
  readonly server: string;
  readonly address: string;
  readonly state: string;
  readonly previous: string;
  readonly reason: string;
}

/** A DICOM association ended (contract, "Log lines"). */
export interface AssociationEvent {
  readonly vip: string;
  readonly client: string;
  readonly calling: string;
  readonly called: string;
  readonly pool: string | undefined;
  readonly server: string | undefined;
  readonly rule: string | undefined;
  /** Why this server. */
  readonly reason: string | undefined;
  /** Servers tried, the last one included. */
  readonly attempts: number;
  /** Study routing: server → operations that it answered. `server` is the one that led last. */
  readonly servers?: Readonly<Record<string, number>> | undefined;
  /** Study routing: operations that another server was asked for after the first was lost. */
  readonly replays?: number | undefined;
  readonly contexts: { readonly proposed: number; readonly accepted: number };
  /** Operation (`C-STORE`) → status as four hex digits → count. */
  readonly operations: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly bytes: { readonly toServer: number; readonly toClient: number };
  readonly ms: number;
  readonly end: 'release' | 'abort' | 'reject';
  /** `result/source/reason` of a rejection, `source/reason` of an abort. */
  readonly code: string | undefined;
  /** Who ended it and why, a sentence without patient data. */
  readonly detail: string | undefined;
}

/** An HL7 message was dealt with (contract, "Log lines"). */
export interface MessageEvent {
  readonly vip: string;
  readonly client: string;
  readonly type: string;
  readonly event: string;
  readonly controlId: string;
  /** MSH-3 and MSH-4, as `application^facility`. */
  readonly sender: string;
  readonly pool: string | undefined;
  readonly server: string | undefined;
  readonly rule: string | undefined;
  readonly reason: string | undefined;
  readonly attempts: number;
  /** MSA-1 that the sender got, or undefined when it got none. */
  readonly acknowledgement: string | undefined;
  /** `delivered`, `maybe twice`, `unconfirmed`, `stored`, `duplicate`, `held`, `quarantined`, `rejected`, `unavailable`, `failed`. */
  readonly outcome: string;
  /** Why it did not go well, a sentence without patient data. */
  readonly detail: string | undefined;
  readonly bytes: number;
  readonly ms: number;
}

/** An HTTP request was answered, or its tunnel has ended (contract, "Log lines"). */
export interface RequestEvent {
  readonly vip: string;
  readonly client: string;
  /** Unique; error pages show it. */
  readonly id: string;
  readonly method: string;
  readonly host: string | undefined;
  /** Without its query. Shown only as a keyed hash: paths name patients and studies. */
  readonly path: string | undefined;
  /** `1.0`, `1.1` or `2.0`. */
  readonly version: string;
  /** What the client got; undefined when it was gone before. */
  readonly status: number | undefined;
  readonly pool: string | undefined;
  readonly server: string | undefined;
  readonly rule: string | undefined;
  /** Why this server. */
  readonly reason: string | undefined;
  readonly attempts: number;
  /** Of bodies, or of the tunnel. */
  readonly bytes: { readonly toServer: number; readonly toClient: number };
  readonly ms: number;
  /** Why it did not go well, a sentence without patient data. */
  readonly detail: string | undefined;
}

/** A TCP connection ended. */
export interface ConnectionEvent {
  readonly vip: string;
  readonly client: string;
  /** The port it came to. */
  readonly port: number;
  readonly pool: string | undefined;
  readonly server: string | undefined;
  readonly rule: string | undefined;
  readonly reason: string | undefined;
  readonly attempts: number;
  readonly bytes: { readonly toServer: number; readonly toClient: number };
  readonly ms: number;
  /** closed: in order. reset: broken by either side. cut: by the balancer. refused: no server was had. */
  readonly end: 'closed' | 'reset' | 'cut' | 'refused';
  readonly detail: string | undefined;
}

/** Something an operator may want to know that belongs to no association or message. */
export interface NoticeEvent {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean | undefined>>;
}

export const events = {
  server: channel('gantry:server') as Channel<unknown, ServerEvent>,
  association: channel('gantry:association') as Channel<unknown, AssociationEvent>,
  message: channel('gantry:message') as Channel<unknown, MessageEvent>,
  request: channel('gantry:request') as Channel<unknown, RequestEvent>,
  connection: channel('gantry:connection') as Channel<unknown, ConnectionEvent>,
  notice: channel('gantry:notice') as Channel<unknown, NoticeEvent>,
};

/** Publishes a notice when somebody listens. */
export function notice(
  level: NoticeEvent['level'],
  message: string,
  fields: NoticeEvent['fields'] = {},
): void {
  if (events.notice.hasSubscribers) events.notice.publish({ level, message, fields });
}

interface EventsByName {
  readonly server: ServerEvent;
  readonly association: AssociationEvent;
  readonly message: MessageEvent;
  readonly request: RequestEvent;
  readonly connection: ConnectionEvent;
  readonly notice: NoticeEvent;
}

/** Calls `listener` for every event of that name, in the publisher's own turn; the function returned stops it. */
export function onEvent<Name extends keyof EventsByName>(
  name: Name,
  listener: (event: EventsByName[Name]) => void,
): () => void {
  const receive = (event: unknown) => listener(event as EventsByName[Name]);
  events[name].subscribe(receive);
  return () => {
    events[name].unsubscribe(receive);
  };
}
