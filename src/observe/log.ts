/** The log: one JSON object a line, from the events (contract, "Log lines"). The only user of pino. */
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { associationLine } from './association-line.ts';
import { connectionLine } from './connection-line.ts';
import {
  type AssociationEvent,
  type ConnectionEvent,
  type MessageEvent,
  type NoticeEvent,
  onEvent,
  type RequestEvent,
  type ServerEvent,
} from './events.ts';
import { createLineWriter } from './line-writer.ts';
import { MessageLine } from './message-line.ts';
import { type KeyedHash, withoutUids } from './privacy.ts';
import { requestLine } from './request-line.ts';

/** Outcomes of messages that a server may have got, and may get again. */
const TELLS_OF_REPETITIONS: ReadonlySet<string> = new Set(['maybe twice', 'failed', 'held']);

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Study UIDs become keyed hashes. */
  readonly hashUids: boolean;
  readonly hash: KeyedHash;
  /** An open file descriptor; standard output unless given. */
  readonly descriptor?: number;
}

export interface Log {
  /** Stops listening and resolves when the last line is written, or its reader did not take it within a second. */
  close(): Promise<void>;
}

/** Logs every event from now on. */
export function startLog({ level, hashUids, hash, descriptor = 1 }: LogOptions): Log {
  const writer = createLineWriter(descriptor);
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    writer,
  );
  const sentence = (text: string | undefined) =>
    hashUids && text !== undefined ? withoutUids(text, hash) : text;

  const association = (event: AssociationEvent) => {
    writer.writeAscii(associationLine(event, sentence(event.reason), sentence(event.detail)));
  };
  const messageLine = new MessageLine();
  const message = (event: MessageEvent) => {
    writer.put(messageLine.of(event, sentence(event.reason), sentence(event.detail)));
    // Who looks for messages that came twice must find them, also when the process is killed the moment after.
    if (TELLS_OF_REPETITIONS.has(event.outcome)) writer.flushSync();
  };
  const request = (event: RequestEvent) => {
    writer.writeAscii(requestLine(event, sentence(event.reason), sentence(event.detail), hash));
  };
  const connection = (event: ConnectionEvent) => {
    writer.writeAscii(connectionLine(event, sentence(event.reason), sentence(event.detail)));
  };
  const server = (event: ServerEvent) => {
    logger[event.state === 'down' ? 'warn' : 'info'](event, 'server');
  };
  const notice = ({ level: weight, message: text, fields }: NoticeEvent) => {
    logger[weight](fields, sentence(text));
  };

  // A channel that nobody would log costs its publishers nothing.
  const undo: (() => void)[] = [];
  const listen = (quietest: pino.Level, subscribe: () => () => void) => {
    if (logger.isLevelEnabled(quietest)) undo.push(subscribe());
  };
  listen('info', () => onEvent('association', association));
  listen('info', () => onEvent('message', message));
  listen('info', () => onEvent('request', request));
  listen('info', () => onEvent('connection', connection));
  listen('warn', () => onEvent('server', server));
  listen('error', () => onEvent('notice', notice));

  const flushSync = () => writer.flushSync(true);
  process.on('exit', flushSync);
  return {
    async close() {
      for (const unsubscribe of undo.splice(0)) unsubscribe();
      await Promise.race([writer.flush(), setTimeout(1000, undefined, { ref: false })]);
      process.off('exit', flushSync);
    },
  };
}
