/**
 * One association that stores nothing: request, answer, release. What a server thinks of AE titles and contexts is in
 * its A-ASSOCIATE-AC or -RJ.
 */
import { type Associate, indexAssociate } from '../../protocols/dicom/associate.ts';
import { writeAssociateRq } from '../../protocols/dicom/associate-write.ts';
import { PDU, type PduType } from '../../protocols/dicom/pdu.ts';
import { createPduCollector } from '../../protocols/dicom/pdu-collector.ts';
import { PduFault } from '../../protocols/dicom/pdu-fault.ts';
import {
  abortText,
  type Reject,
  readAbort,
  readReject,
  writeAbort,
  writeReleaseRp,
  writeReleaseRq,
} from '../../protocols/dicom/small-pdus.ts';
import type { GantryError } from '../errors.ts';
import type { Channel, ChannelHandler, Endpoint } from '../relay/channel.ts';
import type { Deadline, Deadlines } from '../relay/deadlines.ts';
import { dial, type Preamble } from '../relay/dial.ts';
import { dismiss } from '../relay/dismiss.ts';
import type { Proposal } from './proposals.ts';

/** Contexts that one association can propose: their IDs are the odd ones up to 255 (PS3.8 9.3.2.2). */
export const MOST_CONTEXTS = 128;

export interface Question {
  readonly target: Endpoint;
  /** How connections to the server begin. */
  readonly link: Preamble;
  readonly calling: string;
  readonly called: string;
  /** At most MOST_CONTEXTS. */
  readonly proposals: readonly Proposal[];
}

export interface AskOptions {
  readonly deadlines: Deadlines;
  /** Milliseconds until the answer, and again until the release is answered. */
  readonly timeout: number;
  /** Ends what is under way. */
  readonly signal?: AbortSignal | undefined;
}

export type Answer =
  /** Those of the proposals that the server takes. */
  | { readonly kind: 'accepted'; readonly accepted: readonly Proposal[] }
  | { readonly kind: 'rejected'; readonly reject: Reject }
  /** It is there, and ends the association in a way of its own: an abort, a close, bytes that are not DICOM. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** No connection, or no answer in time. */
  | { readonly kind: 'unreachable'; readonly reason: string };

/** How long the server may take to close after the last word, in milliseconds. */
const LINGER_MS = 1000;
/** A-ABORT of the service-user (PS3.8 Table 9-26). */
const ABORT = writeAbort(0, 0);

/** Asks once. Resolves when the connection is gone, so that the next one does not meet it there; never rejects. */
export function ask(question: Question, options: AskOptions): Promise<Answer> {
  return new Promise((resolve) => {
    new Asking(question, options, resolve);
  });
}

class Asking implements ChannelHandler {
  readonly #question: Question;
  readonly #options: AskOptions;
  readonly #resolve: (answer: Answer) => void;
  readonly #deadline: Deadline;
  readonly #channel: Channel;
  readonly #collector = createPduCollector();
  readonly #cancel = () => this.#stop('the probe was stopped');
  #phase: 'connection' | 'answer' | 'release' | 'over' = 'connection';
  /** Known, and told once the association is released. */
  #answer: Answer | undefined;

  constructor(question: Question, options: AskOptions, resolve: (answer: Answer) => void) {
    const { target, link, calling, called, proposals } = question;
    this.#question = question;
    this.#options = options;
    this.#resolve = resolve;
    this.#deadline = options.deadlines.after(options.timeout, () => this.#timeUp());
    this.#channel = dial(target, this, link);
    this.#channel.write(
      writeAssociateRq({
        calledAe: called,
        callingAe: calling,
        presentationContexts: proposals.map(({ sopClass, transferSyntax }, index) => ({
          id: idOf(index),
          abstractSyntax: sopClass,
          transferSyntaxes: [transferSyntax],
        })),
      }),
    );
    options.signal?.addEventListener('abort', this.#cancel);
  }

  connected(): void {
    if (this.#phase === 'connection') this.#phase = 'answer';
  }

  read(bytes: Buffer): void {
    try {
      let collected = this.#collector.push(bytes);
      while (collected && this.#phase !== 'over') {
        this.#pdu(collected.type, collected.pdu);
        collected = this.#collector.push(collected.rest);
      }
    } catch (fault) {
      if (!(fault instanceof PduFault)) throw fault;
      this.#finish({ kind: 'refused', reason: `answers with what is not DICOM: ${fault.message}` }, ABORT);
    }
  }

  ended(): void {
    this.#finish({ kind: 'refused', reason: 'closes the connection instead of answering' });
  }

  closed(error: GantryError | undefined): void {
    if (this.#phase === 'connection') {
      this.#finish({ kind: 'unreachable', reason: error?.message ?? 'closes the connection' });
    } else {
      const what = error?.code === 'GTY_RESET' ? 'resets' : 'closes';
      this.#finish({ kind: 'refused', reason: `${what} the connection instead of answering` });
    }
  }

  #pdu(type: PduType, pdu: Buffer): void {
    if (this.#phase === 'release') {
      // A release that crosses ours is answered (PS3.8 Sta7, AR-8 and AR-9).
      this.#finish(this.#answer!, type === PDU.A_RELEASE_RQ ? writeReleaseRp() : undefined);
    } else if (type === PDU.A_ASSOCIATE_AC) {
      this.#accepted(indexAssociate(pdu));
    } else if (type === PDU.A_ASSOCIATE_RJ) {
      this.#finish({ kind: 'rejected', reject: readReject(pdu) });
    } else if (type === PDU.A_ABORT) {
      this.#finish({ kind: 'refused', reason: `aborts (${abortText(readAbort(pdu))})` });
    } else {
      this.#finish({ kind: 'refused', reason: 'answers an association request out of turn' }, ABORT);
    }
  }

  #accepted({ presentationContexts }: Associate): void {
    const { proposals } = this.#question;
    // A context that is refused has none; another one than that proposed is no acceptance (PS3.8 9.3.3.2).
    const syntaxes = new Map(presentationContexts.map((one) => [one.id, one.transferSyntaxes[0]]));
    const accepted = proposals.filter((one, index) => syntaxes.get(idOf(index)) === one.transferSyntax);
    this.#answer = { kind: 'accepted', accepted };
    this.#phase = 'release';
    this.#deadline.restart();
    this.#channel.write(writeReleaseRq());
  }

  #timeUp(): void {
    const { timeout } = this.#options;
    if (this.#phase === 'release') this.#finish(this.#answer!, ABORT);
    else if (this.#phase === 'connection') this.#stop(`does not take a connection within ${timeout} ms`);
    else {
      const reason = `takes connections, but does not answer an association request within ${timeout} ms`;
      this.#finish({ kind: 'unreachable', reason }, ABORT);
    }
  }

  /** Ends it at once: nothing was answered, or nobody wants to hear it any more. */
  #stop(reason: string): void {
    if (!this.#endOnce()) return;
    const closed = () => this.#resolve(this.#answer ?? { kind: 'unreachable', reason });
    this.#channel.handler = { read() {}, ended() {}, closed };
    this.#channel.reset();
  }

  /** What is already known stays the answer, however the association ends. */
  #finish(answer: Answer, lastWords?: Buffer): void {
    if (!this.#endOnce()) return;
    const { deadlines } = this.#options;
    dismiss(this.#channel, deadlines, LINGER_MS, lastWords, () => this.#resolve(this.#answer ?? answer));
  }

  /** From now on nothing counts any more. false: it was so before. */
  #endOnce(): boolean {
    if (this.#phase === 'over') return false;
    this.#phase = 'over';
    this.#deadline.cancel();
    this.#options.signal?.removeEventListener('abort', this.#cancel);
    return true;
  }
}

function idOf(index: number): number {
  return 2 * index + 1;
}
