/** What is known of one association from its first byte to its log line (contract, "Log lines"). */
import type { Associate } from '../../../protocols/dicom/associate.ts';
import { type AssociationEvent, events } from '../../observe/events.ts';

let count = 0;

export class AssociationRecord {
  /** Unique while the process lives. */
  readonly id = `a${++count}`;
  readonly vip: string;
  readonly client: string;
  /** Milliseconds of the clock when TCP was accepted. */
  readonly started: number;
  request: Associate | undefined;
  pool: string | undefined;
  server: string | undefined;
  rule: string | undefined;
  reason: string | undefined;
  attempts = 0;
  /** Study routing: server → operations that it answered. */
  servers: Record<string, number> | undefined;
  /** Operations that another server was asked for after the first was lost. */
  replays = 0;
  acceptedContexts = 0;
  bytesToServer = 0;
  bytesToClient = 0;
  operations: Readonly<Record<string, Readonly<Record<string, number>>>> = {};
  end: AssociationEvent['end'] | undefined;
  code: string | undefined;
  detail: string | undefined;

  constructor(vip: string, client: string, started: number) {
    this.vip = vip;
    this.client = client;
    this.started = started;
  }

  /** One more server is asked. */
  tries(server: string, reason: string): void {
    this.attempts++;
    this.server = server;
    this.reason = reason;
  }

  answeredBy(server: string): void {
    this.servers ??= {};
    this.servers[server] = (this.servers[server] ?? 0) + 1;
  }

  /** How it ended; the first word counts. What broke the rules before is told in front of `detail`. */
  ends(end: AssociationEvent['end'], code: string | undefined, detail?: string): void {
    if (this.end) return;
    this.end = end;
    this.code = code;
    this.detail = this.detail && detail ? `${this.detail}; ${detail}` : (this.detail ?? detail);
  }

  publish(now: number): void {
    if (!events.association.hasSubscribers) return;
    events.association.publish({
      vip: this.vip,
      client: this.client,
      calling: this.request?.callingAe ?? '',
      called: this.request?.calledAe ?? '',
      pool: this.pool,
      server: this.server,
      rule: this.rule,
      reason: this.reason,
      attempts: this.attempts,
      servers: this.servers,
      replays: this.replays,
      contexts: {
        proposed: this.request?.presentationContexts.length ?? 0,
        accepted: this.acceptedContexts,
      },
      operations: this.operations,
      bytes: { toServer: this.bytesToServer, toClient: this.bytesToClient },
      ms: Math.round((now - this.started) * 10) / 10,
      end: this.end ?? 'abort',
      code: this.code,
      detail: this.detail,
    });
  }
}
