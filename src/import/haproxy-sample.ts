/** Sample expressions: a fetch and its converters, `req.hdr(host),lower` (HAProxy's manual, 7.3). */

/** A fetch with its arguments, and the converters after it: `req.hdr(host),lower`. */
export interface Sample {
  readonly name: string;
  readonly argument: string | undefined;
  readonly converters: readonly { readonly name: string; readonly argument: string | undefined }[];
}

/** undefined: it is no sample expression. */
export function readSample(written: string): Sample | undefined {
  const parts: { name: string; argument: string | undefined }[] = [];
  let rest = written;
  for (;;) {
    const match = /^([A-Za-z0-9_.-]+)(?:\(((?:"[^"]*"|'[^']*'|[^()"'])*)\))?(,|$)/.exec(rest);
    if (!match) return undefined;
    parts.push({ name: match[1]!, argument: match[2]?.replace(/^(["'])([^"']*)\1$/, '$2') });
    if (match[3] === '') break;
    rest = rest.slice(match[0].length);
  }
  const [first, ...converters] = parts;
  return { name: first!.name, argument: first!.argument, converters };
}

/** `"^/a,b",/c,g` → its parts, with the quotes taken off. */
export function argumentsOf(argument: string): string[] {
  const parts = argument.match(/(?:"[^"]*"|'[^']*'|[^,"'])+|(?<=,|^)(?=,|$)/g) ?? [];
  return parts.map((part) => part.replace(/^(["'])([^"']*)\1$/, '$2'));
}
