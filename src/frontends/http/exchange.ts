/** One request from its head to its log line: where it goes, and what its client gets. */
import type { FactValue } from '../../../protocols/facts.ts';
import type { Framing } from '../../../protocols/http/body-reader.ts';
import { upgradeProtocol } from '../../../protocols/http/connection.ts';
import { type ExtraRequestFacts, requestFacts } from '../../../protocols/http/facts.ts';
import { type Fields, fieldValue, fieldValues } from '../../../protocols/http/fields.ts';
import { endToEndTrailers } from '../../../protocols/http/hop-by-hop.ts';
import type { ResponseHead } from '../../../protocols/http/message-head.ts';
import type { BackMapping } from '../../../protocols/http/rewrite.ts';
import type { RequestHead } from '../../../protocols/http/strictness.ts';
import { parseTarget, type Target } from '../../../protocols/http/target.ts';
import type { Choice } from '../../director/director.ts';
import type { Server } from '../../pools/server.ts';
import type { ConnectionView } from '../front-end.ts';
import type { Client, Origin, RequestHandler, Tunnelled } from './client.ts';
import { cookieFor, hostField, interimFields, requestHead, responseFields } from './forwarding.ts';
import { type OwnAnswer, redirection, refusal, response } from './own-answer.ts';
import { RequestRecord } from './record.ts';
import { type Asked, type SearchHost, type SearchListener, ServerSearch } from './server-search.ts';
import type { HttpSettings, RouteAction } from './settings.ts';

/** A request that is answered by an error page. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

/** Two connections that are to be one. */
export interface NewTunnel {
  readonly client: Tunnelled;
  readonly server: Tunnelled;
  readonly protocol: string;
  /** Is told of the end, by `tunnelEnded`. */
  readonly exchange: Exchange;
  readonly settings: HttpSettings;
}

export interface ExchangeHost extends SearchHost {
  readonly settings: HttpSettings;
  tunnel(tunnel: NewTunnel): void;
  /** The balancer gave this answer, not a server. */
  answeredItself(status: number): void;
}

const EMPTY = Buffer.alloc(0);
const NO_FIELDS: Fields = [];
const TOO_LARGE = 'The body of the request is too large.';

export class Exchange implements RequestHandler, SearchListener {
  readonly #host: ExchangeHost;
  readonly #settings: HttpSettings;
  readonly #client: Client;
  readonly #request: RequestHead;
  readonly #framing: Framing;
  readonly #refusal: Refusal | undefined;
  readonly #target: Target;
  readonly #record: RequestRecord;
  #choice: Choice | undefined;
  #search: ServerSearch | undefined;
  #upgrade: string | undefined;
  #back: BackMapping | undefined;
  /** The head of the answer went to the client. */
  #isAnswered = false;
  /** The answer is whole. */
  #isWhole = false;
  #isOver = false;
  /** Ends what persistence holds for a long answer, or a tunnel. */
  #release: (() => void) | undefined;

  /** `refused`: what is wrong with the request. `begin` follows. */
  constructor(host: ExchangeHost, client: Client, request: RequestHead, framing: Framing, refused?: Refusal) {
    const { settings } = host;
    this.#host = host;
    this.#settings = settings;
    this.#client = client;
    this.#request = request;
    this.#framing = framing;
    this.#refusal = refused;
    this.#target = parseTarget(request.target, hostField(request.rawHeaders));
    this.#record = new RequestRecord(
      settings.vip,
      client.origin.remote.host,
      request.method,
      request.version,
      settings.now(),
    );
    this.#record.host = this.#target.authority;
    this.#record.path = this.#target.path;
  }

  /** Who has the request now. */
  get server(): Server | undefined {
    return this.#search?.server;
  }

  begin(): void {
    const { director, limits, actions } = this.#settings;
    if (this.#refusal !== undefined) {
      this.#refuse(this.#refusal.status, this.#refusal.reason);
      return;
    }
    if (typeof this.#framing === 'number' && this.#framing > (limits.body ?? Infinity)) {
      this.#refuse(413, TOO_LARGE);
      return;
    }
    const choice = director.choose(this.#facts());
    const action = actions[choice.ruleIndex];
    this.#choice = choice;
    this.#record.rule = choice.rule;
    this.#record.pool = choice.pool?.name;
    if (choice.reject === undefined) this.#forward(choice, action);
    else this.#answerByRule(action);
  }

  // What the client does.

  body(content: Buffer, isLast: boolean, trailers: Fields): boolean {
    const record = this.#record;
    record.bytesToServer += content.length;
    if (record.bytesToServer > (this.#settings.limits.body ?? Infinity)) {
      this.bodyFailed(413, TOO_LARGE);
      return true;
    }
    return this.#search?.write(content, isLast, trailing(trailers)) ?? true;
  }

  bodyFailed(status: number, why: string): void {
    this.#search?.stop();
    if (this.#isAnswered) this.broken(why);
    else this.#refuse(status, why);
  }

  taken(): void {
    if (this.#isWhole) this.#finish();
    else this.#search?.resume();
  }

  gone(why: string): void {
    if (this.#isOver) return;
    this.#record.detail = why;
    this.#search?.stop();
    this.#over();
  }

  // What the server does.

  bodyIsWanted(): void {
    this.#client.readBody();
  }

  bodyMustWait(): void {
    this.#client.holdBody();
  }

  informed(head: ResponseHead): void {
    this.#client.inform(head.status, head.reason, interimFields(head));
  }

  answered(
    asked: Asked,
    head: ResponseHead,
    framing: Framing,
    content: Buffer,
    isLast: boolean,
    trailers: Fields,
  ): void {
    const { status, reason } = head;
    const answer = { status, reason, fields: this.#fieldsOf(head, asked), framing };
    this.#hasAnswer(status);
    if (!isLast) this.#release = this.#choice!.hold();
    this.#record.bytesToClient = content.length;
    this.#gave(this.#client.respond(answer, content, isLast, trailing(trailers)), isLast);
  }

  content(content: Buffer, isLast: boolean, trailers: Fields): void {
    this.#record.bytesToClient += content.length;
    this.#gave(this.#client.write(content, isLast, trailing(trailers)), isLast);
  }

  upgraded(asked: Asked, head: ResponseHead, server: Tunnelled): void {
    const protocol = fieldValue(head.rawHeaders, 'upgrade') ?? this.#upgrade!;
    const fields = [...this.#fieldsOf(head, asked), 'Connection', 'Upgrade', 'Upgrade', protocol];
    this.#hasAnswer(head.status);
    this.#release = this.#choice!.hold();
    const client = this.#client.upgrade(head.reason, fields);
    this.#host.tunnel({ client, server, protocol, exchange: this, settings: this.#settings });
  }

  broken(detail: string): void {
    this.#record.detail = detail;
    this.#client.abort();
    this.#over();
  }

  nobody(status: number, sentence: string, detail: string): void {
    this.#record.detail = detail;
    this.#refuse(status, sentence);
  }

  // What the balancer does.

  /** The server must not have the request any more, if it has it. */
  leaveServer(server: Server, why: string): void {
    if (this.server === server) this.#search!.leaveServer(why);
  }

  tunnelEnded(bytesToServer: number, bytesToClient: number, why: string | undefined): void {
    this.#record.bytesToServer = bytesToServer;
    this.#record.bytesToClient = bytesToClient;
    this.#record.detail = why;
    this.#search?.tunnelEnded();
    this.#over();
  }

  view(id: string): ConnectionView {
    const { method, version, client, pool, server, reason, started } = this.#record;
    const facts = { method, version };
    const bytes = { toServer: this.#record.bytesToServer, toClient: this.#record.bytesToClient };
    return { id, client, facts, pool, server, reason, bytes, messages: 1, started };
  }

  #facts() {
    const { method, rawHeaders } = this.#request;
    return requestFacts(
      { method, host: this.#target.authority, target: this.#target, rawHeaders },
      new Surroundings(this.#settings, this.#client.origin, rawHeaders),
    );
  }

  #forward(choice: Choice, action: RouteAction | undefined): void {
    const { method, version, rawHeaders } = this.#request;
    const { origin } = this.#client;
    const framing = this.#framing;
    const target = this.#rewritten(action);
    const upgrade = upgradeProtocol(version, rawHeaders);
    const expectsContinue =
      framing !== 0 && version !== '1.0' && fieldValue(rawHeaders, 'expect') !== undefined;
    this.#upgrade = upgrade;
    const head = requestHead(
      {
        request: this.#request,
        target,
        authority: this.#target.authority,
        origin,
        framing,
        upgrade,
        expectsContinue,
        cookie: choice.cookie,
      },
      this.#settings,
    );
    const errand = { head, method, framing, upgrade, expectsContinue, origin };
    this.#search = new ServerSearch(this.#host, this.#settings, choice, errand, this.#record, this);
    this.#search.begin();
  }

  /** Path and query as the server is asked for them. */
  #rewritten(action: RouteAction | undefined): string {
    const { path, query } = this.#target;
    if (action?.rewrite === undefined || path === '*') return query === undefined ? path : `${path}?${query}`;
    const { target, back } = action.rewrite(this.#target);
    this.#back = back;
    return target;
  }

  #fieldsOf(head: ResponseHead, { server, link, endpoint }: Asked): string[] {
    const settings = this.#settings;
    const { cookie, pool } = this.#choice!;
    return responseFields(
      {
        head,
        authority: this.#target.authority,
        endpoint,
        isServerTls: link.tls !== undefined,
        back: this.#back,
        setCookie: cookie && cookieFor(cookie, this.#request, pool!, server, settings),
      },
      settings,
    );
  }

  #hasAnswer(status: number): void {
    this.#isAnswered = true;
    this.#record.status = status;
    this.#record.detail = undefined;
  }

  /** A part of the answer was given to the client. */
  #gave(isTaken: boolean, isLast: boolean): void {
    this.#isWhole = isLast;
    if (isLast && isTaken) this.#finish();
    else if (!isTaken) this.#search?.pause();
  }

  #answerByRule(action: RouteAction | undefined): void {
    const { now } = this.#settings;
    if (action?.redirect) this.#answer(redirection(action.redirect, this.#target, now()));
    else if (action?.respond) this.#answer(response(action.respond, now()));
    else if (action?.reject !== undefined) this.#refuse(action.reject, 'This is not served here.');
    else this.#refuse(404, 'Nothing is served at this address.');
  }

  #refuse(status: number, sentence: string): void {
    this.#record.detail ??= sentence;
    this.#answer(refusal(status, sentence, this.#record.id, this.#settings.now()));
  }

  #answer(answer: OwnAnswer): void {
    const content = this.#request.method === 'HEAD' ? EMPTY : answer.body;
    this.#isAnswered = true;
    this.#record.status = answer.status;
    this.#record.bytesToClient = content.length;
    this.#host.answeredItself(answer.status);
    this.#gave(this.#client.respond(answer, content, true, NO_FIELDS), true);
  }

  #finish(): void {
    this.#over();
    this.#client.finish();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#release?.();
    this.#record.publish(this.#settings.now());
  }
}

/** The facts that are not in the request. */
class Surroundings implements ExtraRequestFacts {
  readonly #settings: HttpSettings;
  readonly #origin: Origin;
  readonly #fields: Fields;

  constructor(settings: HttpSettings, origin: Origin, fields: Fields) {
    this.#settings = settings;
    this.#origin = origin;
    this.#fields = fields;
  }

  get vip(): string {
    return this.#settings.vip;
  }

  get client(): string {
    return this.#origin.remote.host;
  }

  get port(): string {
    return String(this.#origin.local.port);
  }

  get sni(): string | undefined {
    return this.#origin.tls?.sni;
  }

  get tlsSubject(): string | undefined {
    return this.#origin.tls?.subject;
  }

  serverCookie(name: string): FactValue {
    const names = this.#settings.cookies.read(fieldValues(this.#fields, 'cookie'), name);
    return names.length > 0 ? names : undefined;
  }
}

function trailing(trailers: Fields): Fields {
  return trailers.length > 0 ? endToEndTrailers(trailers) : trailers;
}
