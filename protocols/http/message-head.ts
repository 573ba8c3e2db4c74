/**
 * The head of an HTTP/1 message (RFC 9112 2.1): a start line, then field lines, each ended by CRLF, then an empty line.
 *
 *     request-line = method SP request-target SP HTTP-version            RFC 9112 3
 *     status-line  = HTTP-version SP status-code [ SP reason-phrase ]    RFC 9112 4
 *     field-line   = field-name ":" OWS field-value OWS                  RFC 9112 5
 *
 * Nothing else is taken: a bare CR or LF as a line end, white space before the colon, folded lines, control bytes and
 * HTTP/0.9 are what others on the way may read differently.
 */
import type { Fields } from './fields.ts';
import type { RequestHead } from './strictness.ts';

export interface ResponseHead {
  readonly version: '1.0' | '1.1';
  readonly status: number;
  /** Empty when there is none. */
  readonly reason: string;
  readonly rawHeaders: Fields;
}

/** Bytes that are no HTTP/1 message. */
export class MessageFault extends Error {
  /** How a request is answered that has this fault. */
  readonly status: 400 | 413 | 414 | 431 | 505;

  /** `message`: a sentence without anything of the peer's. */
  constructor(status: MessageFault['status'], message: string) {
    super(message);
    this.name = 'MessageFault';
    this.status = status;
  }
}

/** RFC 9110 5.6.2 and 5.5; a field value may have bytes beyond ASCII (obs-text), nothing else may. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const FIELD_LINES = `(?:\\r\\n${TOKEN}:[\\t\\x20-\\x7e\\x80-\\xff]*)*$`;

const REQUEST = new RegExp(`^(${TOKEN}) ([\\x21-\\x7e]+) HTTP/(1\\.[01])${FIELD_LINES}`);
const RESPONSE = new RegExp(
  `^HTTP/(1\\.[01]) ([1-9][0-9]{2})(?: ([\\t\\x20-\\x7e\\x80-\\xff]*))?${FIELD_LINES}`,
);
const FIELDS_ALONE = new RegExp(`^${FIELD_LINES}`);

/**
 * The head of a request, without the empty line that ends it. One before it is skipped: there are clients that put one
 * behind a body (RFC 9112 2.2). Throws MessageFault.
 */
export function readRequestHead(collected: string): RequestHead {
  const text = collected.startsWith('\r\n') ? collected.slice(2) : collected;
  const match = REQUEST.exec(text);
  if (match === null) throw requestLineFault(text);
  return { method: match[1]!, target: match[2]!, version: match[3]!, rawHeaders: fieldsOf(text) };
}

/** The head of a response, without the empty line that ends it. Throws MessageFault. */
export function readResponseHead(text: string): ResponseHead {
  const match = RESPONSE.exec(text);
  if (match === null) throw new MessageFault(400, 'the status line or a header field is malformed');
  return {
    version: match[1] as '1.0' | '1.1',
    status: Number(match[2]),
    reason: match[3] ?? '',
    rawHeaders: fieldsOf(text),
  };
}

/** The trailer section of a chunked message: field lines, each after its CRLF. Throws MessageFault. */
export function readTrailers(text: string): Fields {
  if (!FIELDS_ALONE.test(text)) throw new MessageFault(400, 'A trailer field is malformed.');
  return fieldsOf(text);
}

/** What follows each CRLF, as name and value. */
function fieldsOf(text: string): string[] {
  const fields: string[] = [];
  for (let at = text.indexOf('\r\n'); at !== -1; ) {
    const from = at + 2;
    at = text.indexOf('\r\n', from);
    const colon = text.indexOf(':', from);
    fields.push(text.slice(from, colon), trimmed(text, colon + 1, at === -1 ? text.length : at));
  }
  return fields;
}

const TAB = 0x09;
const SPACE = 0x20;

/** Without OWS: `trim` would take more than that away. */
function trimmed(text: string, start: number, stop: number): string {
  let from = start;
  let to = stop;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function requestLineFault(text: string): MessageFault {
  const end = text.search(/[\r\n]/);
  const line = end === -1 ? text : text.slice(0, end);
  const version = new RegExp(`^${TOKEN} [\\x21-\\x7e]+ HTTP/([0-9]\\.[0-9])$`).exec(line)?.[1];
  if (version === undefined) return new MessageFault(400, 'The request line is not one of HTTP/1.');
  if (version !== '1.0' && version !== '1.1') {
    return new MessageFault(505, 'Only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here.');
  }
  return new MessageFault(400, 'A header field is malformed.');
}
