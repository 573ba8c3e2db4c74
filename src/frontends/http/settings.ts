/** What an HTTP front-end is made of, and what is worked out from that once, before the first request. */
import { isDeepStrictEqual } from 'node:util';
import type { HeaderRewriter, HeaderRules } from '../../../protocols/http/header-rules.ts';
import { compileHeaderRules } from '../../../protocols/http/header-rules.ts';
import type { Rewrite } from '../../../protocols/http/rewrite.ts';
import type { Target } from '../../../protocols/http/target.ts';
import type { Director } from '../../director/director.ts';
import type { Pool } from '../../pools/pool.ts';
import type { Entrance } from '../../relay/accept.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import type { ServerLink } from '../../relay/dial.ts';
import type { Listener } from '../../relay/listen.ts';
import { createServerCookies, type ServerCookies } from './server-cookie.ts';

/** What becomes of the requests that match a rule, beside the pool they go to. One of these. */
export interface RouteAction {
  readonly rewrite?: Rewrite | undefined;
  /** `to`: the value of Location. */
  readonly redirect?: { readonly to: string | ((target: Target) => string); readonly status: number };
  readonly respond?: { readonly status: number; readonly body: string; readonly type: string };
  /** A status. */
  readonly reject?: number | undefined;
}

export interface HttpLimits {
  /** Bytes of a head, in both directions. */
  readonly headers: number;
  /** Bytes of a request's body; undefined: any number. */
  readonly body?: number | undefined;
  /** Connections of clients at once; undefined: any number. */
  readonly connections?: number | undefined;
}

/** Milliseconds. */
export interface HttpTimeouts {
  /** For the head of a request, from its first byte. */
  readonly request: number;
  /** Of silence within a body, or of a peer that does not read. */
  readonly stall: number;
  /** From the end of a request to the head of its response. */
  readonly response: number;
  /** Of a client's connection between two requests. */
  readonly idle: number;
  /** For a connection to a server. */
  readonly connect: number;
  /** For a slot, when all servers are full; 0: nobody waits. */
  readonly queue: number;
  /** Of silence within a tunnel. */
  readonly tunnel: number;
}

export interface HttpFrontEndOptions {
  readonly vip: string;
  /** Bound by whoever made them; closed here when the front-end ends. */
  readonly listeners: readonly Listener[];
  readonly entrance: Entrance;
  readonly director: Director;
  /** Every pool its rules reach. */
  readonly pools: readonly Pool[];
  /** How the servers of a pool are spoken to, by the pool's name; plainly without an entry. */
  readonly links: ReadonlyMap<string, ServerLink>;
  /** By the index of the rule. */
  readonly actions: readonly (RouteAction | undefined)[];
  readonly headers: { readonly request?: HeaderRules; readonly response?: HeaderRules };
  readonly forwarded: 'append' | 'replace' | 'off';
  /** Is what a peer at this address says about its own clients believed? */
  readonly trusts: (address: string) => boolean;
  /** Signs the cookies that bring clients back: at least 16 bytes. */
  readonly cookieKey: Uint8Array;
  readonly limits: HttpLimits;
  readonly timeouts: HttpTimeouts;
  readonly deadlines: Deadlines;
  /** Milliseconds since 1970 of the clock that the pools use too. */
  readonly now: () => number;
}

/** Options, and what is compiled of them. A request keeps those it began with. */
export interface HttpSettings extends HttpFrontEndOptions {
  readonly cookies: ServerCookies;
  readonly changeRequest: HeaderRewriter | undefined;
  readonly changeResponse: HeaderRewriter | undefined;
  readonly scheme: 'http' | 'https';
}

/** Throws an Error with an operator's sentence when a header rule cannot be. */
export function settingsOf(options: HttpFrontEndOptions, before?: HttpSettings): HttpSettings {
  const { headers, cookieKey, entrance } = options;
  return {
    ...options,
    links: keepEqual(options.links, before?.links),
    cookies: createServerCookies({ key: cookieKey }),
    changeRequest: headers.request && compileHeaderRules(headers.request),
    changeResponse: headers.response && compileHeaderRules(headers.response),
    scheme: entrance.tls ? 'https' : 'http',
  };
}

/** Links that are as they were stay the same objects, so that the connections made by them stay in use. */
function keepEqual(
  links: ReadonlyMap<string, ServerLink>,
  before: ReadonlyMap<string, ServerLink> = new Map(),
): ReadonlyMap<string, ServerLink> {
  const kept = (pool: string, link: ServerLink) => {
    const old = before.get(pool);
    return isDeepStrictEqual(old, link) ? old! : link;
  };
  return new Map([...links].map(([pool, link]) => [pool, kept(pool, link)]));
}

const PLAIN: ServerLink = {};

export function linkOf({ links }: HttpFrontEndOptions, pool: string): ServerLink {
  return links.get(pool) ?? PLAIN;
}
