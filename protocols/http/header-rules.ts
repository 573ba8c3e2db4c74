/** Header fields that a VIP sets, adds and removes, in requests or in responses. */

export interface HeaderRules {
  /** Name → the one value that the message has from then on. */
  readonly set?: Readonly<Record<string, string>>;
  /** Name → a value more. */
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

/** Takes flat fields, changes and returns them. */
export type HeaderRewriter = (fields: string[]) => string[];

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 5.5. */
const VALUE = /^(?:[!-~\u0080-\u00ff](?:[\t -~\u0080-\u00ff]*[!-~\u0080-\u00ff])?)?$/;

/** Fields that say where a message ends or what becomes of the connection: the balancer writes them. */
const OWN: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What is wrong with a rule about the field `name`, an operator's sentence; undefined: nothing. */
export function headerFault(name: string, value?: string): string | undefined {
  if (!TOKEN.test(name)) return `"${name}" is not the name of a header field: X-Site would be right`;
  if (OWN.has(name.toLowerCase())) return `"${name}" is written by the balancer itself: leave it out`;
  if (value !== undefined && !VALUE.test(value)) {
    return `the value of "${name}" has characters that a header field cannot hold: printable ASCII would be right`;
  }
  return undefined;
}

/** Compiles rules; undefined: they change nothing. Throws an Error with an operator's sentence. */
export function compileHeaderRules({
  set = {},
  add = {},
  remove = [],
}: HeaderRules): HeaderRewriter | undefined {
  for (const [name, value] of [...Object.entries(set), ...Object.entries(add)]) check(name, value);
  for (const name of remove) check(name);
  const replaced = new Set([...remove, ...Object.keys(set)].map(hyphened));
  const lengths = new Set([...replaced].map((name) => name.length));
  const added = [...Object.entries(set), ...Object.entries(add)].flat();
  if (replaced.size === 0 && added.length === 0) return undefined;
  return (fields) => {
    let to = 0;
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at]!;
      if (lengths.has(name.length) && replaced.has(hyphened(name))) continue;
      fields[to++] = name;
      fields[to++] = fields[at + 1]!;
    }
    fields.length = to;
    fields.push(...added);
    return fields;
  };
}

/** As servers see it that take underscores for hyphens: what a rule replaces must not come to them in another spelling. */
function hyphened(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

function check(name: string, value?: string): void {
  const fault = headerFault(name, value);
  if (fault !== undefined) throw new Error(fault);
}
