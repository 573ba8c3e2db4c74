/**
 * One association, from TCP accept to its log line: read the request, ask the director, try the candidates, relay the
 * answer, then hand both connections to a conversation. Until a server accepted, the client sees nothing of the search.
 */
import {
  type Associate,
  DICOM_APPLICATION_CONTEXT,
  indexAssociate,
} from '../../../protocols/dicom/associate.ts';
import { restoreAes, withMaxLength, withoutAsyncWindow } from '../../../protocols/dicom/associate-rewrite.ts';
import { associationFacts } from '../../../protocols/dicom/facts.ts';
import { type PduType, pduName } from '../../../protocols/dicom/pdu.ts';
import { createPduCollector } from '../../../protocols/dicom/pdu-collector.ts';
import { PduFault } from '../../../protocols/dicom/pdu-fault.ts';
import { type Reject, writeAbort, writeReject } from '../../../protocols/dicom/small-pdus.ts';
import { actionOn } from '../../../protocols/dicom/upper-layer.ts';
import type { Facts } from '../../../protocols/facts.ts';
import type { Choice } from '../../director/director.ts';
import type { GantryError } from '../../errors.ts';
import { notice } from '../../observe/events.ts';
import type { Server } from '../../pools/server.ts';
import type { Channel, ChannelHandler } from '../../relay/channel.ts';
import type { Deadline } from '../../relay/deadlines.ts';
import { dismiss } from '../../relay/dismiss.ts';
import type { ConnectionView } from '../front-end.ts';
import type { Waiting } from '../waiting-room.ts';
import type { AssociationHost, AssociationSettings, StudyOptions } from './association-settings.ts';
import { Conversation } from './conversation.ts';
import { AssociationRecord } from './record.ts';
import { REJECTIONS, rejectionNamed, tripleOf } from './rejections.ts';
import type { Accept } from './server-attempt.ts';
import { type SearchListener, type ServerRejection, ServerSearch, type SlotKeeper } from './server-search.ts';
import { StudyConversation } from './study/conversation.ts';
import { settingsInForce } from './study/settings-in-force.ts';

/** Bytes that were read before the conversation began. */
interface Early {
  readonly toServer: Buffer;
  readonly toClient: Buffer;
}

/** The longest variable field of a P-DATA-TF that a client is told to send in study routing, in bytes. */
const MOST_ANNOUNCED = 128 * 1024;

const TLS_ON_PLAIN_PORT =
  'a client spoke TLS to this plain port: give it the TLS port, or turn TLS off in the client';

type Phase = 'request' | 'waiting' | 'trying' | 'open' | 'over';

export class Association implements ChannelHandler, SearchListener {
  readonly record: AssociationRecord;
  readonly #host: AssociationHost;
  readonly #client: Channel;
  readonly #collector = createPduCollector();
  readonly #timer: Deadline;
  #settings: AssociationSettings;
  #phase: Phase = 'request';
  #facts: Facts | undefined;
  #choice: Choice | undefined;
  #search: ServerSearch | undefined;
  /** How it takes slots, as long as it looks for a server or has one. */
  #slots: SlotKeeper | undefined;
  /** Who could not be had before it had to wait: it waits for the others. */
  readonly #asked: Server[] = [];
  #conversation: Conversation | StudyConversation | undefined;
  /** Ends the hold on its persistence entry. */
  #letGo: (() => void) | undefined;
  #admitted = false;
  #urgent = false;

  constructor(client: Channel, host: AssociationHost) {
    this.#client = client;
    this.#host = host;
    const { vip, deadlines, timeouts, now } = host.settings;
    this.#settings = host.settings;
    this.record = new AssociationRecord(vip, client.remote.host, now());
    client.handler = this;
    this.#timer = deadlines.after(timeouts.request, () => this.#drop('no A-ASSOCIATE-RQ came in time'));
  }

  get isUrgent(): boolean {
    return this.#urgent;
  }

  get callingAe(): string {
    return this.record.request?.callingAe ?? '';
  }

  get isAdmitted(): boolean {
    return this.#admitted;
  }

  get view(): ConnectionView {
    const { id, client, pool, server, reason, started, request } = this.record;
    const counts = Object.values(this.#conversation?.counts ?? {});
    return {
      id,
      client: `${client}:${this.#client.remote.port}`,
      facts: request ? { calling: request.callingAe, called: request.calledAe } : {},
      pool,
      server,
      reason,
      bytes: { toServer: this.#client.bytesRead, toClient: this.#client.bytesWritten },
      messages: counts.flatMap((statuses) => Object.values(statuses)).reduce((sum, count) => sum + count, 0),
      started,
    };
  }

  /** Something got free: looks for a server again, unless it is doing so already. */
  tryAgain(): void {
    if (this.#phase !== 'waiting') return;
    this.#settings = this.#host.settings;
    this.#seek();
  }

  /** The wait is over, nothing got free. */
  waitIsOver(): void {
    if (this.#phase === 'waiting')
      this.#reject(REJECTIONS['local-limit-exceeded'], 'no slot got free in time');
  }

  /** The server was halted: what is not open yet goes to another one, what is open ends at its next safe point. */
  leave(server: Server, detail: string): void {
    if (this.#conversation) this.#conversation.leave(server, detail);
    else this.#search?.leave(server);
  }

  /** Its check says that the server does not answer any more. */
  foundDown(server: Server): void {
    this.#conversation?.foundDown(server);
  }

  /** The same, and what is open ends at once. */
  cut(server: Server, detail: string): void {
    if (this.#conversation) this.#conversation.cut(server, detail);
    else this.#search?.leave(server);
  }

  /** Somebody waits for a slot of a server. */
  makeRoom(): void {
    this.#conversation?.makeRoom();
  }

  /** Ends it from the balancer's side (shutdown). */
  abort(detail: string): void {
    if (this.#conversation) this.#conversation.abort(detail);
    else if (this.#phase !== 'over') this.#abort(2, 0, detail);
  }

  // What the client sends before a server accepted.

  read(bytes: Buffer): void {
    try {
      let collected = this.#collector.push(bytes);
      while (collected && this.#phase !== 'over') {
        this.#pdu(collected.type, collected.pdu);
        collected = collected.rest.length > 0 ? this.#collector.push(collected.rest) : undefined;
      }
    } catch (fault) {
      if (!(fault instanceof PduFault)) throw fault;
      if (fault.kind === 'tls') this.#drop(TLS_ON_PLAIN_PORT);
      else this.#abort(fault.abortSource, fault.abortReason, `malformed: ${fault.message}`);
    }
  }

  ended(): void {
    this.closed(undefined);
  }

  closed(error: GantryError | undefined): void {
    if (this.#phase === 'over') return;
    const how = error ? 'was lost' : 'closed its connection';
    if (this.#phase === 'request') {
      if (this.#client.bytesRead === 0) this.#drop('a client connected and closed', 'debug');
      else this.#leave('abort', undefined, `the client ${how} inside its request`);
    } else {
      this.#leave('abort', undefined, `the client ${how} before a server answered`);
    }
  }

  /** PS3.8 Table 9-10: Sta2 while the request is awaited, Sta3 once it is here. */
  #pdu(type: PduType, pdu: Buffer): void {
    switch (actionOn(this.#phase === 'request' ? 'Sta2' : 'Sta3', type)) {
      case 'AE-6':
        this.#requested(indexAssociate(pdu));
        break;
      case 'AA-2':
      case 'AA-3':
        this.#leave('abort', `${pdu[8]}/${pdu[9]}`, 'the client aborted');
        break;
      default: // AA-1, AA-8
        this.#abort(2, 2, `${pduName(type)} came out of turn`);
    }
  }

  #requested(request: Associate): void {
    this.#timer.cancel();
    this.record.request = request;
    if ((request.protocolVersion & 1) === 0) {
      this.#reject(REJECTIONS['protocol-version-not-supported'], 'protocol version bit 0 is not set');
    } else if (request.applicationContext !== DICOM_APPLICATION_CONTEXT) {
      this.#reject(REJECTIONS['application-context-not-supported'], 'the application context is not DICOM');
    } else {
      const client = this.#client;
      this.#settings = this.#host.settings;
      const { vip, ignoreCase } = this.#settings;
      // The port costs a system call: only a rule that asks for it pays.
      const extra = {
        client: client.remote.host,
        vip,
        sni: client.tls?.sni,
        tlsSubject: client.tls?.subject,
        get port() {
          return String(client.local.port);
        },
      };
      this.#facts = associationFacts(request, extra, { ignoreCase });
      this.#seek();
    }
  }

  // The search for a server.

  #seek(): void {
    const host = this.#host;
    this.#admitted ||= host.admit(this.callingAe);
    const choice = this.#settings.director.choose(this.#facts!, {
      hasRoom: (server) => host.hasRoom(server) && !this.#asked.includes(server),
    });
    this.#choice = choice;
    this.#urgent = choice.urgent;
    this.record.rule = choice.rule;
    this.record.pool = choice.pool?.name;
    if (choice.reject !== undefined) {
      const why = choice.reject === 'no-route' ? 'no rule takes it' : `rejected by ${choice.rule}`;
      this.#reject(rejectionNamed(choice.reject), why);
    } else if (!this.#admitted) {
      choice.abandon();
      this.#wait('a limit of associations is reached');
    } else {
      this.#phase = 'trying';
      const { bytes } = this.record.request!;
      const isStudy = this.#study !== undefined;
      const request = isStudy ? withoutAsyncWindow(bytes) : bytes;
      // In study routing its operations are the work, wherever they go.
      const slots = slotsOf(host, !isStudy);
      this.#slots = slots;
      const client = this.#client;
      this.#search = new ServerSearch(choice, this.record, client, request, this.#settings, slots, this);
      this.#search.begin();
    }
  }

  #wait(why: string): void {
    this.#phase = 'waiting';
    if (!this.#host.wait(this)) this.#reject(REJECTIONS['local-limit-exceeded'], why);
  }

  full(asked: readonly Server[]): void {
    this.#search = undefined;
    this.#asked.push(...asked);
    this.#wait('every server has as many associations as it may');
  }

  nobody(rejection: ServerRejection | undefined, detail: string): void {
    this.#search = undefined;
    if (!rejection) this.#reject(REJECTIONS['temporary-congestion'], detail);
    else this.#leave('reject', tripleOf(rejection.reject), 'rejected by the server', rejection.pdu);
  }

  check(pdu: Buffer): void {
    if (this.#study) indexAssociate(pdu);
  }

  found(target: Server, server: Channel, accept: Accept, rest: Buffer): void {
    this.#search = undefined;
    this.#host.waitNoMore(this);
    this.#phase = 'open';
    this.#letGo = this.#choice!.hold();
    this.record.acceptedContexts = accept.acceptedContexts;
    const ac = target.ae === undefined ? accept.pdu : restoreAes(accept.pdu, this.record.request!.bytes);
    // Each side may have begun to say more: the server behind its accept, the client with an A-ABORT.
    const early = { toServer: Buffer.from(this.#collector.partial), toClient: Buffer.from(rest) };
    const study = this.#study;
    if (study) this.#routeStudies(study, target, server, ac, early);
    else this.#relay(target, server, ac, early);
    this.#conversation!.start();
  }

  /** undefined: this association is relayed as a whole. */
  get #study(): StudyOptions | undefined {
    const { study } = this.#settings;
    const isOnlyFor = study?.onlyFor;
    if (isOnlyFor === undefined) return study;
    const { presentationContexts } = this.record.request!;
    return presentationContexts.some((one) => one.abstractSyntax === isOnlyFor) ? study : undefined;
  }

  /** Association routing: everything goes to one server, as it comes. */
  #relay(target: Server, server: Channel, ac: Buffer, early: Early): void {
    const client = this.#client;
    client.write(ac);
    const { timeouts, deadlines, now } = this.#settings;
    const over = () => {
      this.record.bytesToServer = server.bytesWritten;
      this.#slots!.free(target);
      this.#over();
    };
    const options = { client, server, target, record: this.record, timeouts, deadlines, now, early, over };
    this.#conversation = new Conversation(options);
  }

  /** Study routing: `server` leads, and others come and go. */
  #routeStudies(study: StudyOptions, target: Server, server: Channel, ac: Buffer, early: Early): void {
    const client = this.#client;
    client.write(withMaxLength(withoutAsyncWindow(ac), MOST_ANNOUNCED));
    const over = () => {
      this.record.bytesToServer = conversation.bytesToServers;
      this.#over();
    };
    const conversation = new StudyConversation({
      settings: settingsInForce(this.#host, this.#settings, study, this.#facts!),
      host: { ...queueOf(this.#host), ...this.#slots! },
      client,
      record: this.record,
      request: this.record.request!,
      facts: this.#facts!,
      lead: { server: target, channel: server, accept: ac },
      early,
      over,
    });
    this.#conversation = conversation;
  }

  // Endings without a conversation.

  #reject(rejection: Reject, detail: string): void {
    const { result, source, reason } = rejection;
    this.#leave('reject', tripleOf(rejection), detail, writeReject(result, source, reason));
  }

  #abort(source: number, reason: number, detail: string): void {
    this.#leave('abort', `${source}/${reason}`, detail, writeAbort(source, reason));
  }

  /** Closes without a word what never became an association: a notice, no line in the log of associations. */
  #drop(detail: string, level: 'info' | 'debug' = 'info'): void {
    notice(level, detail, { vip: this.record.vip, client: this.record.client });
    this.#close();
  }

  #leave(end: 'reject' | 'abort', code: string | undefined, detail: string, lastWords?: Buffer): void {
    this.record.ends(end, code, detail);
    this.#close(lastWords, true);
  }

  #close(lastWords?: Buffer, publish = false): void {
    const { deadlines, timeouts } = this.#settings;
    this.#phase = 'over';
    this.#timer.cancel();
    this.#search?.stop();
    this.#search = undefined;
    dismiss(this.#client, deadlines, timeouts.release, lastWords);
    if (publish) this.#publish();
    this.#host.over(this);
  }

  /** The conversation ended and all connections are gone. */
  #over(): void {
    this.#phase = 'over';
    this.record.bytesToClient = this.#client.bytesWritten;
    this.#letGo!();
    this.#publish();
    this.#host.over(this);
  }

  #publish(): void {
    this.record.publish(this.#settings.now());
  }
}

function slotsOf(host: AssociationHost, isWork: boolean): SlotKeeper {
  return {
    take: (server) => host.take(server, isWork),
    free: (server) => host.free(server, isWork),
  };
}

function queueOf(host: AssociationHost) {
  return {
    hasRoom: (server: Server) => host.hasRoom(server),
    isWanted: (server: Server) => host.isWanted(server),
    wait: (guest: Waiting) => host.wait(guest),
    waitNoMore: (guest: Waiting) => host.waitNoMore(guest),
  };
}
