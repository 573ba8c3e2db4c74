/** What is known of one request from its head to its log line (contract, "Log lines"). */
import { events, type RequestEvent } from '../../observe/events.ts';
import { requestId } from './error-page.ts';

export class RequestRecord {
  readonly vip: string;
  readonly client: string;
  readonly method: string;
  readonly version: string;
  /** Milliseconds of the clock. */
  readonly started: number;
  host: string | undefined;
  path: string | undefined;
  status: number | undefined;
  pool: string | undefined;
  server: string | undefined;
  rule: string | undefined;
  reason: string | undefined;
  attempts = 0;
  bytesToServer = 0;
  bytesToClient = 0;
  detail: string | undefined;
  #id: string | undefined;

  constructor(vip: string, client: string, method: string, version: string, started: number) {
    this.vip = vip;
    this.client = client;
    this.method = method;
    this.version = version;
    this.started = started;
  }

  /** Made when somebody wants to know it. */
  get id(): string {
    this.#id ??= requestId();
    return this.#id;
  }

  publish(now: number): void {
    if (!events.request.hasSubscribers) return;
    const event: RequestEvent = {
      vip: this.vip,
      client: this.client,
      id: this.id,
      method: this.method,
      host: this.host,
      path: this.path,
      version: this.version,
      status: this.status,
      pool: this.pool,
      server: this.server,
      rule: this.rule,
      reason: this.reason,
      attempts: this.attempts,
      bytes: { toServer: this.bytesToServer, toClient: this.bytesToClient },
      ms: Math.round((now - this.started) * 10) / 10,
      detail: this.detail,
    };
    events.request.publish(event);
  }
}
