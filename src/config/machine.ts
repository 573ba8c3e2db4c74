/** What a configuration needs of the machine it runs on and this one lacks. Warnings only: `run` is what refuses. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { CheckConfiguration } from './health-configuration.ts';
import { canonical, familyOf, isLoopback, isWildcard } from './ip-address.ts';
import {
  type Configuration,
  isProxy,
  type Layer4Vip,
  type ListenAddress,
  type VipConfiguration,
} from './schema.ts';

export interface Machine {
  /** Its own addresses. */
  readonly addresses: readonly string[];
  /** Names of its network interfaces. */
  readonly interfaces: readonly string[];
  /** Ports below this one need a privilege; 0 when this process has it. */
  readonly firstFreePort: number;
  /** May this process change rules of the kernel? */
  readonly mayChangeRules: boolean;
  /** Kinds of packets that it passes on. */
  readonly forwards: readonly ('IPv4' | 'IPv6')[];
  /** Folders where programs are looked for. */
  readonly programs: readonly string[];
}

/** Sentences, in the order of the configuration. */
export function missingOnMachine(configuration: Configuration, machine: Machine = thisMachine()): string[] {
  const missing = configuration.vips.flatMap((vip) => missingForVip(vip, machine));
  if (configuration.admin)
    missing.push(...missingListener(configuration.admin.listen, 'admin.listen', machine));
  for (const { name, health } of configuration.pools) {
    missing.push(...missingPrograms(health, `pools.${name}.health`, machine));
  }
  const { file } = configuration.table;
  if (file !== undefined) missing.push(...missingFolder(file, 'table.memory.file'));
  missing.push(...missingForRules(configuration, machine));
  return missing;
}

function missingForVip(vip: VipConfiguration, machine: Machine): string[] {
  const at = `vips.${vip.name}`;
  const missing = isProxy(vip)
    ? vip.listen.flatMap((address) => missingListener(address, `${at}.listen`, machine))
    : vip.listen.flatMap(({ host }) => missingAddress(host, `${at}.listen`, machine));
  if (vip.source !== undefined && vip.source !== 'client') {
    missing.push(...missingAddress(vip.source, `${at}.source`, machine));
  }
  if (vip.protocol === null) missing.push(...missingForwarding(vip, machine));
  if (vip.protocol === 'hl7' && vip.queue) missing.push(...missingFolder(vip.queue.file, `${at}.hl7.queue`));
  if (vip.protocol === 'dicom' && vip.dicom.egress) {
    const { listen } = vip.dicom.egress;
    missing.push(
      ...listen.flatMap((address) => missingListener(address, `${at}.dicom.egress.listen`, machine)),
    );
  }
  return missing;
}

function missingListener({ host, port }: ListenAddress, at: string, machine: Machine): string[] {
  const missing = missingAddress(host, at, machine);
  if (port > 0 && port < machine.firstFreePort) {
    missing.push(`${at}: port ${port} needs CAP_NET_BIND_SERVICE, which this user does not have`);
  }
  return missing;
}

function missingAddress(host: string, at: string, { addresses }: Machine): string[] {
  const isHere =
    isWildcard(host) || isLoopback(host) || addresses.some((own) => canonical(own) === canonical(host));
  return isHere ? [] : [`${at}: this machine has no address ${host}`];
}

function missingForwarding({ name, mode, listen, interfaces }: Layer4Vip, machine: Machine): string[] {
  const missing = interfaces
    .filter((one) => !machine.interfaces.includes(one))
    .map((one) => `vips.${name}.interface: this machine has no interface ${one}`);
  const family = familyOf(listen[0]!.host);
  if (mode !== 'dr' && !machine.forwards.includes(family)) {
    const setting = family === 'IPv4' ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding';
    missing.push(
      `vips.${name}: this machine does not forward packets, as mode ${mode} needs: set ${setting}=1 (sysctl)`,
    );
  }
  return missing;
}

/** Once for all that need it: what makes rules of the kernel. */
function missingForRules({ vips }: Configuration, { programs, mayChangeRules }: Machine): string[] {
  const changes = vips.find((vip) => !isProxy(vip) || vip.source === 'client');
  if (!changes) return [];
  const what = isProxy(changes) ? '`source: client`' : `mode ${changes.mode}`;
  const missing: string[] = [];
  if (!mayChangeRules) {
    missing.push(`vips.${changes.name}: ${what} needs CAP_NET_ADMIN, which this user does not have`);
  }
  if (!has('nft', programs)) {
    missing.push(
      `vips.${changes.name}: ${what} needs nft, which is not on the PATH: install it (Debian: nftables)`,
    );
  }
  const direct = vips.find(({ mode }) => mode === 'dr');
  if (direct && !has('ip', programs)) {
    missing.push(
      `vips.${direct.name}: mode dr needs ip, which is not on the PATH: install it (Debian: iproute2)`,
    );
  }
  return missing;
}

/** Of a file that is written, beside which others are made. */
function missingFolder(file: string, at: string): string[] {
  const folder = dirname(file);
  return mayWriteIn(folder) ? [] : [`${at}: this user cannot write in the folder ${folder}`];
}

function missingPrograms(check: CheckConfiguration, at: string, machine: Machine): string[] {
  if (check.check === 'all' || check.check === 'any') {
    return check.parts.flatMap((part, index) =>
      missingPrograms(part, `${at}.${check.check}[${index + 1}]`, machine),
    );
  }
  if (check.check === 'ping' && !has('ping', machine.programs)) {
    return [`${at}: this machine has no ping: install it (Debian: iputils-ping)`];
  }
  if (check.check === 'script' && !mayRun(check.script)) {
    return [`${at}.script: ${check.script} is no program that this user may run`];
  }
  return [];
}

function has(program: string, folders: readonly string[]): boolean {
  return folders.some((folder) => mayRun(join(folder, program)));
}

function mayRun(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function mayWriteIn(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function thisMachine(): Machine {
  const addresses = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  );
  return {
    addresses,
    interfaces: [...read('/proc/net/dev').matchAll(/^ *(\S+):/gm)].map(([, name]) => name!),
    firstFreePort: hasCapability(CAP_NET_BIND_SERVICE) ? 0 : firstFreePort(),
    mayChangeRules: hasCapability(CAP_NET_ADMIN),
    forwards: (['IPv4', 'IPv6'] as const).filter((family) => !/^0/.test(read(FORWARDING[family]))),
    programs: (process.env.PATH ?? '/usr/bin:/bin').split(delimiter),
  };
}

const FORWARDING = {
  IPv4: '/proc/sys/net/ipv4/ip_forward',
  IPv6: '/proc/sys/net/ipv6/conf/all/forwarding',
};

/** Numbers of capabilities(7). */
const CAP_NET_BIND_SERVICE = 10n;
const CAP_NET_ADMIN = 12n;

function hasCapability(capability: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status'))?.[1];
  if (effective === undefined) return process.getuid?.() === 0;
  return ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
}

function firstFreePort(): number {
  const configured = Number.parseInt(read('/proc/sys/net/ipv4/ip_unprivileged_port_start'), 10);
  return Number.isNaN(configured) ? 1024 : configured;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
