/**
 * `http-request`, `http-response`, `redirect`, `tcp-request` of one section → what becomes `routes`, `headers` and
 * `forwarded` of a VIP (HAProxy's manual, 4.2 and 4.4).
 */

import { ALWAYS, all, any, asksFor, type Condition, isAlways, isNever, NEVER, not } from './condition.ts';
import { type Acls, conditionAt } from './haproxy-acl.ts';
import { type Action, denied, redirection, respond } from './haproxy-actions.ts';
import type { Criteria } from './haproxy-criteria.ts';
import { changeHeader, type HeaderChanges, noChanges } from './haproxy-headers.ts';
import { type Rewriting, rewriting } from './haproxy-rewrite.ts';
import { type Directive, keyOf, type Section } from './haproxy-sections.ts';
import { type Ledger, Loss } from './losses.ts';

/** A rule that ends the search: an answer of the balancer's own. */
export interface Rule {
  readonly line: Directive;
  readonly condition: Condition;
  readonly action: Action;
}

export interface Rules {
  readonly finals: readonly Rule[];
  readonly rewrites: readonly {
    readonly line: Directive;
    readonly condition: Condition;
    readonly to: Rewriting;
  }[];
  readonly headers: HeaderChanges;
}

const IDLE: Readonly<Record<string, string>> = {
  capture: "Gantry's log has its own fields",
  'set-log-level': "Gantry's log has its own levels",
  'normalize-uri': 'rules see the normalised path anyway',
  'wait-for-body': 'a rule sees the head alone',
  'strict-mode': 'a faulty rule is found by `gantry check`',
  'disable-l7-retry': 'a request is sent again only where that is safe',
  'set-nice': "it tunes HAProxy's own process",
  'unset-var': 'there are no variables',
};

const LOST: readonly (readonly [RegExp, string])[] = [
  [
    /^auth$/,
    'Gantry asks for no passwords, and whoever it kept out gets in now: keep people out by `client`, or by certificates (`tls.clientCa`)',
  ],
  [
    /^(?:track-sc|sc-)/,
    'Gantry counts nothing by client: `limits` and a firewall (nftables `limit rate`) would do',
  ],
  [/^set-var/, 'Gantry has no variables: ask for the fact itself in `when`'],
  [/^cache-/, 'Gantry keeps no answers'],
  [/^use-service/, 'Gantry has no services of its own: its metrics are at `/metrics` of `admin`'],
  [/^(?:replace-header|replace-value)/, 'a header is set, added or removed as a whole'],
  [
    /^(?:set-uri|set-query|set-method|set-pathq|set-pathq|replace-pathq)/,
    'a rule changes the path alone (`rewrite`)',
  ],
  [
    /^(?:set-src|set-dst)/,
    'who the client is comes from the PROXY protocol (`proxyProtocol`) or the headers of `trustedProxies`',
  ],
  [/^(?:add-acl|del-acl|set-map|del-map)/, 'rules are what the file says: change it, and `gantry reload`'],
  [/^(?:set-status|deny)/, 'answers of servers go on as they are'],
  [/^lua\./, 'Gantry takes no programs into its own process'],
  [
    /^(?:set-(?:mark|tos|fc|bc|bandwidth|priority|timeout)|wait-for-handshake|early-hint|send-spoe|pause|do-resolve|expect-)/,
    'Gantry has nothing of the kind',
  ],
];

interface Reading {
  readonly acls: Acls;
  readonly criteria: Criteria;
  readonly ledger: Ledger;
  readonly finals: Rule[];
  readonly rewrites: { line: Directive; condition: Condition; to: Rewriting }[];
  readonly headers: HeaderChanges;
  /** What `allow` and `accept` let through, with their lines; undefined: nobody knows what they let through. */
  exempt: Condition | undefined;
  isRewritten: boolean;
}

export function readRules(section: Section, acls: Acls, criteria: Criteria, ledger: Ledger): Rules {
  const reading: Reading = {
    acls,
    criteria,
    ledger,
    finals: [],
    rewrites: [],
    headers: noChanges(),
    exempt: NEVER,
    isRewritten: false,
  };
  const { directives } = section;
  const of = (...keywords: string[]) => directives.filter(({ words }) => keywords.includes(words[0]!));
  for (const line of of('tcp-request')) attempt(line, reading, readTcp);
  reading.exempt = NEVER;
  if (criteria.protocol === 'http') {
    for (const line of of('http-request')) attempt(line, reading, readHttp);
    reading.exempt = NEVER;
    for (const line of of('redirect')) attempt(line, reading, readRedirect);
    for (const line of of('http-response', 'http-after-response')) attempt(line, reading, readResponse);
  } else {
    for (const line of of('http-request', 'http-response', 'http-after-response', 'redirect'))
      ledger.idle(line, 'HAProxy ignores it with `mode tcp`');
  }
  return reading;
}

function attempt(line: Directive, reading: Reading, read: (line: Directive, reading: Reading) => void): void {
  try {
    read(line, reading);
    if (!reading.ledger.isJudged(line)) reading.ledger.take(line);
  } catch (error) {
    if (!(error instanceof Loss)) throw error;
    const keepsOut = /^(?:deny|reject|tarpit|silent-drop)$/.test(
      line.words[1] === 'content' || keyOf(line) === 'tcp-request'
        ? (line.words[2] ?? '')
        : (line.words[1] ?? ''),
    );
    reading.ledger.lost(line, keepsOut ? `whoever it kept out gets in now: ${error.message}` : error.message);
  }
}

function conditionOf(line: Directive, { acls, criteria, isRewritten }: Reading): Condition {
  const condition = acls.condition(line.words.slice(conditionAt(line.words)), criteria);
  if (isRewritten && asksFor(condition, 'path'))
    throw new Loss(
      "it asks for the path that a rule before it wrote, and routes see the client's: name that",
    );
  return condition;
}

/** Ends the search for those that no `allow` let through before. */
function end(line: Directive, condition: Condition, action: Action, reading: Reading): void {
  if (reading.exempt === undefined)
    throw new Loss('it is for those that rules before it left over, which could not be taken over');
  const rest = all(condition, not(reading.exempt));
  if (!isNever(rest)) reading.finals.push({ line, condition: rest, action });
}

function exempt(condition: () => Condition, reading: Reading): void {
  try {
    if (reading.exempt !== undefined) reading.exempt = any(reading.exempt, condition());
  } catch (error) {
    reading.exempt = undefined;
    throw error;
  }
}

function readTcp(line: Directive, reading: Reading): void {
  const [, stage = '', verb = ''] = line.words;
  const { criteria, ledger } = reading;
  if (stage === 'inspect-delay') {
    ledger.idle(line, 'Gantry waits by itself for what its rules ask for');
  } else if (verb === 'accept') {
    try {
      exempt(() => conditionOf(line, reading), reading);
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      ledger.idle(line, 'Gantry waits by itself for the name that TLS asks for');
    }
  } else if (verb === 'reject' || verb === 'silent-drop') {
    end(line, conditionOf(line, reading), denied(criteria.protocol, '403'), reading);
  } else {
    unknown(line, verb, reading);
  }
}

function readHttp(line: Directive, reading: Reading): void {
  const [, verb = '', ...words] = line.words;
  const parameters = words.slice(0, conditionAt(line.words) - 2);
  const condition = () => conditionOf(line, reading);
  switch (verb) {
    case 'allow':
      exempt(condition, reading);
      break;
    case 'deny':
    case 'reject':
    case 'tarpit':
    case 'silent-drop':
    case 'return':
      end(line, condition(), respond(verb, parameters, line, reading.ledger), reading);
      break;
    case 'redirect':
      end(line, condition(), redirection(parameters, line, reading.ledger), reading);
      break;
    case 'set-path':
    case 'replace-path':
    case 'replace-uri':
      if (reading.rewrites.length > 0)
        throw new Loss('a route has one `rewrite`: that of the rule before it');
      reading.rewrites.push({
        line,
        condition: condition(),
        to: rewriting(verb, parameters, line, reading.ledger),
      });
      reading.isRewritten = true;
      break;
    case 'set-header':
    case 'add-header':
    case 'del-header':
      header(verb, parameters, condition, reading, reading.headers.request);
      break;
    default:
      unknown(line, verb, reading);
  }
}

function readRedirect(line: Directive, reading: Reading): void {
  const parameters = line.words.slice(1, conditionAt(line.words));
  end(line, conditionOf(line, reading), redirection(parameters, line, reading.ledger), reading);
}

function readResponse(line: Directive, reading: Reading): void {
  const [, verb = '', ...words] = line.words;
  const parameters = words.slice(0, conditionAt(line.words) - 2);
  if (/^(?:set|add|del)-header$/.test(verb))
    header(verb, parameters, () => conditionOf(line, reading), reading, reading.headers.response);
  else unknown(line, verb, reading);
}

function header(
  verb: string,
  parameters: readonly string[],
  condition: () => Condition,
  { headers }: Reading,
  changes: HeaderChanges['request'],
): void {
  let when: Condition = ALWAYS;
  try {
    when = condition();
  } catch (error) {
    if (!(error instanceof Loss)) throw error;
    throw new Loss(`headers are changed for the whole VIP, without conditions; and ${error.message}`);
  }
  if (isNever(when)) return;
  if (!isAlways(when))
    throw new Loss(
      'headers are changed for the whole VIP, without conditions: a VIP of its own for these requests would do',
    );
  changeHeader(verb, parameters, changes, headers);
}

function unknown(line: Directive, verb: string, { ledger }: Reading): void {
  const name = verb.replace(/\(.*$/s, '');
  if (!Object.hasOwn(IDLE, name))
    throw new Loss(LOST.find(([verbs]) => verbs.test(name))?.[1] ?? 'Gantry has nothing of the kind');
  ledger.idle(line, IDLE[name]!);
}
