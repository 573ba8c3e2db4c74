/** What our own readers make of all the bytes of a connection: message after message, as the front-end reads them. */
import {
  BodyReader,
  type Framing,
  requestFraming,
  responseFraming,
} from '../../../protocols/http/body-reader.ts';
import { isPersistent } from '../../../protocols/http/connection.ts';
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
  /** The connection ends behind it. */
  readonly closes: boolean;
}

/** whole: there is nothing behind the last message. waits: the next one has begun. A number: it was refused with that. */
export interface Judgement {
  readonly messages: readonly Judged[];
  readonly end: 'whole' | 'waits' | number;
  /** Method and target of a request that was refused, as far as they were read. */
  readonly refused: string;
}

const LONGEST_HEAD = 32_768;

interface Begun {
  readonly start: string;
  readonly fields: Fields;
  readonly framing: Framing;
  readonly closes: boolean;
}

/** `begin` takes a head apart; what it throws, or gives a fault for, is refused. undefined: no message (1xx). */
function judge(
  pieces: readonly string[],
  begin: (text: string) => (Begun & { readonly fault?: number | undefined }) | undefined,
): Judgement {
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
          if (begun === undefined) continue;
          const { start, fault } = begun;
          if (fault !== undefined) return { messages, end: fault, refused: start };
          current = begun;
          body = '';
          reader.begin(begun.framing);
        }
        if (!reader.isDone && bytes.length > 0) {
          body += reader.read(bytes).toString('latin1');
          bytes = bytes.subarray(reader.used);
        }
        if (!reader.isDone) break;
        messages.push(judged(current, body, reader));
        current = undefined;
      }
    }
    if (current !== undefined && reader.end()) {
      messages.push(judged(current, body, reader));
      current = undefined;
    }
  } catch (error) {
    if (!(error instanceof MessageFault)) throw error;
    return { messages, end: error.status, refused: current?.start ?? '' };
  }
  return { messages, end: current === undefined && heads.isEmpty ? 'whole' : 'waits', refused: '' };
}

function judged({ start, fields, closes }: Begun, body: string, { trailers }: BodyReader): Judged {
  return { start, fields, body, trailers, closes };
}

/** The requests in these pieces (as Latin-1). */
export function judgeRequests(pieces: readonly string[]): Judgement {
  return judge(pieces, (text) => {
    const head = readRequestHead(text);
    const fault = requestFault(head)?.status;
    const { method, target, version, rawHeaders: fields } = head;
    const framing = fault === undefined ? requestFraming(fields) : 0;
    return { start: `${method} ${target}`, fields, framing, closes: !isPersistent(version, fields), fault };
  });
}

/** The responses, without interim ones, in these pieces of a connection that then ended. `methods`: what was asked. */
export function judgeResponses(pieces: readonly string[], methods: readonly string[]): Judgement {
  let asked = 0;
  return judge(pieces, (text) => {
    const { status, version, rawHeaders: fields } = readResponseHead(text);
    if (status < 200 && status !== 101) return undefined;
    const named = responseFraming(fields);
    const isBodiless = methods[asked++] === 'HEAD' || status === 204 || status === 304;
    const framing = isBodiless || named === undefined ? 0 : named;
    const closes = framing === 'until-close' || !isPersistent(version, fields);
    const fault = named === undefined || status === 101 ? 502 : undefined;
    return { start: String(status), fields, framing, closes, fault };
  });
}
