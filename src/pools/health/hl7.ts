/**
 * hl7: sends a message over MLLP and waits for its acknowledgement. Whatever the acknowledgement says, also AE or AR, the
 * receiver reads messages and answers them: it is up.
 */
import { matches, readAcknowledgement } from '../../../protocols/hl7/acknowledgement.ts';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { writeManagementMessage } from '../../../protocols/hl7/management.ts';
import { encodeFrame, type MllpBlocks } from '../../../protocols/hl7/mllp.ts';
import { MllpDecoder } from '../../../protocols/hl7/mllp-decoder.ts';
import { dial } from '../../relay/dial.ts';
import { dismiss } from '../../relay/dismiss.ts';
import type { CheckOutcome } from '../server.ts';
import { beginAttempt } from './attempt.ts';
import type { Cancel, CheckResult, CheckTarget } from './check.ts';

export interface Hl7Options {
  /** What is sent, its segments ended by carriage returns; undefined: an NMD^N02 that says nothing. */
  readonly message: string | undefined;
  readonly blocks: MllpBlocks;
}

/** Bytes of an acknowledgement. */
const LONGEST_ANSWER = 65_536;
/** How long the server may take to close after us, in milliseconds. */
const LINGER_MS = 1000;

export function startHl7(
  target: CheckTarget,
  { message, blocks }: Hl7Options,
  done: (result: CheckResult) => void,
): Cancel {
  const { host, port, timeout, deadlines, link } = target;
  const sent = message === undefined ? standardMessage(target.now()) : Buffer.from(message);
  const controlId = openMessage(sent).header(10);
  let isConnected = false;

  const attempt = beginAttempt(target, done, () => {
    if (isConnected)
      finish('down', `takes connections, but acknowledges no HL7 message within ${timeout} ms`);
    else finish('down', `does not take a connection within ${timeout} ms`);
  });
  const finish = (outcome: CheckOutcome, reason: string) => {
    if (attempt.isOver) return;
    attempt.finish(outcome, reason);
    decoder.stop();
    if (isConnected) dismiss(channel, deadlines, LINGER_MS);
    else channel.reset();
  };
  const decoder = new MllpDecoder(
    {
      frame(content) {
        const answer = readAcknowledgement(content);
        if (!answer?.code) {
          finish('down', 'answers an HL7 message with something that is no acknowledgement');
        } else if (matches(answer, controlId, controlId === '' ? 'position' : 'prefix20')) {
          finish('up', `acknowledges an HL7 message with ${answer.code}`);
        } else {
          finish('down', 'acknowledges another HL7 message than the one it got');
        }
      },
      dropped() {},
      garbage() {},
      overlong: (_, what) =>
        finish('down', `answers an HL7 message with too much ${what === 'frame' ? 'of a frame' : what}`),
    },
    { ...blocks, maxFrame: LONGEST_ANSWER },
  );
  const channel = dial(
    { host, port },
    {
      connected() {
        isConnected = true;
      },
      read: (bytes) => decoder.push(bytes),
      ended() {
        // An end block at the very end is enough of a frame.
        decoder.end();
        finish('down', 'closes the connection instead of acknowledging an HL7 message');
      },
      closed: (error) => finish('down', error?.message ?? 'closed at once'),
    },
    link,
  );
  channel.write(encodeFrame(sent, blocks));
  return () => {
    attempt.cancel();
    decoder.stop();
    channel.reset();
  };
}

/** With a control id of its own each time, as some receivers do not answer one that they know. */
function standardMessage(now: number): Buffer {
  return writeManagementMessage(`GANTRY${Math.round(now).toString(36).toUpperCase()}`, now);
}
