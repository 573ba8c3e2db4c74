/**
 * dicom-echo: associate, C-ECHO, release. Tells a server that is down from one that is busy (it rejects for now, or is
 * slow) and from one that will never take these AE titles (it rejects for ever).
 */
import { type Associate, CONTEXT_RESULT, indexAssociate } from '../../../protocols/dicom/associate.ts';
import { writeAssociateRq } from '../../../protocols/dicom/associate-write.ts';
import { COMMAND, type Command, RESPONSE_BIT } from '../../../protocols/dicom/command-set.ts';
import { writeCommand } from '../../../protocols/dicom/p-data.ts';
import { PDU } from '../../../protocols/dicom/pdu.ts';
import { ASSOCIATION_CAPS, createPduCollector } from '../../../protocols/dicom/pdu-collector.ts';
import { PduFault } from '../../../protocols/dicom/pdu-fault.ts';
import { createPduFollower } from '../../../protocols/dicom/pdu-follower.ts';
import {
  abortText,
  isTransient,
  readAbort,
  readReject,
  rejectText,
  writeAbort,
  writeReleaseRq,
} from '../../../protocols/dicom/small-pdus.ts';
import { hex16, statusClass } from '../../../protocols/dicom/status.ts';
import type { GantryError } from '../../errors.ts';
import type { Channel, ChannelHandler } from '../../relay/channel.ts';
import { createDeadlines, type Deadline } from '../../relay/deadlines.ts';
import { dial } from '../../relay/dial.ts';
import { dismiss } from '../../relay/dismiss.ts';
import type { CheckOutcome } from '../server.ts';
import type { Cancel, CheckResult, CheckTarget } from './check.ts';

export interface EchoTarget extends CheckTarget {
  readonly calling: string;
  readonly called: string;
}

const VERIFICATION = '1.2.840.10008.1.1';
const IMPLICIT_VR_LITTLE_ENDIAN = '1.2.840.10008.1.2';
const CONTEXT_ID = 1;
const MESSAGE_ID = 1;
const MAX_LENGTH = 16_384;
const CAPS = { ...ASSOCIATION_CAPS, [PDU.P_DATA_TF]: MAX_LENGTH };
/** An answer that takes more than this part of the time it has is slow. */
const SLOW_SHARE = 0.5;
/** How long the server may take to close after the last word, in milliseconds. */
const LINGER_MS = 1000;
/** A-ABORT of the service-user (PS3.8 Table 9-26). */
const ABORT = writeAbort(0, 0);

/** Starts one echo; `done` is called once, when the association is released or lost. */
export function startEcho(target: EchoTarget, done: (result: CheckResult) => void): Cancel {
  const attempt = new EchoAttempt(target, done);
  return () => attempt.cancel();
}

/** One echo for somebody who asks on their own: `gantry echo`. Never rejects. */
export async function echo(
  target: Omit<EchoTarget, 'deadlines' | 'now'> & { readonly now?: () => number },
): Promise<CheckResult> {
  const deadlines = createDeadlines();
  const now = target.now ?? (() => performance.now());
  const result = await new Promise<CheckResult>((resolve) => {
    startEcho({ ...target, deadlines, now }, resolve);
  });
  deadlines.close();
  return result;
}

/** What is awaited. A verdict that is known before the release waits for it. */
type Phase = 'connection' | 'accept' | 'response' | 'release' | 'nothing';

class EchoAttempt implements ChannelHandler {
  readonly #target: EchoTarget;
  readonly #done: (result: CheckResult) => void;
  readonly #started: number;
  readonly #deadline: Deadline;
  readonly #channel: Channel;
  readonly #collector = createPduCollector({ caps: CAPS });
  readonly #follower = createPduFollower({
    pduEnd() {},
    command: (command) => this.#responded(command),
    fault: (message) => this.#fail('down', `breaks PS3.8: ${message}`),
  });
  #phase: Phase = 'connection';
  #ms = 0;

  constructor(target: EchoTarget, done: (result: CheckResult) => void) {
    const { host, port, timeout, deadlines, now, called, calling, link } = target;
    this.#target = target;
    this.#done = done;
    this.#started = now();
    this.#deadline = deadlines.after(timeout, () => this.#timeUp());
    this.#channel = dial({ host, port }, this, link);
    this.#channel.write(
      writeAssociateRq({
        calledAe: called,
        callingAe: calling,
        maxLength: MAX_LENGTH,
        presentationContexts: [
          { id: CONTEXT_ID, abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT_VR_LITTLE_ENDIAN] },
        ],
      }),
    );
  }

  cancel(): void {
    this.#phase = 'nothing';
    this.#deadline.cancel();
    this.#channel.reset();
  }

  connected(): void {
    if (this.#phase === 'connection') this.#phase = 'accept';
  }

  read(bytes: Buffer): void {
    try {
      let collected = this.#collector.push(bytes);
      while (collected && this.#phase !== 'nothing') {
        this.#pdu(collected.type, collected.pdu);
        collected = collected.rest.length > 0 ? this.#collector.push(collected.rest) : undefined;
      }
    } catch (fault) {
      if (!(fault instanceof PduFault)) throw fault;
      this.#fail('down', `does not speak DICOM as it should: ${fault.message}`);
    }
  }

  ended(): void {
    this.closed(undefined);
  }

  closed(error: GantryError | undefined): void {
    if (this.#phase === 'release') this.#released();
    else this.#fail('down', error?.message ?? `closes the connection instead of ${this.#awaited}`);
  }

  get #awaited(): string {
    return this.#phase === 'response' ? 'answering a C-ECHO' : 'answering an association request';
  }

  get #titles(): string {
    const { calling, called } = this.#target;
    return `calling AE ${calling}, called AE ${called}`;
  }

  #pdu(type: number, pdu: Buffer): void {
    if (type === PDU.A_ABORT) {
      if (this.#phase === 'release') this.#released();
      else this.#fail('down', `aborts instead of ${this.#awaited}: ${abortText(readAbort(pdu))}`);
    } else if (type === PDU.A_ASSOCIATE_AC && this.#phase === 'accept') {
      this.#accepted(indexAssociate(pdu));
    } else if (type === PDU.A_ASSOCIATE_RJ && this.#phase === 'accept') {
      const reject = readReject(pdu);
      const triple = `${reject.result}/${reject.source}/${reject.reason}, ${rejectText(reject)}`;
      if (isTransient(reject)) this.#finish('busy', `busy: rejects for now (${triple})`);
      else this.#finish('misconfigured', `rejects ${this.#titles} for ever (${triple})`);
    } else if (type === PDU.P_DATA_TF && this.#phase === 'response') {
      this.#follower.push(pdu);
    } else if (this.#phase === 'release') {
      // The answer to the release, or a release that crossed ours: either way it is over.
      if (type !== PDU.P_DATA_TF) this.#released();
    } else {
      this.#fail('down', `sends PDU type ${type} instead of ${this.#awaited}`);
    }
  }

  #accepted(accept: Associate): void {
    const context = accept.presentationContexts.find(({ id }) => id === CONTEXT_ID);
    if (context?.result !== CONTEXT_RESULT.ACCEPTANCE) {
      this.#fail('misconfigured', `accepts ${this.#titles}, but no Verification`);
      return;
    }
    this.#phase = 'response';
    const command = { commandField: COMMAND.C_ECHO, messageId: MESSAGE_ID, affectedSopClass: VERIFICATION };
    this.#channel.write(writeCommand(CONTEXT_ID, command));
  }

  #responded({ commandField, status = -1 }: Command): void {
    if (this.#phase !== 'response') return;
    if (commandField !== (COMMAND.C_ECHO | RESPONSE_BIT)) {
      this.#fail('down', 'answers a C-ECHO with something else');
    } else if (status === 0) {
      this.#ms = this.#elapsed();
      this.#phase = 'release';
      this.#channel.write(writeReleaseRq());
    } else {
      const outcome = statusClass(status) === 'refused' ? 'busy' : 'down';
      this.#fail(outcome, `answers a C-ECHO with status ${hex16(status)}`);
    }
  }

  #released(): void {
    const { timeout } = this.#target;
    const took = Math.round(this.#ms);
    if (this.#ms > timeout * SLOW_SHARE) this.#finish('busy', `busy: took ${took} ms for a C-ECHO`);
    else this.#finish('up', 'answers a C-ECHO');
  }

  #timeUp(): void {
    const { timeout } = this.#target;
    if (this.#phase === 'connection') {
      this.cancel();
      this.#result('down', `does not take a connection within ${timeout} ms`);
    } else if (this.#phase === 'release') {
      // It did answer; that it does not let go is not for its clients to suffer from.
      this.#released();
    } else {
      const what = this.#phase === 'response' ? 'accepts associations' : 'takes connections';
      this.#fail('down', `${what}, but goes without ${this.#awaited} for ${timeout} ms`);
    }
  }

  /** Ends what is not released with an A-ABORT. */
  #fail(outcome: CheckOutcome, reason: string): void {
    this.#finish(outcome, reason, ABORT);
  }

  #finish(outcome: CheckOutcome, reason: string, lastWords?: Buffer): void {
    if (this.#phase === 'nothing') return;
    this.#phase = 'nothing';
    this.#deadline.cancel();
    dismiss(this.#channel, this.#target.deadlines, LINGER_MS, lastWords);
    this.#result(outcome, reason);
  }

  #result(outcome: CheckOutcome, reason: string): void {
    this.#done({ outcome, reason, ms: this.#ms || this.#elapsed() });
  }

  #elapsed(): number {
    return this.#target.now() - this.#started;
  }
}
