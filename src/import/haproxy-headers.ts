/** `set-header`, `add-header`, `del-header` → `headers` and `forwarded` of a VIP. */
import { Loss } from './losses.ts';

interface Changes {
  readonly set: Record<string, string>;
  readonly add: Record<string, string>;
  readonly remove: string[];
}

export interface HeaderChanges {
  readonly request: Changes;
  readonly response: Changes;
  /** Headers say who the client is, instead of what it said itself. */
  replacesForwarded: boolean;
  /** Headers that only Gantry's own forwarding can write. */
  needsForwarded: boolean;
}

export function noChanges(): HeaderChanges {
  const none = () => ({ set: {}, add: {}, remove: [] });
  return { request: none(), response: none(), replacesForwarded: false, needsForwarded: false };
}

/** What Gantry writes itself, and the values that HAProxy's rules have for it. */
const FORWARDED: Readonly<Record<string, RegExp>> = {
  'x-forwarded-for': /^%(?:ci|\[src\])$/,
  'x-forwarded-port': /^%(?:fp|\[dst_port\])$/,
  'x-forwarded-host': /^%\[(?:req\.)?hdr\(host\)\]$/i,
};
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^(?:[!-~](?:[\t -~]*[!-~])?)?$/;
/** The balancer writes these itself. */
const OWN =
  /^(?:connection|content-length|expect|keep-alive|te|trailer|transfer-encoding|upgrade|host|proxy-connection)$/i;

/** Throws a Loss. `changes` are those of requests or of responses. */
export function changeHeader(
  verb: string,
  [name = '', format = '']: readonly string[],
  changes: Changes,
  headers: HeaderChanges,
): void {
  if (!TOKEN.test(name) || name === '__proto__') throw new Loss(`"${name}" is not the name of a header`);
  if (OWN.test(name)) throw new Loss(`"${name}" is the balancer's own to write`);
  const lower = name.toLowerCase();
  if (verb === 'del-header') {
    if (format !== '') throw new Loss('headers are removed by their name');
    if (lower === 'x-forwarded-for' && changes === headers.request) headers.replacesForwarded = true;
    else changes.remove.push(name);
    return;
  }
  if (Object.hasOwn(FORWARDED, lower) && FORWARDED[lower]!.test(format)) {
    headers.needsForwarded = true;
    if (lower === 'x-forwarded-for' && verb === 'set-header') headers.replacesForwarded = true;
    return;
  }
  if (/%(?!%)/.test(format.replaceAll('%%', '')))
    throw new Loss(
      `the value of a header is text, without variables; who the client is stands in X-Forwarded-For and Forwarded`,
    );
  const value = format.replaceAll('%%', '%').trim();
  if (!VALUE.test(value)) throw new Loss('that is no value of a header: printable ASCII would be right');
  if (verb === 'add-header') {
    const before = changes.add[name];
    changes.add[name] = before === undefined ? value : `${before}, ${value}`;
  } else changes.set[name] = value;
}
