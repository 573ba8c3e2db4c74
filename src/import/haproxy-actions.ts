/** Answers of the balancer's own: `deny`, `return`, `redirect`. */
import type { Tree } from './draft.ts';
import type { Directive } from './haproxy-sections.ts';
import { type Ledger, Loss } from './losses.ts';

export interface Action {
  /** Keys of a route. */
  readonly tree: Tree;
  /** The pattern of `path` that `$1` in it comes from. */
  readonly path?: string;
}

export function denied(protocol: string, status: string): Action {
  const names: Readonly<Record<string, string>> = { tcp: 'close', dicom: 'no-reason-given', hl7: 'AR' };
  return { tree: { reject: names[protocol] ?? status } };
}

/** `deny [deny_status N]`, `return status N content-type T string S`. Throws a Loss. */
export function respond(verb: string, words: readonly string[], line: Directive, ledger: Ledger): Action {
  const said = new Map<string, string>();
  for (let at = 0; at < words.length; at += 2) {
    const [word = '', value = ''] = words.slice(at, at + 2);
    said.set(word === 'deny_status' ? 'status' : word, value);
    if (word === 'hdr') {
      at += 1;
      ledger.lost(line, '`respond` has a status, a body and its type', `hdr ${value}`);
    }
  }
  if (verb === 'silent-drop' || verb === 'tarpit')
    ledger.changed(line, 'it is answered, and at once: Gantry keeps nobody waiting', verb);
  const usual = { return: '200', tarpit: '500' }[verb] ?? '403';
  const status = said.get('status') ?? usual;
  if (!/^[2-5]\d\d$/.test(status))
    throw new Loss(`"${status}" is no status that an answer can have: 200 to 599 would be right`);
  const body = bodyOf(said);
  if (body === undefined && Number(status) >= 400) return { tree: { reject: status } };
  const hasBody = body !== undefined && !/^(?:204|205|304)$/.test(status);
  return {
    tree: {
      respond: {
        status,
        body: hasBody ? body : undefined,
        type: hasBody ? typeOf(said.get('content-type')) : undefined,
      },
    },
  };
}

function typeOf(written: string | undefined): string | undefined {
  if (written !== undefined && !/^[!-~][ -~]*$/.test(written))
    throw new Loss(`"${written}" is no type of content`);
  return written;
}

function bodyOf(said: ReadonlyMap<string, string>): string | undefined {
  for (const word of ['errorfile', 'errorfiles', 'default-errorfiles', 'file', 'lf-file']) {
    if (said.has(word))
      throw new Loss(
        '`respond` takes a body from a file: `body: file:PATH`, without the head that an error file has',
      );
  }
  const body = said.get('string') ?? said.get('lf-string');
  if (said.has('lf-string') && body?.includes('%'))
    throw new Loss('`respond` says the same to everybody: it has no variables');
  if (body?.startsWith('file:')) throw new Loss('a body that begins with "file:" would be read from a file');
  return body;
}

const WHOLE_URI = String.raw`%\[(?:capture\.req\.uri|pathq|url|path|req\.uri)\]`;
const HOST = String.raw`%\[(?:req\.)?hdr\(host\)(?:,[^\]]*)?\]`;

/** `scheme https`, `location URL`, `prefix URL`, each with `code N`. Throws a Loss. */
export function redirection(words: readonly string[], line: Directive, ledger: Ledger): Action {
  const said = new Map<string, string>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (/^(?:location|prefix|scheme|code|set-cookie|clear-cookie)$/.test(word))
      said.set(word, words[++at] ?? '');
    else if (word === 'drop-query' || word === 'append-slash')
      ledger.changed(line, 'the query of the client goes along, and the path as it is', word);
    else if (word !== 'ignore-empty' && word !== 'keep-query') throw new Loss(`"${word}" is not known here`);
  }
  for (const word of ['set-cookie', 'clear-cookie'])
    if (said.has(word)) ledger.lost(line, 'a redirect of Gantry sets no cookie', word);
  const status = said.get('code') ?? '302';
  if (!/^30[12378]$/.test(status))
    throw new Loss(`${status} is no redirect: 301, 302, 303, 307 or 308 would be right`);
  const { to, path } = targetOf(said);
  if (!/^(?:https?:\/\/(?:\$host|(?:(?![/?#$])[!-~])+)(?:[/?#]|$)|\/)[\x21-\x7e]*$/.test(to))
    throw new Loss(`"${to}" is no URL that a redirect can lead to: "https://new.example/" would be right`);
  const tree = { redirect: status === '302' && path === undefined ? to : { to, status } };
  return path === undefined ? { tree } : { tree, path };
}

function targetOf(said: ReadonlyMap<string, string>): { to: string; path?: string } {
  const scheme = said.get('scheme');
  if (scheme === 'http' || scheme === 'https') return { to: `${scheme}://$host/$1`, path: '/*' };
  const prefix = said.get('prefix');
  if (prefix !== undefined) {
    const start = new RegExp(`^(https?)://${HOST}(.*)$`, 'i').exec(prefix);
    const to = start ? `${start[1]}://$host${literal(start[2]!)}` : literal(prefix);
    return { to: `${to.replace(/\/$/, '')}/$1`, path: '/*' };
  }
  const location = said.get('location') ?? '';
  const match = new RegExp(`^(https?)://(?:(${HOST})|([^%/]+))(/[^%]*?)?/?(${WHOLE_URI})?$`, 'i').exec(
    location,
  );
  if (match && (match[2] !== undefined || match[5] !== undefined)) {
    const [, protocol, host, name, folder = '', rest] = match;
    const origin = `${protocol!.toLowerCase()}://${host === undefined ? name : '$host'}${literal(folder)}`;
    return { to: `${origin}/${rest === undefined ? '' : '$1'}`, path: '/*' };
  }
  return { to: literal(location) };
}

/** A log-format text without variables. Throws a Loss. */
export function literal(format: string): string {
  if (/%(?!%)/.test(format.replaceAll('%%', '')))
    throw new Loss('it is made of variables, which Gantry has not: a route for each case says the same');
  return format.replaceAll('%%', '%').replaceAll('$', '$$$$');
}
