/**
 * Senders as hospitals have them: a queue of their own, one message at a time, each until it is acknowledged. When the
 * connection is lost they connect again and send the same message again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { fieldOf, hl7Message, type MessageOptions } from '../peers/hl7-messages.ts';
import { connectSender, type MllpSender } from '../peers/mllp-peer.ts';
import type { Address } from '../peers/test-connection.ts';
import type { SentLedger, SentMessage } from './hl7-ledger.ts';

export interface Draft extends Omit<MessageOptions, 'controlId' | 'sendingApp' | 'patient'> {
  readonly patient: string;
  /** In whose order it stands; the patient alone unless said. */
  readonly patients?: readonly string[];
  /** Milliseconds for which the receiver holds its answer back. */
  readonly answerAfter?: number;
}

/** Milliseconds before a message is sent again: the first time, and at most as they double. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;
/** Milliseconds for which an answer is awaited. */
const PATIENCE_MS = 60_000;

export class Hl7Sender {
  readonly #name: string;
  readonly #to: Address;
  readonly #ledger: SentLedger;
  #connection: MllpSender | undefined;
  #number = 0;

  constructor(name: string, to: Address, ledger: SentLedger) {
    this.#name = name;
    this.#to = to;
    this.#ledger = ledger;
  }

  /** Resolves when it is acknowledged, or the run is over. */
  async deliver(draft: Draft): Promise<SentMessage> {
    const { bytes, message } = this.write(draft);
    for (; !this.#ledger.closed; message.sends++) {
      const answer = await this.#send(bytes);
      if (!answer) this.#ledger.lostConnections++;
      else if (this.accept(message, answer)) break;
      this.close();
      await pause(Math.min(FIRST_PAUSE_MS * 2 ** (message.sends - 1), LONGEST_PAUSE_MS));
    }
    return message;
  }

  /** Writes the next message into the ledger, as sent once; nothing is sent. */
  write({ answerAfter, patients, segments = [], ...options }: Draft): {
    bytes: Buffer;
    message: SentMessage;
  } {
    const controlId = `${this.#name}-${++this.#number}`;
    const bytes = hl7Message({
      ...options,
      controlId,
      sendingApp: this.#name,
      segments: answerAfter ? [`ZDO|${Math.round(answerAfter)}`, ...segments] : segments,
    });
    return { bytes, message: this.#ledger.sent(controlId, patients ?? [options.patient], bytes) };
  }

  /** Is it acknowledged by `answer`? Notes what it is told. */
  accept(message: SentMessage, answer: Buffer): boolean {
    const [code, controlId] = [fieldOf(answer, 'MSA', 1), fieldOf(answer, 'MSA', 2)];
    if (controlId !== message.controlId) {
      this.#ledger.wrong.push(`${message.controlId} was answered by "${code} ${controlId}"`);
      return false;
    }
    if (code !== 'AA' && code !== 'CA') {
      this.#ledger.refusals[code] = (this.#ledger.refusals[code] ?? 0) + 1;
      return false;
    }
    this.#ledger.acknowledge(message, fieldOf(answer, 'MSA', 3));
    return true;
  }

  /** Its connection, made when there is none; undefined when there can be none. */
  async connect(): Promise<MllpSender | undefined> {
    this.#connection ??= await connectSender(this.#to).catch(() => undefined);
    if (this.#connection) this.#connection.connection.patience = PATIENCE_MS;
    return this.#connection;
  }

  close(): void {
    this.#connection?.connection.socket.destroy();
    this.#connection = undefined;
  }

  /** Undefined: the connection ended without an answer, or there was none. */
  async #send(bytes: Buffer): Promise<Buffer | undefined> {
    const connection = await this.connect();
    return connection?.send(bytes).catch(() => undefined);
  }
}

export interface Load {
  readonly senders: number;
  /** Messages a second of all together. What cannot be sent then is sent as soon as that is possible. */
  readonly rate: number;
  /** The next message of a sender; undefined: it is done. */
  readonly draft: (sender: number) => Draft | undefined;
  /** A message was acknowledged; `due`: when it was to be sent, in nanoseconds. */
  readonly done?: (message: SentMessage, sender: number, lateMs: number) => void;
}

/** Resolves when every sender is done. */
export async function sendAll(to: Address, ledger: SentLedger, load: Load): Promise<void> {
  const { senders, rate, draft, done } = load;
  const everyMs = (senders / rate) * 1000;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: senders }, async (_, index) => {
      const sender = new Hl7Sender(`S${index}`, to, ledger);
      let due = began + (index / senders) * everyMs;
      for (let next = draft(index); next && !ledger.closed; next = draft(index)) {
        const early = due - performance.now();
        if (early > 1) await pause(early);
        const message = await sender.deliver(next);
        done?.(message, index, performance.now() - Math.max(due, began));
        due += everyMs;
      }
      sender.close();
    }),
  );
}
