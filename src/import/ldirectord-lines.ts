/** The lines of ldirectord.cf: settings of all, and indented ones of each `virtual` (its manual page, "SYNTAX"). */
import { isIP } from 'node:net';
import type { Ledger, Line } from './losses.ts';

/** `key=value`, with the quotes taken off. */
export interface Setting {
  readonly line: Line;
  readonly key: string;
  readonly value: string;
}

export interface Virtual {
  readonly line: Line;
  readonly host: string;
  readonly port: number;
  /** `servicename`, else nothing. */
  readonly label: string | undefined;
  /** Firewall marks, names: why it cannot be taken over. */
  readonly fault: string | undefined;
  readonly settings: readonly Setting[];
  /** Of all services: what counts where this one says nothing. */
  readonly globals: readonly Setting[];
}

export interface VirtualFile {
  readonly lines: readonly Line[];
  readonly globals: readonly Setting[];
  readonly virtuals: readonly Virtual[];
  /** Indented, before any `virtual`. */
  readonly strays: readonly Line[];
}

/** Never throws, whatever the text. */
export function readVirtuals(text: string): VirtualFile {
  const lines: Line[] = [];
  const globals: Setting[] = [];
  const strays: Line[] = [];
  const virtuals: { line: Line; value: string; settings: Setting[] }[] = [];
  let current: Setting[] | undefined;
  for (const [index, whole] of text.split(/\r?\n/).entries()) {
    const written = withoutComment(whole);
    if (written.trim() === '') continue;
    const line = { number: index + 1, words: written.trim().split(/\s+/) };
    lines.push(line);
    const setting = settingOf(line, written);
    const isIndented = /^(?: {4}|\s*\t)/.test(written);
    if (!isIndented && /^virtual6?$/.test(setting.key)) {
      current = [];
      virtuals.push({ line, value: setting.value, settings: current });
    } else if (!isIndented) {
      current = undefined;
      globals.push(setting);
    } else if (current) current.push(setting);
    else strays.push(line);
  }
  return {
    lines,
    globals,
    strays,
    virtuals: virtuals.map(({ line, value, settings }) => ({
      line,
      ...addressOf(value),
      label: settings.findLast(({ key }) => key === 'servicename')?.value,
      settings,
      globals,
    })),
  };
}

/** A hash begins a comment, but not within quotes, where a request may have one. */
function withoutComment(text: string): string {
  return /^((?:[^"#]|"[^"]*")*)/.exec(text)![1]!.replace(/\s+$/, '');
}

function settingOf(line: Line, written: string): Setting {
  const [, key = '', value = ''] = /^\s*([\w-]*)\s*=?\s*(.*)$/s.exec(written) ?? [];
  return { line, key: key.toLowerCase(), value: unquoted(value) };
}

function unquoted(value: string): string {
  return /^"(.*)"$/s.exec(value)?.[1] ?? value;
}

/** Names of services, for those that a guide writes by name (services(5)). */
const SERVICES: Readonly<Record<string, number>> = {
  'acr-nema': 104,
  dicom: 11112,
  domain: 53,
  ftp: 21,
  http: 80,
  https: 443,
  imap2: 143,
  imaps: 993,
  ldap: 389,
  ldaps: 636,
  'ms-sql-s': 1433,
  mysql: 3306,
  smtp: 25,
  ssh: 22,
  telnet: 23,
};

/** NaN: none. */
export function portOf(written: string): number {
  const port = /^\d{1,5}$/.test(written)
    ? Number(written)
    : Object.hasOwn(SERVICES, written)
      ? SERVICES[written]!
      : Number.NaN;
  return port >= 1 && port <= 65_535 ? port : Number.NaN;
}

function addressOf(value: string): { host: string; port: number; fault: string | undefined } {
  const [, v6, v4, written = ''] = /^(?:\[([0-9A-Fa-f:]+)\]|([\w.-]+)):([\w-]+)$/.exec(value) ?? [];
  const host = v6 ?? v4 ?? '';
  const port = portOf(written);
  const fault = /^\d+$/.test(value)
    ? 'a firewall mark stands for addresses and ports that are marked elsewhere: write a VIP with these addresses in `listen`, all ports with "*"'
    : isIP(host) === 0
      ? `"${value}" is not an IP address and a port: a VIP listens on addresses, not on names`
      : Number.isNaN(port)
        ? `"${written}" is not a port that is known here: write its number`
        : undefined;
  return { host, port, fault };
}

const USED = /^(?:checktimeout|negotiatetimeout|checkinterval|failurecount|checkcount|fallback6?)$/;
const IDLE: Readonly<Record<string, string>> = {
  autoreload: '`gantry reload` or SIGHUP reads the file again',
  callback: '`gantry reload` or SIGHUP reads the file again',
  logfile: 'the log goes to standard output',
  supervised: 'Gantry always runs in the foreground',
  fork: 'checks run beside each other by themselves',
  execute: 'one Gantry serves all VIPs: import that file too',
  quiescent: 'a server that is down gets nothing new, also not by persistence',
  readdquiescent: 'a server that is down gets nothing new, also not by persistence',
  cleanstop: '`layer4.onStop` says whether the rules stay: they do, unless it is `remove`',
};
const LOST: Readonly<Record<string, string>> = {
  emailalert: 'Gantry sends no mail: alert on its metrics (docs/metrics.md)',
  emailalertfreq: 'Gantry sends no mail: alert on its metrics (docs/metrics.md)',
  emailalertfrom: 'Gantry sends no mail: alert on its metrics (docs/metrics.md)',
  emailalertstatus: 'Gantry sends no mail: alert on its metrics (docs/metrics.md)',
  smtp: 'Gantry sends no mail: alert on its metrics (docs/metrics.md)',
  maintenancedir: '`gantry drain POOL/SERVER` and `gantry halt POOL/SERVER` take a server out',
  fallbackcommand: 'Gantry starts no commands: alert on its metrics (docs/metrics.md)',
};

/** What is the same for settings of all and of one service. `false`: somebody else reads it. */
export function judgeCommon({ line, key }: Setting, ledger: Ledger): boolean {
  if (Object.hasOwn(IDLE, key)) ledger.idle(line, IDLE[key]!);
  else if (Object.hasOwn(LOST, key)) ledger.lost(line, LOST[key]!);
  else return false;
  return true;
}

export function judgeGlobals(globals: readonly Setting[], ledger: Ledger): void {
  for (const setting of globals) {
    if (judgeCommon(setting, ledger) || ledger.isJudged(setting.line)) continue;
    if (USED.test(setting.key))
      ledger.idle(setting.line, 'every service says otherwise, or does not need it');
    else ledger.lost(setting.line, 'it is not known here');
  }
}

/** Of the service itself, else of all. */
export function settingFor({ settings, globals }: Virtual, key: string): Setting | undefined {
  return settings.findLast((each) => each.key === key) ?? globals.findLast((each) => each.key === key);
}
