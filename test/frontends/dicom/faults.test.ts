/**
 * One side of an association dies at any byte of its stream. Whatever happens then, the other side gets only bytes that
 * were sent to it, in order, and behind them at most one whole A-ABORT, at a PDU boundary.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expectNothingLeft } from '../../peers/admin-api.ts';
import { COMMAND, writeCommand } from '../../peers/commands.ts';
import { DicomConnection } from '../../peers/dicom-peer.ts';
import {
  abort,
  associateAccept,
  associateReject,
  associateRequest,
  CT_IMAGE_STORAGE,
  PDU_TYPE,
  pData,
} from '../../peers/pdus.ts';
import {
  ConnectionEnded,
  type Ending,
  openConnection,
  type TestConnection,
} from '../../peers/test-connection.ts';
import { createGate, type Gate } from '../../peers/waiting.ts';
import { balance, scp } from './setup.ts';

const RUNS = 200;
/** A stream is written in so many at most: whoever waits for its end has some patience, but not for ever. */
const MOST_PIECES = 5000;

interface Fault {
  /** Behind request and accept, both ways: the length of the data in each PDU. */
  readonly client: readonly number[];
  readonly server: readonly number[];
  /** Lengths of the pieces in which they are written, in turn. */
  readonly pieces: readonly number[];
  readonly dies: 'client' | 'server';
  readonly how: Ending;
  /** Where in its stream, from 0 to 1; if so, at the PDU boundary before that. */
  readonly at: number;
  readonly atBoundary: boolean;
  /** The other side reads nothing before the death. */
  readonly isSlow: boolean;
}

const someLengths = fc.array(fc.oneof(fc.nat(300), fc.nat(60_000)), { minLength: 1, maxLength: 8 });
const somePiece = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 80_000 }));
const someFault: fc.Arbitrary<Fault> = fc.record({
  client: someLengths,
  server: someLengths,
  pieces: fc.array(somePiece, { minLength: 2, maxLength: 6 }),
  dies: fc.constantFrom('client', 'server'),
  how: fc.constantFrom('reset', 'end'),
  // Doubles by themselves are nearly all close to 0, where nothing was accepted yet.
  at: fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.nat(1000).map((mille) => mille / 1000),
  ),
  atBoundary: fc.boolean(),
  isSlow: fc.boolean(),
});

/** Whole PDUs in a row. */
interface Stream {
  readonly bytes: Buffer;
  /** Where its PDUs end; and 0. */
  readonly boundaries: readonly number[];
}

/** What a side was sent, and how that ended. */
interface Received {
  readonly bytes: Buffer;
  readonly ending: Ending;
}

test(`a side killed at a random byte of its stream, ${RUNS} times: no byte that it did not send, except a whole A-ABORT at a PDU boundary; nothing is leaked`, async () => {
  const server = await scp();
  // Who has still something to say after its A-ABORT is not cut short.
  const dicom = 'timeouts: { connect: 30s, accept: 30s, release: 60s }';
  const balancer = await balance([server], { dicom, admin: true });
  /** Calling AE title → what the server does there: connections of a run before may come late. */
  const serving = new Map<string, (connection: TestConnection) => Promise<void>>();
  const served: Promise<void>[] = [];
  const outcomes = new Set<string>();
  server.script = async (association) => {
    await association.receiveRequest();
    const { connection, parsed } = association;
    connection.unread(association.request);
    const over = serving.get(parsed!.calling)!(connection);
    served.push(over);
    await over;
  };

  async function run(fault: Fault, calling: string): Promise<void> {
    const request = associateRequest({ calling, propose: [CT_IMAGE_STORAGE] });
    const accept = associateAccept(request);
    const streams = { client: streamOf(request, fault.client), server: streamOf(accept, fault.server) };
    const dead = deathOf(fault, streams[fault.dies]);
    const over = createGate();
    const sideOf = (side: 'client' | 'server', connection: TestConnection): Side => ({
      connection,
      stream: streams[side].bytes,
      pieces: fault.pieces,
      death: side === fault.dies ? dead : undefined,
      holdReading: fault.isSlow && side !== fault.dies ? over : undefined,
    });
    const check = (received: Received) => {
      try {
        outcomes.add(`${fault.dies}: ${judge(received, streams[fault.dies], dead)}`);
      } catch (error) {
        const message = `${(error as Error).message}\n${JSON.stringify({ ...fault, dead })}`;
        throw new Error(message, { cause: error });
      }
    };
    serving.set(calling, async (connection) => {
      const received = await playServer(sideOf('server', connection));
      if (fault.dies === 'server') over.open();
      else check(received);
    });
    const received = await playClient(sideOf('client', await openConnection(balancer.vip)), request.length);
    over.open();
    if (fault.dies === 'client') return;
    // It did not get as far as accepting, or its reset took the accept with it, which its kernel had not sent yet: the
    // client is told to come again.
    const isRejected = received.bytes.equals(associateReject(2, 3, 1));
    if (dead.end < accept.length) expect(isRejected).toBe(true);
    if (dead.end < accept.length || (fault.how === 'reset' && isRejected))
      outcomes.add('server: not accepted');
    else check(received);
  }

  for (const [index, fault] of fc.sample(someFault, RUNS).entries()) await run(fault, `RUN${index}`);
  await expectNothingLeft(balancer);
  await Promise.all(served);
  expect(outcomes).toEqual(
    new Set([
      'client: abort at a boundary',
      'client: cut',
      'server: abort at a boundary',
      'server: cut',
      'server: not accepted',
    ]),
  );
});

/** One side of a run. */
interface Side {
  readonly connection: TestConnection;
  readonly stream: Buffer;
  readonly pieces: readonly number[];
  readonly death: Death | undefined;
  /** It reads on, behind request or accept, when this opens. */
  readonly holdReading: Gate | undefined;
}

interface Death {
  /** Bytes of its stream that it sends. */
  readonly end: number;
  readonly how: Ending;
}

function deathOf({ at, atBoundary, how }: Fault, { bytes, boundaries }: Stream): Death {
  const end = Math.floor(at * bytes.length);
  return { how, end: atBoundary ? boundaries.findLast((boundary) => boundary <= end)! : end };
}

/** Data fragments, now and then a whole command, behind the first PDU. */
function streamOf(first: Buffer, lengths: readonly number[]): Stream {
  const echo = writeCommand({ field: COMMAND.C_ECHO_RQ, messageId: 1, hasDataSet: false });
  const pdus = [
    first,
    ...lengths.map((length, index) =>
      length % 5 === 0 ? pData(1, 'command', true, echo) : pData(1, 'data', index % 2 === 0, noise(length)),
    ),
  ];
  let end = 0;
  return { bytes: Buffer.concat(pdus), boundaries: [0, ...pdus.map((pdu) => (end += pdu.length))] };
}

/** Bytes that repeat late, so that a piece at the wrong place shows. */
function noise(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8) * 7 + length) & 0xff;
  return bytes;
}

async function playClient(side: Side, requestLength: number): Promise<Received> {
  const { connection, stream } = side;
  if (await writePieces(side, 0, requestLength)) {
    // A requestor says nothing before it was accepted.
    const answer = await firstPdu(connection);
    if (answer?.[0] === PDU_TYPE.AC) {
      if (side.holdReading) connection.pause();
      await writePieces(side, requestLength, stream.length);
    }
  }
  return theRest(side);
}

async function playServer(side: Side): Promise<Received> {
  if (side.holdReading) side.connection.pause();
  await writePieces(side, 0, side.stream.length);
  return theRest(side);
}

/** Writes its stream from `start` to `end`, or dies in between; then, or when the connection is gone, false. */
async function writePieces(side: Side, start: number, end: number): Promise<boolean> {
  const { connection, stream, pieces, death } = side;
  const stop = Math.min(end, death?.end ?? end);
  const least = Math.ceil(stream.length / MOST_PIECES);
  for (let at = start, turn = 0; at < stop; turn++) {
    const next = Math.min(at + Math.max(pieces[turn % pieces.length]!, least), stop);
    await connection.write(stream.subarray(at, next));
    if (connection.socket.destroyed) return false;
    at = next;
  }
  if (stop !== death?.end) return true;
  if (death.how === 'reset') connection.reset();
  else connection.end();
  return false;
}

/** The first PDU, which is read again later; undefined when the connection ends before. */
async function firstPdu(connection: TestConnection): Promise<Buffer | undefined> {
  try {
    const { bytes } = await new DicomConnection(connection).readPdu();
    connection.unread(bytes);
    return bytes;
  } catch (error) {
    if (error instanceof ConnectionEnded) return undefined;
    throw error;
  }
}

async function theRest({ connection, holdReading }: Side): Promise<Received> {
  await holdReading?.opened;
  connection.resume();
  const received = await connection.readToEnd();
  connection.end();
  return received;
}

/** Throws when the surviving side was told anything that it should not have been. */
function judge(received: Received, { bytes, boundaries }: Stream, { end, how }: Death): string {
  const sent = bytes.subarray(0, end);
  const { length } = received.bytes;
  if (length <= end && sent.subarray(0, length).equals(received.bytes)) {
    if (received.ending === 'end') throw new Error('FIN while the association was open');
    if (how === 'end' && boundaries.includes(end)) throw new Error('reset, though at a PDU boundary');
    return 'cut';
  }
  const whole = length - 10;
  if (
    !received.bytes.subarray(whole).equals(abort(2, 0)) ||
    !received.bytes.subarray(0, whole).equals(sent.subarray(0, whole))
  ) {
    throw new Error(`bytes that were not sent, of ${length}, with ${end} sent`);
  }
  if (!boundaries.includes(whole)) throw new Error(`A-ABORT inside a PDU, behind ${whole} bytes`);
  if (how === 'end' && whole !== end) throw new Error(`${end - whole} bytes were lost before the A-ABORT`);
  return 'abort at a boundary';
}
