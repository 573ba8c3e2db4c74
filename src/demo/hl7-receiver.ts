/** A small HL7 receiver for the demo: looks at each message with hl7-standard, and answers AA or says what it misses. */
import { createServer, type Socket } from 'node:net';
import HL7 from 'hl7-standard';
import { type Answer, buildAcknowledgement } from '../../protocols/hl7/acknowledgement.ts';
import { openMessage } from '../../protocols/hl7/cursor.ts';
import { encodeFrame } from '../../protocols/hl7/mllp.ts';
import { MllpDecoder } from '../../protocols/hl7/mllp-decoder.ts';
import { closeAll, type DemoServer, listenOnLoopback } from './demo-server.ts';

export interface Hl7Receiver extends DemoServer {
  /** Messages that were answered with AA. */
  readonly received: number;
}

/** Longest message that it takes, bytes: it reads each one whole. */
const LONGEST = 16 * 1024 * 1024;

export async function startHl7Receiver(name: string): Promise<Hl7Receiver> {
  let received = 0;
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    const decoder = new MllpDecoder(
      {
        frame: (content) => {
          const answer = judge(content, name);
          if (answer.code === 'AA') received++;
          reply(socket, content, answer);
        },
        dropped: () => {},
        garbage: () => {},
        overlong: () => socket.destroy(),
      },
      { maxFrame: LONGEST },
    );
    socket.on('data', (chunk: Buffer) => decoder.push(chunk));
  });
  return {
    name,
    port: await listenOnLoopback(server),
    get received() {
      return received;
    },
    close: () => closeAll(server),
  };
}

/** What this receiver thinks of a message. hl7-standard reads only the usual delimiters, and throws at the rest. */
function judge(content: Buffer, name: string): Answer {
  try {
    const message = new HL7(content.toString());
    message.transform();
    if (!message.get('MSH.9.1')) return { code: 'AE', text: 'no message type', error: { condition: 101 } };
    if (!message.get('MSH.10')) return { code: 'AE', text: 'no control id', error: { condition: 101 } };
    return { code: 'AA', text: `taken by ${name}` };
  } catch {
    return { code: 'AE', text: 'this demonstration cannot read it', error: { condition: 207 } };
  }
}

function reply(socket: Socket, content: Buffer, answer: Answer): void {
  socket.write(encodeFrame(buildAcknowledgement(openMessage(content), answer, Date.now)));
}
