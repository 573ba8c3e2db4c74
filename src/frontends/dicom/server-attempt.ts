/**
 * One try at one server: dial, send the request's own bytes, wait for one PDU in answer. Whoever started it hears
 * exactly one outcome, and keeps the time.
 */
import { countAccepted } from '../../../protocols/dicom/associate.ts';
import { createPduCollector } from '../../../protocols/dicom/pdu-collector.ts';
import { PduFault } from '../../../protocols/dicom/pdu-fault.ts';
import { type Reject, readReject, writeAbort } from '../../../protocols/dicom/small-pdus.ts';
import { actionOn } from '../../../protocols/dicom/upper-layer.ts';
import { GantryError } from '../../errors.ts';
import type { Channel, ChannelHandler, Endpoint } from '../../relay/channel.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import { type DialOptions, dial } from '../../relay/dial.ts';
import { dismiss } from '../../relay/dismiss.ts';

/** An A-ASSOCIATE-AC as it came, and how many presentation contexts it accepts. */
export interface Accept {
  readonly pdu: Buffer;
  readonly acceptedContexts: number;
}

export interface AttemptListener {
  /** Throws PduFault when this A-ASSOCIATE-AC is malformed. Where it is missing, the answer is only to be relayed. */
  check?(pdu: Buffer): void;
  /** The server sent an A-ASSOCIATE-AC; `rest` is what came behind it, valid during the call. */
  accepted(channel: Channel, accept: Accept, rest: Buffer): void;
  /** The server sent an A-ASSOCIATE-RJ. Its connection is being closed. */
  rejected(pdu: Buffer, reject: Reject): void;
  /** There is no association to be had here: refused, reset, closed, aborted, garbage. */
  failed(error: GantryError): void;
}

export class ServerAttempt implements ChannelHandler {
  readonly #channel: Channel;
  readonly #collector = createPduCollector();
  readonly #listener: AttemptListener;
  readonly #deadlines: Deadlines;
  readonly #lingerMs: number;
  #over = false;
  #connected = false;

  /** `request`: the whole A-ASSOCIATE-RQ. `lingerMs`: how long a server that was sent away may take to close. */
  constructor(
    target: Endpoint,
    options: DialOptions,
    request: Buffer,
    listener: AttemptListener,
    deadlines: Deadlines,
    lingerMs: number,
  ) {
    this.#listener = listener;
    this.#deadlines = deadlines;
    this.#lingerMs = lingerMs;
    this.#channel = dial(target, this, options);
    this.#channel.write(request);
  }

  /** Did TCP connect? Tells a server that is not there from one that does not speak. */
  get isConnected(): boolean {
    return this.#connected;
  }

  /** Stops this try without an outcome: an A-ABORT when the request went out whole, a reset otherwise. */
  giveUp(lastWords: Buffer = writeAbort(2, 0)): void {
    if (this.#over) return;
    this.#over = true;
    const channel = this.#channel;
    if (this.#connected && channel.pending === 0) {
      dismiss(channel, this.#deadlines, this.#lingerMs, lastWords);
    } else {
      channel.handler = DEAF;
      channel.reset();
    }
  }

  connected(): void {
    this.#connected = true;
  }

  read(bytes: Buffer): void {
    try {
      const collected = this.#collector.push(bytes);
      if (!collected) return;
      const { type, pdu, rest } = collected;
      switch (actionOn('Sta5', type)) {
        case 'AE-3': {
          this.#listener.check?.(pdu);
          const accept = { pdu, acceptedContexts: countAccepted(pdu) };
          this.#over = true;
          this.#listener.accepted(this.#channel, accept, rest);
          break;
        }
        case 'AE-4': {
          const reject = readReject(pdu);
          this.#over = true;
          dismiss(this.#channel, this.#deadlines, this.#lingerMs);
          this.#listener.rejected(pdu, reject);
          break;
        }
        case 'AA-3':
          this.#fail(new GantryError('GTY_CLOSED', 'the server aborted'));
          break;
        default: // AA-8
          this.#fail(new GantryError('GTY_CLOSED', 'the server answered out of turn'), writeAbort(2, 2));
      }
    } catch (fault) {
      if (!(fault instanceof PduFault)) throw fault;
      this.#fail(new GantryError('GTY_PROTOCOL', 'the server answered with bytes that are not DICOM'));
    }
  }

  ended(): void {
    this.#fail(new GantryError('GTY_CLOSED', 'the server closed the connection instead of answering'));
  }

  closed(error: GantryError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.failed(
      error ?? new GantryError('GTY_CLOSED', 'the server closed the connection instead of answering'),
    );
  }

  #fail(error: GantryError, lastWords?: Buffer): void {
    if (this.#over) return;
    this.#over = true;
    dismiss(this.#channel, this.#deadlines, this.#lingerMs, lastWords);
    this.#listener.failed(error);
  }
}

/** Hears nothing: for a connection that nobody waits for any more. */
const DEAF: ChannelHandler = { read() {}, ended() {}, closed() {} };
