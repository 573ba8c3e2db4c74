/** Scripted HL7 peers on MLLP: a receiver that answers, answers late, wrongly, by half or never; and a sender. */
import { acknowledgementOf, fieldOf } from './hl7-messages.ts';
import {
  type Address,
  type Ending,
  openConnection,
  type TestConnection,
  TestListener,
} from './test-connection.ts';
import { type Gate, Journal } from './waiting.ts';

const START_BLOCK = 0x0b;
const END_BLOCK = 0x1c;
const CARRIAGE_RETURN = 0x0d;

/** A message as MLLP carries it: 0B message 1C 0D. */
export function mllpFrame(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(START_BLOCK), message, Buffer.of(END_BLOCK, CARRIAGE_RETURN)]);
}

export class MllpConnection {
  readonly connection: TestConnection;

  constructor(connection: TestConnection) {
    this.connection = connection;
  }

  /** The next message, without its frame; undefined when the other side ended (see `connection.ending`). */
  async read(what = 'an MLLP frame'): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (;;) {
      const chunk = await this.connection.readSome(what);
      if (!chunk) return undefined;
      let end = chunk.indexOf(END_BLOCK);
      // An end block cut in two: its 0D begins the next chunk.
      if (parts.at(-1)?.at(-1) === END_BLOCK && chunk[0] === CARRIAGE_RETURN) end = -2;
      while (end >= 0 && end + 1 < chunk.length && chunk[end + 1] !== CARRIAGE_RETURN) {
        end = chunk.indexOf(END_BLOCK, end + 1);
      }
      if (end === -1 || end === chunk.length - 1) {
        parts.push(chunk);
        continue;
      }
      this.connection.unread(chunk.subarray(end === -2 ? 1 : end + 2));
      const frame = Buffer.concat([...parts, chunk.subarray(0, Math.max(end, 0))]);
      return frame.subarray(frame.indexOf(START_BLOCK) + 1, end === -2 ? -1 : undefined);
    }
  }

  async write(message: Uint8Array): Promise<void> {
    await this.connection.write(mllpFrame(message));
  }
}

export interface ReceivedMessage {
  readonly bytes: Buffer;
  readonly controlId: string;
  /** Which connection it came on, from 0 in the order they came. */
  readonly connection: number;
}

/** What a receiver does with a message. Messages of one connection are handled one after another. */
export type ReceiverScript = (message: ReceivedMessage, connection: MllpConnection) => Promise<void> | void;

/** Acknowledges every message with `code`, once `hold` (if any) is through. */
export function answering(code = 'AA', hold?: Promise<void>): ReceiverScript {
  return async (message, connection) => {
    await hold;
    await connection.write(acknowledgementOf(message.bytes, code));
  };
}

/** Answers with what `build` makes, or not at all when it makes nothing. */
export function answeringWith(build: (message: ReceivedMessage) => Buffer | undefined): ReceiverScript {
  return async (message, connection) => {
    const answer = build(message);
    if (answer) await connection.write(answer);
  };
}

/** Answers only when `gate` opens; goes on reading meanwhile. */
export function answeringLate(gate: Gate, code = 'AA'): ReceiverScript {
  return (message, connection) => {
    void gate.opened.then(() => connection.write(acknowledgementOf(message.bytes, code)));
  };
}

/** Acknowledges another control id than the message's. */
export function answeringWrongId(controlId = 'SOMETHING-ELSE'): ReceiverScript {
  return answeringWith((message) => acknowledgementOf(message.bytes, 'AA', controlId));
}

/** An answer without an MSA segment. */
export function answeringWithoutMsa(): ReceiverScript {
  return answeringWith((message) => {
    const whole = acknowledgementOf(message.bytes);
    return whole.subarray(0, whole.indexOf('MSA'));
  });
}

/** Takes every message and never answers. */
export function silent(): ReceiverScript {
  return () => {};
}

/** Sends the first half of an acknowledgement, frame included, and no more. */
export function answeringHalf(): ReceiverScript {
  return async (message, { connection }) => {
    const frame = mllpFrame(acknowledgementOf(message.bytes));
    await connection.write(frame.subarray(0, frame.length >> 1));
  };
}

/** Sends its acknowledgements a byte at a time. */
export function dribbling(everyMs = 0): ReceiverScript {
  return (message, { connection }) =>
    connection.dribble(mllpFrame(acknowledgementOf(message.bytes)), everyMs);
}

/** Resets the connection when a message came whole. */
export function resetting(): ReceiverScript {
  return (_, { connection }) => connection.reset();
}

/** Closes the connection (FIN) when a message came whole. */
export function closing(): ReceiverScript {
  return (_, { connection }) => connection.end();
}

export interface Receiver {
  readonly address: Address;
  /** `host:port`, as configurations want it. */
  readonly endpoint: string;
  /** What happens to the messages that come from now on. */
  script: ReceiverScript;
  /** Every message, in the order it came in whole. */
  readonly messages: Journal<ReceivedMessage>;
  /** Connections that came, the closed ones too. */
  readonly connections: Journal<MllpConnection>;
  /** Connections open now. */
  readonly open: number;
  /** As a killed process: nothing listens, open connections are reset. */
  stop(): Promise<void>;
  /** Nothing listens any more, open connections live on. */
  refuse(): Promise<void>;
  /** Listens again, on the same port. */
  restart(): Promise<void>;
}

/** Starts a scripted receiver on a free port. */
export async function startReceiver(script: ReceiverScript = answering()): Promise<Receiver> {
  const messages = new Journal<ReceivedMessage>('messages');
  const connections = new Journal<MllpConnection>('connections');
  const listener = new TestListener((incoming) => {
    const connection = new MllpConnection(incoming);
    const number = connections.length;
    connections.add(connection);
    void receive(connection, number);
  });
  async function receive(connection: MllpConnection, number: number): Promise<void> {
    for (;;) {
      const bytes = await connection.read();
      if (!bytes) break;
      const message = { bytes, controlId: fieldOf(bytes, 'MSH', 10), connection: number };
      messages.add(message);
      await receiver.script(message, connection);
    }
    connection.connection.end();
  }
  await listener.start();
  const receiver: Receiver = {
    address: listener.address,
    endpoint: `${listener.address.host}:${listener.address.port}`,
    script,
    messages,
    connections,
    get open() {
      return listener.open;
    },
    stop: () => listener.stop(),
    refuse: () => listener.refuse(),
    restart: () => listener.start(),
  };
  return receiver;
}

export class MllpSender extends MllpConnection {
  /** How the balancer ended the connection; pending while it has not. */
  get ending(): Promise<Ending> {
    return this.connection.ending;
  }

  /** Sends one message and waits for the answer; undefined when the connection ended without one. */
  async send(message: Uint8Array): Promise<Buffer | undefined> {
    await this.write(message);
    return this.read('an acknowledgement');
  }

  /** FIN. */
  end(): void {
    this.connection.end();
  }
}

export async function connectSender(to: Address, localAddress?: string): Promise<MllpSender> {
  return new MllpSender(await openConnection(to, localAddress));
}

/** The next answers, as `code controlId`; `closed` where the connection ended. */
export async function readAnswers(sender: MllpSender, count: number): Promise<string[]> {
  const got: string[] = [];
  while (got.length < count) {
    const answer = await sender.read('an acknowledgement');
    if (!answer) return [...got, 'closed'];
    got.push(`${fieldOf(answer, 'MSA', 1)} ${fieldOf(answer, 'MSA', 2)}`);
  }
  return got;
}
