/** What is wrong with a text that is not YAML, in an operator's words, with the advice that mostly helps. */

/** The parser's own messages, where a plainer sentence exists. */
const SENTENCES: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key is here twice: names are unique',
  TAB_AS_INDENT: 'a tab indents this line: YAML is indented with spaces',
  MULTIPLE_DOCS: 'a second document begins here: one file is one configuration',
  BAD_ALIAS: 'a value that begins with * must be quoted',
  BAD_SCALAR_START: 'a value that begins with @, % or ` must be quoted',
  BLOCK_AS_IMPLICIT_KEY: 'a second ":" on this line: quote the value, or begin a new line',
  TAG_RESOLVE_FAILED: 'a value that begins with ! must be quoted',
};

/** Text that YAML takes apart inside braces unless it is quoted, and what to call it. */
const FRAGILE: readonly { readonly pattern: RegExp; readonly what: string }[] = [
  { pattern: /(?<!["'$\w])\$\{[A-Za-z_]\w*\}/, what: 'a name of the environment' },
  { pattern: /\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)/, what: 'a tag' },
  { pattern: /[:[,]\s*\/[^\s"']*[[\]{},]/, what: 'a regular expression' },
];

/** `code` and `message` are the parser's; `offset` is where it stopped. */
export function syntaxFaultMessage(code: string, message: string, text: string, offset: number): string {
  const sentence = SENTENCES[code] ?? `this is not YAML: ${message}`;
  const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1).split('\n', 1)[0] ?? '';
  const unquoted = line.replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '""');
  const fragile = FRAGILE.find(({ pattern }) => /[{[]/.test(unquoted) && pattern.test(unquoted));
  return fragile && code !== 'DUPLICATE_KEY'
    ? `${sentence}; inside braces, ${fragile.what} must be quoted: "…"`
    : sentence;
}
