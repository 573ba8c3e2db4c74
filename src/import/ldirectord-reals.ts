/** `real` and `fallback` lines → the servers of a pool, and the mode of its VIP. */
import { isIP } from 'node:net';
import { describeEndpoint } from '../endpoint.ts';
import { Names } from './draft.ts';
import { portOf, type Setting, settingFor, type Virtual } from './ldirectord-lines.ts';
import { type Ledger, Loss } from './losses.ts';

interface RealServer {
  readonly name: string;
  readonly host: string;
  /** With a port, in mode nat. */
  readonly address: string;
  readonly weight: number | undefined;
  readonly backup: true | undefined;
}

const MODES: Readonly<Record<string, 'dr' | 'nat'>> = { gate: 'dr', masq: 'nat' };
/** Ranges that are longer are a mistake. */
const MOST = 1024;

/** Throws a Loss when there is no server, or the service is none that a VIP can be. */
export function readReals(virtual: Virtual, ledger: Ledger): { servers: RealServer[]; mode: 'dr' | 'nat' } {
  if (virtual.fault !== undefined) throw new Loss(virtual.fault);
  const protocol = settingFor(virtual, 'protocol');
  if ((protocol?.value ?? (virtual.port === 53 ? 'udp' : 'tcp')) !== 'tcp')
    throw new Loss('Gantry forwards TCP: leave UDP with LVS');
  if (protocol) ledger.take(protocol.line);
  const servers: RealServer[] = [];
  const names = new Names();
  let mode: 'dr' | 'nat' | undefined;
  for (const setting of virtual.settings) {
    if (!/^real6?$/.test(setting.key)) continue;
    try {
      const real = readReal(setting, virtual, ledger);
      if (mode !== undefined && real.mode !== mode)
        throw new Loss(`all servers of a VIP are in one mode, as the first one: \`mode: ${mode}\``);
      mode = real.mode;
      ledger.take(setting.line);
      for (const host of real.hosts) servers.push(serverOf(host, real, names, undefined));
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      ledger.lost(setting.line, error.message);
    }
  }
  if (mode === undefined) throw new Loss('it has no server that could be taken over');
  addFallback(virtual, mode, servers, names, ledger);
  return { servers, mode };
}

interface Real {
  readonly hosts: readonly string[];
  readonly port: number | undefined;
  readonly mode: 'dr' | 'nat';
  readonly weight: number | undefined;
}

function serverOf(
  host: string,
  { port, weight }: Omit<Real, 'hosts' | 'mode'>,
  names: Names,
  backup: true | undefined,
) {
  const address = port === undefined ? host : describeEndpoint({ host, port });
  return { name: names.take(host.replaceAll(':', '-')), host, address, weight, backup };
}

/** `ADDRESS[->ADDRESS][:PORT] gate|masq|ipip [WEIGHT] ["REQUEST", "RECEIVE"]`. Throws a Loss. */
function readReal({ line, value }: Setting, virtual: Virtual, ledger: Ledger): Real {
  const [where = '', method = '', ...rest] = value.split(/\s+/);
  const match = /^(\[[0-9A-Fa-f:]+\]|[\w.-]+?)(?:->(\[[0-9A-Fa-f:]+\]|[\w.-]+?))?(?::([\w-]+))?$/.exec(where);
  if (!match) throw new Loss(`"${where}" is not an address`);
  const mode = Object.hasOwn(MODES, method) ? MODES[method] : undefined;
  if (mode === undefined) {
    throw new Loss(
      method === 'ipip'
        ? 'Gantry makes no tunnels: in one network `gate` (mode dr) does the same, else `masq` (mode nat)'
        : `"${method}" is no way to forward: gate or masq would be right`,
    );
  }
  const port = match[3] === undefined || match[3] === '0' ? undefined : portOf(match[3]);
  if (port !== undefined && Number.isNaN(port))
    throw new Loss(`"${match[3]}" is not a port that is known here: write its number`);
  if (mode === 'dr' && port !== undefined && port !== virtual.port)
    ledger.changed(
      line,
      `with gate a server has the port of the VIP, ${virtual.port}, as in LVS`,
      `:${match[3]}`,
    );
  for (const limit of rest.filter((word) => /^[lu]:\d+$/.test(word)))
    ledger.lost(line, 'a server at layer 4 has no limits: `mode: proxy` has `maxConnections`', limit);
  if (rest.some((word) => word.startsWith('"')))
    ledger.changed(
      line,
      'a pool has one check for all its servers, and asks them all for the same',
      'request, receive',
    );
  const weight = /^\d{1,5}$/.test(rest[0] ?? '') ? Math.min(Number(rest[0]), 1000) : undefined;
  return {
    hosts: hostsOf(match[1]!, match[2]),
    port: mode === 'dr' ? undefined : (port ?? virtual.port),
    mode,
    weight: weight === 1 ? undefined : weight,
  };
}

function hostsOf(written: string, last: string | undefined): string[] {
  const [first, end] = [written, last].map((each) => each?.replace(/^\[|\]$/g, ''));
  if (isIP(first!) === 0 || (end !== undefined && isIP(end) === 0))
    throw new Loss(
      `"${isIP(first!) === 0 ? first : end}" is a name, and the kernel forwards to addresses: write its address`,
    );
  if (end === undefined) return [first!];
  const [from, to] = [numberOf(first!), numberOf(end)];
  if (Number.isNaN(from) || Number.isNaN(to) || to < from || to - from >= MOST)
    throw new Loss(`"${written}->${last}" is no range of IPv4 addresses that goes up`);
  return Array.from({ length: to - from + 1 }, (_, index) => textOf(from + index));
}

function numberOf(address: string): number {
  return isIP(address) === 4
    ? address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
    : Number.NaN;
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** A server that helps out when no other is up. The balancer itself cannot be one at layer 4. */
function addFallback(
  virtual: Virtual,
  mode: 'dr' | 'nat',
  servers: RealServer[],
  names: Names,
  ledger: Ledger,
): void {
  const setting = settingFor(virtual, virtual.host.includes(':') ? 'fallback6' : 'fallback');
  if (!setting) return;
  try {
    const [where = '', method] = setting.value.split(/\s+/);
    if (/^(?:127\.|localhost|\[::1\])/.test(where))
      throw new Loss(
        'the balancer itself is no server at layer 4: give the emergency page a server of its own, or `mode: proxy`',
      );
    const real = readReal(
      { ...setting, value: `${where} ${method ?? (mode === 'dr' ? 'gate' : 'masq')}` },
      virtual,
      ledger,
    );
    const [host = ''] = real.hosts;
    if (real.mode !== mode) throw new Loss(`all servers of a VIP are in one mode: \`mode: ${mode}\``);
    servers.push(serverOf(host, real, names, true));
    ledger.take(setting.line);
  } catch (error) {
    if (!(error instanceof Loss)) throw error;
    ledger.lost(setting.line, error.message);
  }
}
