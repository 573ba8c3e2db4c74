/**
 * The kinds of scalar that a configuration is made of. The loader hands every scalar over as its source text, so that
 * `0012` stays `0012`; each kind here says what its text may look like and turns it into a value.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { isAeTitle } from '../../protocols/dicom/associate-write.ts';
import { subjectPattern } from '../../protocols/tls/subject-pattern.ts';

/** What a kind's parser returns when the text is wrong: what is wrong and what would be right. */
class Wrong {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

function scalar<T>(parse: (text: string) => T | Wrong, jsonSchema: Record<string, unknown>) {
  return z
    .string()
    .transform((text, context) => {
      const value = parse(text);
      if (!(value instanceof Wrong)) return value;
      context.issues.push({ code: 'custom', message: value.message, input: text });
      return z.NEVER;
    })
    .meta(jsonSchema);
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** What an editor may see where the loader sees text: `0012` is a number to it. */
const ANY_SCALAR = ['string', 'number', 'boolean'];

/** Any text but the empty one. */
export const text = scalar((written) => (written === '' ? new Wrong('is empty') : written), {
  type: ANY_SCALAR,
  minLength: 1,
});

/** A name that others refer to. */
export const word = scalar(
  (written) =>
    /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(written)
      ? written
      : new Wrong(`"${written}" is not a name: letters, digits, "_", "-" and "." would be right`),
  { type: ANY_SCALAR, pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$' },
);

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** A token (RFC 9110 5.6.2): the name of a header, a cookie. */
export const token = scalar(
  (written) =>
    isToken(written)
      ? written
      : new Wrong(`"${written}" is not a name: letters, digits and any of !#$%&'*+-.^_\`|~ would be right`),
  { type: ANY_SCALAR, pattern: TOKEN.source },
);

export function isToken(written: string): boolean {
  return TOKEN.test(written);
}

/** A duration in milliseconds. Longest: 87600h, ten years. */
export function duration(options: { zero?: boolean } = {}) {
  return scalar(
    (written) => {
      const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(written);
      if (options.zero && written === '0') return 0;
      if (!match) return new Wrong(`"${written}" is not a duration: 500ms, 5s, 30m or 72h would be right`);
      const ms = Math.round(Number(match[1]) * UNITS[match[2] as keyof typeof UNITS]);
      if (ms > 87_600 * UNITS.h) return new Wrong(`"${written}" is too long: at most 87600h`);
      if (ms === 0 && !options.zero) return new Wrong(`"${written}" is no time at all: 1ms is the least`);
      return ms;
    },
    options.zero
      ? { type: ['string', 'integer'], pattern: '^(0|\\d+(\\.\\d+)?(ms|s|m|h))$' }
      : { pattern: '^\\d+(\\.\\d+)?(ms|s|m|h)$' },
  );
}

const SIZES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** A size in bytes. */
export function size(least: number, most: number) {
  return scalar(
    (written) => {
      const match = /^(\d+)(B|KiB|MiB|GiB)$/.exec(written);
      if (!match) return new Wrong(`"${written}" is not a size: 64KiB or 16MiB would be right`);
      const bytes = Number(match[1]) * SIZES[match[2] as keyof typeof SIZES];
      if (bytes < least || bytes > most) {
        return new Wrong(
          `${written} is out of range: ${sizeText(least)} to ${sizeText(most)} would be right`,
        );
      }
      return bytes;
    },
    { pattern: '^\\d+(B|KiB|MiB|GiB)$' },
  );
}

function sizeText(bytes: number): string {
  const unit = (['GiB', 'MiB', 'KiB'] as const).find((name) => bytes % SIZES[name] === 0) ?? 'B';
  return `${bytes / SIZES[unit]}${unit}`;
}

/** A whole number from `least` to `most`. */
export function integer(least: number, most: number) {
  const range = `a whole number from ${least} to ${most} would be right`;
  return scalar(
    (written) => {
      if (!/^-?\d{1,15}$/.test(written)) return new Wrong(`"${written}" is not a whole number: ${range}`);
      const value = Number(written);
      return value < least || value > most ? new Wrong(`${value} is out of range: ${range}`) : value;
    },
    { type: 'integer', minimum: least, maximum: most },
  );
}

/** Status codes of HTTP: `200`, or a range such as `200-399`. */
export const statusRange = scalar(
  (written) => {
    const match = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(written);
    const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    return match && from <= to
      ? { from, to }
      : new Wrong(`"${written}" is not a status code: 200, or 200-399 would be right`);
  },
  { type: ANY_SCALAR, examples: ['200', '200-399'] },
);

/** A share from 0 to 1, or as a percentage. */
export const share = scalar(
  (written) => {
    const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(written);
    const value = match ? Number(match[1]) / (match[2] ? 100 : 1) : Number.NaN;
    return value >= 0 && value <= 1
      ? value
      : new Wrong(`"${written}" is not a share: 0.5 or 50% would be right`);
  },
  { type: ['number', 'string'], minimum: 0, maximum: 1 },
);

/** true or false. */
export const flag = scalar(
  (written) =>
    written === 'true' || written === 'false'
      ? written === 'true'
      : new Wrong(`"${written}" is neither true nor false`),
  { type: 'boolean' },
);

/** A DICOM AE title (PS3.5 6.2, VR AE): 1 to 16 characters, no backslash, no control characters, not all spaces. */
export const aeTitle = scalar(
  (written) =>
    isAeTitle(written)
      ? written.trim()
      : new Wrong(`"${written}" is not an AE title: 1 to 16 characters of ASCII without "\\" would be right`),
  { type: ANY_SCALAR, minLength: 1, maxLength: 16 },
);

/** Names of which the subject of a certificate has each: `CN=ct1,O=Hospital` (RFC 4514), `*` for a part of a value. */
export const subject = scalar(
  (written) =>
    subjectPattern(written) === undefined
      ? new Wrong(`"${written}" is no name in a subject: "CN=ct1" or "CN=ct1,O=Hospital" would be right`)
      : written,
  { type: ANY_SCALAR, examples: ['CN=ct1', 'CN=ct1,O=Hospital'] },
);

/** One of `values`. */
export function choice<const T extends string>(values: readonly T[]) {
  return scalar(
    (written) =>
      (values as readonly string[]).includes(written)
        ? (written as T)
        : new Wrong(`"${written}" is unknown: ${oneOf(values)} would be right`),
    { type: ANY_SCALAR, enum: values.flatMap(inAnEditor) },
  );
}

/** `1` is a number there; `1.2` is one, and text when it is quoted. */
function inAnEditor(value: string): (string | number)[] {
  if (/^\d+$/.test(value)) return [Number(value)];
  return /^\d+\.\d+$/.test(value) ? [value, Number(value)] : [value];
}

/** `a, b or c`. */
export function oneOf(values: readonly string[]): string {
  return values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

interface Listening<Port = number> {
  readonly host: string;
  readonly port: Port;
}

function listening(written: string): Listening | Wrong {
  const right = '"10.0.0.4:104" or "[fd00::4]:104" would be right';
  const parts = splitAddress(written);
  if (!parts || parts.port === undefined)
    return new Wrong(`"${written}" is not an address and a port: ${right}`);
  if (!isIP(parts.host)) return new Wrong(`"${parts.host}" is not an IP address: ${right}`);
  if (parts.port > 65_535) return new Wrong(`${parts.port} is not a port: 0 to 65535 would be right`);
  return { host: parts.host, port: parts.port };
}

/** An address to listen on: an IP address and a port; port 0 is chosen by the system. */
export const listenAddress = scalar(listening, { examples: ['10.0.0.4:104', '[fd00::4]:104'] });

/** The address of a VIP: as `listenAddress`, or with `*` for all ports. */
export const vipAddress = scalar(
  (written): Listening<number | '*'> | Wrong => {
    if (!written.endsWith(':*')) return listening(written);
    const host = splitAddress(`${written.slice(0, -1)}1`)?.host;
    return host !== undefined && isIP(host)
      ? { host, port: '*' }
      : new Wrong(`"${written}" is not an IP address and all ports: "10.0.0.6:*" would be right`);
  },
  { examples: ['10.0.0.4:104', '[fd00::4]:104', '10.0.0.6:*'] },
);

/** The name of a network interface, as Linux has them. */
export const interfaceName = scalar(
  (written) =>
    /^[A-Za-z0-9_][\w.+-]{0,14}$/.test(written)
      ? written
      : new Wrong(`"${written}" is not the name of a network interface: eth0 or eth0.100 would be right`),
  { type: ANY_SCALAR, examples: ['eth0', 'eth0.100'] },
);

/** `client`, or an address of this machine. */
export const sourceAddress = scalar(
  (written) =>
    written === 'client' || isIP(written)
      ? written
      : new Wrong(
          `"${written}" is neither "client" nor an IP address: "client" or "10.0.0.4" would be right`,
        ),
  { examples: ['client', '10.0.0.4'] },
);

/** Where a server is: an IP address or a host name, and a port or none (then: the port the client came to). */
export const serverAddress = scalar(
  (written) => {
    const right = '"10.0.0.11:11112", "pacs.example:104" or "[fd00::11]:104" would be right';
    const parts = splitAddress(written);
    if (!parts) return new Wrong(`"${written}" is not an address: ${right}`);
    if (!isHost(parts.host))
      return new Wrong(`"${parts.host}" is neither an IP address nor a host name: ${right}`);
    if (parts.port !== undefined && (parts.port < 1 || parts.port > 65_535)) {
      return new Wrong(`${parts.port} is not a port: 1 to 65535 would be right`);
    }
    return { written, host: parts.host, port: parts.port };
  },
  { examples: ['10.0.0.11:11112', 'pacs.example:104'] },
);

/** Where something is that is dialled: an IP address or a host name, and a port. */
export const destination = scalar(
  (written) => {
    const right = '"10.0.0.11:104" or "ct1.example:104" would be right';
    const parts = splitAddress(written);
    if (!parts || parts.port === undefined || !isHost(parts.host)) {
      return new Wrong(`"${written}" is not a host and a port: ${right}`);
    }
    if (parts.port < 1 || parts.port > 65_535) {
      return new Wrong(`${parts.port} is not a port: 1 to 65535 would be right`);
    }
    return { host: parts.host, port: parts.port };
  },
  { examples: ['10.0.0.11:104', 'ct1.example:104'] },
);

/** An IP address or a host name, without a port. */
export const hostAddress = scalar(
  (written) =>
    isHost(written) ? written : new Wrong(`"${written}" is neither an IP address nor a host name`),
  { examples: ['10.0.0.11'] },
);

/** The name of a host: no address, no port. */
export const hostName = scalar(
  (written) =>
    isHost(written) && !isIP(written)
      ? written
      : new Wrong(`"${written}" is not a host name: pacs.example would be right`),
  { examples: ['pacs.example'] },
);

/** `10.1.0.0/16`, or a single address. */
export const network = scalar(
  (written) =>
    isNetwork(written) ? written : new Wrong(`"${written}" is not a network: 10.1.0.0/16 would be right`),
  { examples: ['10.1.0.0/16'] },
);

export function isNetwork(written: string): boolean {
  const [address = '', prefix, ...more] = written.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  if (prefix === undefined) return true;
  // An IPv4 address in IPv6 form has its prefix counted in that form too.
  const least = /^::ffff:/i.test(address) ? 96 : 0;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) >= least && Number(prefix) <= (family === 4 ? 32 : 128);
}

/** `HOST:PORT`, `[IPV6]:PORT`, or either without a port. */
function splitAddress(written: string): { host: string; port: number | undefined } | undefined {
  if (isIP(written) === 6) return { host: written, port: undefined };
  const match = /^(?:\[([0-9A-Fa-f:.%a-z]+)\]|([^:[\]\s]+))(?::(\d{1,9}))?$/.exec(written);
  if (!match || (match[1] !== undefined && isIP(match[1]) !== 6)) return undefined;
  return { host: match[1] ?? match[2] ?? '', port: match[3] === undefined ? undefined : Number(match[3]) };
}

function isHost(written: string): boolean {
  if (isIP(written)) return true;
  const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
  // Digits and dots alone are an address gone wrong, not a name.
  return new RegExp(`^${label}(?:\\.${label})*\\.?$`).test(written) && !/^[\d.]+$/.test(written);
}
