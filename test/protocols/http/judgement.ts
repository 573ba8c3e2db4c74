/** What our own readers make of all the bytes of a connection: message after message, as the front-end reads them. */
import {
  BodyReader,
  type Framing,
  requestFraming,
  responseFraming,
} from '../../../protocols/http/body-reader.ts';
import type { Fields } from '../../../protocols/http/fields.ts';
import { HeadCollector } from '../../../protocols/http/head-collector.ts';
import { MessageFault, readRequestHead, readResponseHead } from '../../../protocols/http/message-head.ts';
import { requestFault } from '../../../protocols/http/strictness.ts';

export interface Judged {
  /** Method and target, or the status. */
  readonly start: string;
  readonly fields: Fields;
  /** Latin-1. */
  readonly body: string;
  readonly trailers: Fields;
}

/** whole: there is nothing behind the last message. waits: the next one has begun. A number: it was refused with that. */
export interface Judgement {
  readonly messages: readonly Judged[];
  readonly end: 'whole' | 'waits' | number;
}

const LONGEST_HEAD = 32_768;

interface Begun {
  readonly start: string;
  readonly fields: Fields;
  readonly framing: Framing;
}

/** `begin` takes a head apart; what it throws, or returns a number for, is refused. undefined: no message (1xx). */
function judge(pieces: readonly string[], begin: (text: string) => Begun | number | undefined): Judgement {
  const heads = new HeadCollector(LONGEST_HEAD);
  const reader = new BodyReader();
  const messages: Judged[] = [];
  let current: Begun | undefined;
  let body = '';
  try {
    for (const piece of pieces) {
      let bytes = Buffer.from(piece, 'latin1');
      for (;;) {
        if (current === undefined) {
          if (bytes.length === 0) break;
          const text = heads.push(bytes);
          bytes = bytes.subarray(heads.used);
          if (text === undefined) break;
          const begun = begin(text);
          if (typeof begun === 'number') return { messages, end: begun };
          if (begun === undefined) continue;
          current = begun;
          body = '';
          reader.begin(begun.framing);
        }
        if (!reader.isDone && bytes.length > 0) {
          body += reader.read(bytes).toString('latin1');
          bytes = bytes.subarray(reader.used);
        }
        if (!reader.isDone) break;
        messages.push({ start: current.start, fields: current.fields, body, trailers: reader.trailers });
        current = undefined;
      }
    }
    if (current !== undefined && reader.end()) {
      messages.push({ start: current.start, fields: current.fields, body, trailers: reader.trailers });
      current = undefined;
    }
  } catch (error) {
    if (error instanceof MessageFault) return { messages, end: error.status };
    throw error;
  }
  return { messages, end: current === undefined && heads.isEmpty ? 'whole' : 'waits' };
}

/** The requests in these pieces (as Latin-1). */
export function judgeRequests(pieces: readonly string[]): Judgement {
  return judge(pieces, (text) => {
    const head = readRequestHead(text);
    const fault = requestFault(head);
    if (fault) return fault.status;
    const { method, target, rawHeaders: fields } = head;
    return { start: `${method} ${target}`, fields, framing: requestFraming(fields) };
  });
}

/** The responses, without interim ones, in these pieces of a connection that then ended. `methods`: what was asked. */
export function judgeResponses(pieces: readonly string[], methods: readonly string[]): Judgement {
  let asked = 0;
  return judge(pieces, (text) => {
    const { status, rawHeaders: fields } = readResponseHead(text);
    if (status === 101) return 502;
    if (status < 200) return undefined;
    const named = responseFraming(fields);
    if (named === undefined) return 502;
    const method = methods[asked++];
    const isBodiless = method === 'HEAD' || status === 204 || status === 304;
    return { start: String(status), fields, framing: isBodiless ? 0 : named };
  });
}
