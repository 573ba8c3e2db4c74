/** The rules of a frontend and of the backends behind it, in the order that HAProxy asks them → `routes` and `pool` of a VIP. */

import { ALWAYS, all, asksFor, type Condition, fact, isAlways, isNever, whenOf } from './condition.ts';
import { Remarked, type Tree } from './draft.ts';
import type { Acls } from './haproxy-acl.ts';
import { conditionAt, something } from './haproxy-acl.ts';
import { type Action, denied } from './haproxy-actions.ts';
import type { Backend } from './haproxy-backend.ts';
import type { Criteria } from './haproxy-criteria.ts';
import { type Rules, readRules } from './haproxy-http-rules.ts';
import { type Directive, lastOf, type Section } from './haproxy-sections.ts';
import { type Ledger, Loss } from './losses.ts';

export interface Routes {
  readonly routes: readonly Remarked[];
  readonly pool: string | undefined;
  /** Those that are led to, the default one first. */
  readonly backends: readonly Backend[];
  readonly rules: Rules;
  /** Of the backends, where all requests go to one. */
  readonly backendRules: Rules | undefined;
}

export interface RouteOptions {
  readonly acls: Acls;
  readonly criteria: Criteria;
  /** What the VIP speaks: `criteria.protocol`, or what is inside that TCP. */
  readonly protocol: string;
  readonly backendOf: (name: string) => Backend | undefined;
  readonly ledger: Ledger;
}

/** One place that work may go to. */
interface Switch {
  readonly line: Directive;
  readonly condition: Condition;
  readonly backend: Backend;
}

export function routesOf(section: Section, options: RouteOptions): Routes {
  const { criteria, ledger, acls, protocol } = options;
  const rules = readRules(section, acls, criteria, ledger);
  const builder = new Builder(protocol, criteria.protocol);
  const monitor = criteria.protocol === 'http' ? lastOf(section, 'monitor-uri') : undefined;
  if (monitor?.words[1]?.startsWith('/')) {
    ledger.take(monitor);
    const tree = { respond: { status: '200', body: 'Service ready.\n' } };
    builder.add(monitor, fact('path', [monitor.words[1]]), { tree });
  }
  for (const { line, condition, action } of rules.finals) builder.add(line, condition, action);
  const switches = switchesOf(section, options);
  const places = new Map<Backend, Rules>();
  const isPathAsked = switches.some(({ condition }) => asksFor(condition, 'path'));
  for (const { line } of isPathAsked ? rules.rewrites : [])
    ledger.lost(
      line,
      "`use_backend` asks for the path after it, and routes see the client's: put it into the backends",
    );
  for (const { line, condition, backend } of switches) {
    const own =
      places.get(backend) ??
      (backend.section === section ? undefined : readRules(backend.section, backend.acls, criteria, ledger));
    if (own) places.set(backend, own);
    for (const final of own?.finals ?? [])
      builder.add(final.line, all(condition, final.condition), final.action);
    const rewrites = [...(isPathAsked ? [] : rules.rewrites), ...(own?.rewrites ?? [])];
    for (const rewrite of rewrites.slice(1))
      ledger.lost(rewrite.line, 'a route has one `rewrite`: that of the rule before it');
    const [rewrite] = rewrites;
    if (rewrite && backend.pool) {
      const { pattern, path } = rewrite.to;
      builder.add(rewrite.line, all(fact('path', [pattern]), condition, rewrite.condition), {
        tree: { pool: backend.pool.name, rewrite: { path } },
      });
    }
    if (backend.pool) builder.lead(line, condition, backend.pool.name);
    else builder.add(line, condition, denied(protocol, '503'));
  }
  const backends = [...new Set(switches.map(({ backend }) => backend))].reverse();
  for (const [backend, own] of places) {
    if (backends.length > 1) unmixed(own, backend, ledger);
  }
  return {
    routes: builder.routes,
    pool: builder.pool,
    backends,
    rules,
    backendRules: backends.length === 1 ? places.get(backends[0]!) : undefined,
  };
}

/** `use_backend`s in their order, then the default one. */
function switchesOf(section: Section, { acls, criteria, backendOf, ledger }: RouteOptions): Switch[] {
  const switches: Switch[] = [];
  const add = (line: Directive, name: string, condition: Condition): void => {
    if (name.includes('%['))
      throw new Loss(
        'a name that is worked out: a route for each value says the same (`when: { host: … }, pool: …`)',
      );
    const backend = backendOf(name);
    if (!backend) throw new Loss(`there is no backend "${name}"`);
    if (backend.isLost) throw new Loss(`no server of backend "${name}" could be taken over`);
    ledger.take(line);
    if (!isNever(condition)) switches.push({ line, condition, backend });
  };
  for (const line of section.directives) {
    if (line.words[0] !== 'use_backend') continue;
    try {
      add(line, line.words[1] ?? '', acls.condition(line.words.slice(conditionAt(line.words)), criteria));
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      ledger.lost(line, error.message);
    }
  }
  const own = section.kind === 'listen' ? backendOf(section.name) : undefined;
  const line = lastOf(section, 'default_backend');
  try {
    if (line) add(line, line.words[1] ?? '', ALWAYS);
    else if (own?.pool)
      switches.push({ line: own.section.line as Directive, condition: ALWAYS, backend: own });
  } catch (error) {
    if (!(error instanceof Loss) || !line) throw error;
    ledger.lost(line, error.message);
  }
  return switches;
}

/** Headers of one backend among several. */
function unmixed({ headers }: Rules, { section }: Backend, ledger: Ledger): void {
  const changed = [headers.request, headers.response].some(
    ({ set, add, remove }) => Object.keys({ ...set, ...add }).length + remove.length > 0,
  );
  if (!changed) return;
  for (const line of section.directives) {
    if (/^(?:set|add|del)-header$/.test(line.words[1] ?? ''))
      ledger.lost(
        line,
        'headers are changed for the whole VIP, and this one has several backends: a VIP of its own would do',
      );
  }
}

class Builder {
  readonly routes: Remarked[] = [];
  pool: string | undefined;
  readonly #protocol: string;
  readonly #kind: 'http' | 'tcp';
  /** A rule took all that there is: what comes after it is never asked. */
  #isClosed = false;

  constructor(protocol: string, kind: 'http' | 'tcp') {
    this.#protocol = protocol;
    this.#kind = kind;
  }

  add(line: Directive, condition: Condition, action: Action): void {
    if (this.#isClosed || isNever(condition)) return;
    const isAll = isAlways(condition);
    // `$1` comes from the pattern of `path` that stands in the `when` itself.
    const asked = action.path === undefined ? condition : all(fact('path', [action.path]), condition);
    const tree = action.tree.reject === 'close' ? denied(this.#protocol, '403').tree : action.tree;
    const when: Tree = whenOf(something(asked, this.#kind));
    this.routes.push(new Remarked({ when, ...tree }, `line ${line.number}`));
    if (isAll) this.#isClosed = true;
  }

  /** The pool of all the rest is the VIP's own. */
  lead(line: Directive, condition: Condition, pool: string): void {
    if (this.#isClosed || isNever(condition)) return;
    if (isAlways(condition)) {
      this.pool = pool;
      this.#isClosed = true;
    } else {
      this.add(line, condition, { tree: { pool } });
    }
  }
}
