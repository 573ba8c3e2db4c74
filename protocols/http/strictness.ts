/**
 * What is refused because a server could read it differently (RFC 9112 3, 6.3, 11.2; RFC 9113 8.2, 8.3).
 *
 * The readers come first. Those of HTTP/1 (message-head.ts, body-reader.ts) by themselves refuse
 *   - bare LF and bare CR as line ends, obsolete folding, white space round names, before the first field
 *   - HTTP/0.9 and all versions but 1.0 and 1.1, more than one space in the request line
 *   - names that are no token, control bytes in values (all but tab) and in targets, bytes beyond ASCII in targets
 *   - chunk sizes with signs, spaces, prefixes, overflow; bare LF, control bytes or much of anything in extensions
 * and nghttp2, which Node reads HTTP/2 with, refuses
 *   - fields that are about a connection, Content-Length that is not the length, an authority that is none, a target
 *     that is no path
 * Here the rest is refused, whoever read it:
 *   - Host that is missing, repeated, empty or not a host; Host beside another :authority
 *   - absolute targets whose authority is not the Host or has userinfo; `*` of other methods than OPTIONS; fragments;
 *     in HTTP/2 bytes beyond ASCII
 *   - malformed percent-encoding, %00, and dot segments that only some servers see as such
 *   - Transfer-Encoding with Content-Length, in HTTP/1.0, repeated, or anything but `chunked`
 *   - Content-Length that is repeated, empty, signed, a list, or beyond what a number holds exactly
 *   - Content_Length and Transfer_Encoding: some servers take underscores for hyphens
 *   - CONNECT, TRACE, methods in lower case, expectations, bodies of requests that upgrade, Connection naming fields
 *     that are for everyone
 *   - targets and numbers of fields beyond what servers take
 *
 * llhttp 9.4, the parser of Node 24's own server, is the yardstick in the tests. It refuses most of this too, but lets
 * through HTTP/0.9 with fields and a body (nodejs/llhttp#877), HTTP/2.0 in a request line, `gzip, chunked` and
 * `, chunked`, Transfer-Encoding in HTTP/1.0, and all that is about Host, targets, expectations and upgrades.
 */
import { canonicalAuthority, isAuthority } from './authority.ts';
import { connectionOptions, isForEveryone, upgradeProtocol } from './connection.ts';
import { type Fields, isField, listMembers } from './fields.ts';

export interface RequestHead {
  readonly method: string;
  /** The request target; HTTP/2: `:path`. */
  readonly target: string;
  /** `1.1`, … */
  readonly version: string;
  /** HTTP/2: with its pseudo-header fields, as Node's compatibility layer has them. */
  readonly rawHeaders: Fields;
}

export interface RequestFault {
  readonly status: 400 | 414 | 417 | 431 | 501 | 505;
  /** A sentence for the client and for the log, without anything of the request's. */
  readonly reason: string;
}

/** Servers take 4 to 16 KiB; RFC 9112 3 asks for 8000 octets at least. */
const LONGEST_TARGET = 16_384;
const MOST_FIELDS = 500;

/** Methods have a case (RFC 9110 9.1), and some servers do not know it: `get` would pass by a rule about GET. */
const METHOD = /^[A-Z][A-Z0-9_-]{0,39}$/;

const FAULTS = {
  version: fault(505, 'Only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here.'),
  method: fault(501, 'The method is not served here.'),
  longTarget: fault(414, 'The request target is too long.'),
  target: fault(400, 'The request target is neither a path nor an http URL.'),
  fragment: fault(400, 'The request target has a fragment.'),
  encoding: fault(400, 'The path is not percent-encoded as it should be.'),
  dots: fault(400, 'The path hides a dot segment.'),
  manyFields: fault(431, 'The request has too many header fields.'),
  noHost: fault(400, 'The Host header field is missing.'),
  hosts: fault(400, 'The request has more than one Host header field.'),
  host: fault(400, 'The Host header field is not a host.'),
  authority: fault(400, 'The request target names another host than the Host header field.'),
  contentLength: fault(400, 'The Content-Length header field is not a length.'),
  codingAndLength: fault(400, 'The request has both Transfer-Encoding and Content-Length.'),
  oldCoding: fault(400, 'Transfer-Encoding is not a part of this HTTP version.'),
  coding: fault(400, 'The Transfer-Encoding header field is not a list of codings that ends in chunked.'),
  unknownCoding: fault(501, 'No transfer coding but chunked is understood here.'),
  underscore: fault(400, 'A header field is named nearly as one that says where the request ends.'),
  connection: fault(400, 'The Connection header field names a field that is for everyone.'),
  expectation: fault(417, 'No expectation but 100-continue is met here.'),
  upgradeBody: fault(400, 'A request that upgrades has a body.'),
};

function fault(status: RequestFault['status'], reason: string): RequestFault {
  return Object.freeze({ status, reason });
}

/** What a request is refused for; undefined: nothing. */
export function requestFault({ method, target, version, rawHeaders }: RequestHead): RequestFault | undefined {
  const isHttp2 = rawHeaders[0]?.startsWith(':') ?? false;
  if (version !== '1.1' && version !== '1.0' && !(version === '2.0' && isHttp2)) return FAULTS.version;
  if (method === 'CONNECT' || method === 'TRACE' || !METHOD.test(method)) return FAULTS.method;
  if (rawHeaders.length > 2 * MOST_FIELDS) return FAULTS.manyFields;
  return new HeadReader(version, rawHeaders).fault(method, target);
}

/** The fields that decide who is meant and where the request ends, read in one pass. */
class HeadReader {
  readonly #version: string;
  readonly #fields: Fields;
  #host: string | undefined;
  #hosts = 0;
  #contentLength: string | undefined;
  #coding: string | undefined;
  #fault: RequestFault | undefined;
  #mayUpgrade = false;

  constructor(version: string, fields: Fields) {
    this.#version = version;
    this.#fields = fields;
    for (let at = 0; at < fields.length; at += 2) this.#read(fields[at]!, fields[at + 1]!);
  }

  fault(method: string, target: string): RequestFault | undefined {
    return this.#fault ?? this.#hostFault() ?? this.#bodyFault() ?? targetFault(method, target, this.#host);
  }

  /** Few names have these lengths: most fields are passed over without a comparison. */
  #read(name: string, value: string): void {
    switch (name.length) {
      case 4:
        if (isField(name, 'host')) this.#readHost(value);
        break;
      case 6:
        if (isField(name, 'expect') && !/^100-continue$/i.test(value.trim()))
          this.#fault ??= FAULTS.expectation;
        break;
      case 7:
        if (isField(name, 'upgrade')) this.#mayUpgrade = true;
        break;
      case 10:
        if (name === ':authority') this.#readHost(value);
        else if (isField(name, 'connection') && connectionOptions(value).some(isForEveryone))
          this.#fault ??= FAULTS.connection;
        break;
      case 14:
        if (isField(name, 'content-length')) {
          if (this.#contentLength !== undefined) this.#fault ??= FAULTS.contentLength;
          this.#contentLength = value;
        } else if (isField(name, 'content_length')) this.#fault ??= FAULTS.underscore;
        break;
      case 17:
        if (isField(name, 'transfer-encoding')) {
          if (this.#coding !== undefined) this.#fault ??= FAULTS.coding;
          this.#coding = value;
        } else if (isField(name, 'transfer_encoding')) this.#fault ??= FAULTS.underscore;
        break;
    }
  }

  /** HTTP/2 clients may send Host beside :authority (RFC 9113 8.3.1); then they are the same. */
  #readHost(value: string): void {
    this.#hosts++;
    if (this.#hosts === 1) {
      this.#host = value;
      return;
    }
    const isBeside = this.#version === '2.0' && this.#hosts === 2 && this.#fields.includes(':authority');
    if (!isBeside) this.#fault ??= FAULTS.hosts;
    else if (value.toLowerCase() !== this.#host!.toLowerCase()) this.#fault ??= FAULTS.authority;
  }

  #hostFault(): RequestFault | undefined {
    if (this.#host === undefined) return this.#version === '1.0' ? undefined : FAULTS.noHost;
    return isAuthority(this.#host) ? undefined : FAULTS.host;
  }

  #bodyFault(): RequestFault | undefined {
    const length = this.#contentLength;
    const coding = this.#coding;
    // Fifteen digits: a number holds them exactly.
    if (length !== undefined && !/^\d{1,15}$/.test(length)) return FAULTS.contentLength;
    if (coding !== undefined) {
      if (length !== undefined) return FAULTS.codingAndLength;
      if (this.#version !== '1.1') return FAULTS.oldCoding;
      const wrong = codingFault(coding);
      if (wrong) return wrong;
    }
    const hasBody = coding !== undefined || (length !== undefined && Number(length) > 0);
    const upgrades =
      hasBody && this.#mayUpgrade && upgradeProtocol(this.#version, this.#fields) !== undefined;
    return upgrades ? FAULTS.upgradeBody : undefined;
  }
}

/** RFC 9112 6.1: a coding that is not understood is 501. Others on the way may not see `, chunked` as chunked. */
function codingFault(coding: string): RequestFault | undefined {
  if (/^chunked$/i.test(coding)) return undefined;
  const codings = listMembers(coding);
  const isList =
    codings.length === coding.split(',').length && codings.every((one) => /^[\w.+-]+$/.test(one));
  return isList && codings.length > 1 && codings.indexOf('chunked') === codings.length - 1
    ? FAULTS.unknownCoding
    : FAULTS.coding;
}

/**
 * Dot segments for servers that take a backslash, an encoded slash or a path parameter (`..;x`) for a part of the
 * syntax, and not for others: such a path is under one rule here and under another there.
 */
const HIDDEN_DOTS =
  /(?:\\|%2f|%5c)(?:\.|%2e){1,2}(?:$|[/\\;]|%2f|%5c|%3b)|\/(?:\.|%2e){1,2}(?:[\\;]|%2f|%5c|%3b)/i;

function targetFault(method: string, target: string, host: string | undefined): RequestFault | undefined {
  if (target.length > LONGEST_TARGET) return FAULTS.longTarget;
  if (target.includes('#')) return FAULTS.fragment;
  if (/[^!-~]/.test(target)) return FAULTS.target;
  if (!target.startsWith('/')) {
    if (target === '*') return method === 'OPTIONS' ? undefined : FAULTS.target;
    const wrong = absoluteFault(target, host);
    if (wrong) return wrong;
  }
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  if (!/[%\\;]/.test(path)) return undefined;
  if (/%(?:00|(?![0-9A-Fa-f]{2}))/.test(path)) return FAULTS.encoding;
  return HIDDEN_DOTS.test(path) ? FAULTS.dots : undefined;
}

/** RFC 9112 3.2.2: with an absolute target, Host is the same. Others go by the one or by the other. */
function absoluteFault(target: string, host: string | undefined): RequestFault | undefined {
  const match = /^(https?):\/\/([^/?]*)/i.exec(target);
  if (!match || !isAuthority(match[2]!)) return FAULTS.target;
  const scheme = match[1]!.toLowerCase();
  const isSame =
    host === undefined || canonicalAuthority(host, scheme) === canonicalAuthority(match[2]!, scheme);
  return isSame ? undefined : FAULTS.authority;
}
