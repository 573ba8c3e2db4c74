/** Messages with something wrong with them, made from messages that are in order: each the same for one seed. */

import { randomFrom } from '../../peers/random.ts';

export type Random = (below: number) => number;

/** Whole numbers from 0 up to, not including, `below`; the same for the same seed. */
export function randomNumbers(seed: number): Random {
  const random = randomFrom(seed);
  return (below) => Math.floor(random() * below);
}

/** What readers differ about. */
const ODD = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    '\n\n',
    '\r\r\n',
    ' ',
    '\t',
    '\0',
    '\x0b',
    '\x0c',
    '\x7f',
    '\x80',
    '\x85',
  ],
  ...[
    '\xa0',
    '\xff',
    ':',
    ';',
    ',',
    '"',
    '%',
    '#',
    '?',
    '/',
    '*',
    '@',
    '=',
    '_',
    '-',
    '+',
    '0',
    '1',
    '5',
    'f',
  ],
  ...[
    '0x',
    '00',
    'chunked',
    'HTTP/1.0',
    'HTTP/0.9',
    'HTTP/2.0',
    'close',
    'keep-alive',
    '0\r\n\r\n',
    '5\r\nhello\r\n',
  ],
];

const ODD_LINES = [
  'Content-Length: 5',
  'Content-Length: 0',
  'content-length: 4',
  'Content-Length: 5, 5',
  'Content-Length : 5',
  'Content-Length:\t5 ',
  'Content_Length: 5',
  'Transfer-Encoding: chunked',
  'transfer-encoding:CHUNKED',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding\t: chunked',
  'Transfer_Encoding: chunked',
  ' Transfer-Encoding: chunked',
  'Host: portal.example',
  'Host: other.example',
  'Host: user@portal.example',
  'Connection: close',
  'Connection: keep-alive, Content-Length',
  'Connection: X-Note, Transfer-Encoding',
  'Expect: 100-continue',
  'X-Note: a\rb',
  'X-Note: a\nContent-Length: 5',
  'GET /stolen HTTP/1.1',
  '',
];

/** `text` (Latin-1) with one to four changes: bytes, words, lines put in, left out, doubled, moved. */
export function mutated(text: string, random: Random): string {
  let mutant = text;
  for (let changes = 1 + random(4); changes > 0; changes--) mutant = changed(mutant, random);
  return mutant;
}

function changed(text: string, random: Random): string {
  const at = random(text.length + 1);
  const end = Math.min(text.length, at + 1 + random(8));
  const odd = ODD[random(ODD.length)]!;
  switch (random(8)) {
    case 0:
      return text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + odd + text.slice(at);
    case 2:
      return text.slice(0, at) + odd + text.slice(at + 1);
    case 3:
      return text.slice(0, at) + text.slice(end);
    case 4:
      return text.slice(0, end) + text.slice(at);
    default:
      return withOtherLines(text, random);
  }
}

/** Most of what goes wrong between two servers is a line. */
function withOtherLines(text: string, random: Random): string {
  const lines = text.split('\r\n');
  const at = random(lines.length);
  switch (random(4)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.splice(at, 0, lines[random(lines.length)]!);
      break;
    default:
      lines.splice(at, 0, ODD_LINES[random(ODD_LINES.length)]!);
  }
  return lines.join('\r\n');
}

/** Cut at a few places. */
export function cutAnywhere(text: string, random: Random): string[] {
  const places = Array.from({ length: random(6) }, () => random(text.length + 1)).sort((a, b) => a - b);
  const cuts = [0, ...places, text.length];
  return cuts.slice(1).map((end, index) => text.slice(cuts[index], end));
}

/** Requests in order that mutations begin with; a few follow one another on a connection. */
export const REQUESTS: readonly string[] = [
  'GET /x HTTP/1.1\r\nHost: portal.example\r\n\r\n',
  'GET /x?y=z HTTP/1.1\r\nHost: portal.example\r\nCookie: a=1\r\nAccept: */*\r\n\r\nGET /y HTTP/1.1\r\nHost: portal.example\r\nConnection: close\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: portal.example\r\nContent-Length: 5\r\n\r\nhelloGET /y HTTP/1.1\r\nHost: portal.example\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: portal.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a="b"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET /y HTTP/1.1\r\nHost: portal.example\r\n\r\n',
  'PUT /x HTTP/1.0\r\nHost: portal.example\r\nConnection: keep-alive\r\nContent-Length: 37\r\n\r\nGET /stolen HTTP/1.1\r\nHost: other\r\n\r\nGET /y HTTP/1.0\r\n\r\n',
  'POST http://portal.example/x HTTP/1.1\r\nHost: portal.example\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: portal.example\r\n\r\n',
  'HEAD /x HTTP/1.1\r\nhost:portal.example\r\nX-Note:  a , b\t\r\n\r\nDELETE /y HTTP/1.1\r\nHost: portal.example\r\nContent-Length: 0\r\n\r\n',
];

/** Responses in order to GET. */
export const RESPONSES: readonly string[] = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nServer: one\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\n\r\nhello',
  'HTTP/1.1 204 No Content\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 9\r\n\r\n',
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold',
  'HTTP/1.1 200\r\nConnection: close\r\n\r\nto the end',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen',
];
