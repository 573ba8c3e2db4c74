/**
 * HTTP/1 messages read the plain way, from the whole text, line by line, by the grammar of RFC 9112 and nothing else: the
 * yardstick for readers that read in pieces.
 */
import { requestFault } from '../../../protocols/http/strictness.ts';
import type { Judged } from './judgement.ts';

export interface NaiveJudgement {
  readonly messages: readonly Judged[];
  readonly end: 'whole' | 'waits' | 'refused';
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([!-~]+) HTTP/(1\\.[01])$`);
const STATUS_LINE = /^HTTP\/(1\.[01]) ([1-9]\d\d)(?: [\t -~\u0080-\u00ff]*)?$/;
const FIELD_LINE = new RegExp(`^(${TOKEN}):[\\t ]*([\\t -~\\u0080-\\u00ff]*?)[\\t ]*$`);
const CHUNK_LINE = /^([0-9A-Fa-f]{1,13})(?:;[\t -~\u0080-\u00ff]{0,256})?$/;

class Refused extends Error {}
class Waiting extends Error {}

/** Reads on from a place in the text. */
class Text {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isOver(): boolean {
    return this.#at === this.#text.length;
  }

  line(): string {
    const end = this.#text.indexOf('\r\n', this.#at);
    if (end === -1) throw new Waiting();
    const line = this.#text.slice(this.#at, end);
    this.#at = end + 2;
    return line;
  }

  take(length: number): string {
    const taken = this.#text.slice(this.#at, this.#at + length);
    if (taken.length < length) throw new Waiting();
    this.#at += length;
    return taken;
  }

  rest(): string {
    return this.take(this.#text.length - this.#at);
  }
}

/** Field lines up to the empty line. They are looked at when all have come, as a head is. */
function lines(text: Text): string[] {
  const all: string[] = [];
  for (let line = text.line(); line !== ''; line = text.line()) all.push(line);
  return all;
}

function fieldsOf(all: readonly string[]): string[] {
  return all.flatMap((line) => {
    const match = FIELD_LINE.exec(line);
    if (!match) throw new Refused();
    return [match[1]!, match[2]!];
  });
}

function values(fields: readonly string[], name: string): string[] {
  return fields.filter((_value, at) => at % 2 === 1 && fields[at - 1]!.toLowerCase() === name);
}

function chunks(text: Text): Pick<Judged, 'body' | 'trailers'> {
  let body = '';
  for (;;) {
    const match = CHUNK_LINE.exec(text.line());
    if (!match) throw new Refused();
    const size = Number.parseInt(match[1]!, 16);
    if (size === 0) return { body, trailers: fieldsOf(lines(text)) };
    body += text.take(size);
    if (text.take(2) !== '\r\n') throw new Refused();
  }
}

function readAll(whole: string, read: (text: Text) => Judged | undefined): NaiveJudgement {
  const text = new Text(whole);
  const messages: Judged[] = [];
  try {
    while (!text.isOver) {
      const message = read(text);
      if (message) messages.push(message);
    }
    return { messages, end: 'whole' };
  } catch (error) {
    if (error instanceof Waiting) return { messages, end: 'waits' };
    if (error instanceof Refused) return { messages, end: 'refused' };
    throw error;
  }
}

function closes(version: string, fields: readonly string[]): boolean {
  const listed = values(fields, 'connection').join().toLowerCase();
  const options = listed.split(',').map((option) => option.trim());
  return options.includes('close') || (version === '1.0' && !options.includes('keep-alive'));
}

const NO_BODY = { body: '', trailers: [] };

export function naiveRequests(whole: string): NaiveJudgement {
  return readAll(whole, (text) => {
    // RFC 9112 2.2: an empty line before a request is skipped.
    const first = text.line() || text.line();
    const rest = lines(text);
    const match = REQUEST_LINE.exec(first);
    if (!match) throw new Refused();
    const [, method, target, version] = match as unknown as [string, string, string, string];
    const fields = fieldsOf(rest);
    if (requestFault({ method, target, version, rawHeaders: fields })) throw new Refused();
    const head = { start: `${method} ${target}`, fields, closes: closes(version, fields) };
    if (values(fields, 'transfer-encoding').length > 0) return { ...head, ...chunks(text) };
    const [length = '0'] = values(fields, 'content-length');
    return { ...head, ...NO_BODY, body: text.take(Number(length)) };
  });
}

/** `methods`: what was asked. The connection ended behind `whole`. */
export function naiveResponses(whole: string, methods: readonly string[]): NaiveJudgement {
  let asked = 0;
  return readAll(whole, (text) => {
    const first = text.line();
    const rest = lines(text);
    const match = STATUS_LINE.exec(first);
    if (!match) throw new Refused();
    const fields = fieldsOf(rest);
    const [, version, start] = match as unknown as [string, string, string];
    if (start === '101') throw new Refused();
    if (start.startsWith('1')) return undefined;
    const codings = values(fields, 'transfer-encoding');
    const lengths = values(fields, 'content-length');
    const isChunked = codings.length === 1 && codings[0]!.toLowerCase() === 'chunked';
    if (codings.length > 0 && !(isChunked && lengths.length === 0)) throw new Refused();
    const head = { start, fields, closes: closes(version, fields) };
    if (lengths.length > 1 || lengths.some((length) => !/^\d{1,15}$/.test(length))) throw new Refused();
    if (methods[asked++] === 'HEAD' || start === '204' || start === '304') return { ...head, ...NO_BODY };
    if (isChunked) return { ...head, ...chunks(text) };
    if (lengths.length === 1) return { ...head, ...NO_BODY, body: text.take(Number(lengths[0])) };
    return { ...head, ...NO_BODY, body: text.rest(), closes: true };
  });
}
