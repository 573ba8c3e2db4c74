/** What a configuration needs of the machine it runs on and this one lacks. Warnings only: `run` is what refuses. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { CheckConfiguration, Configuration, Layer4Address } from './schema.ts';

export interface Machine {
  /** Its own addresses. */
  readonly addresses: readonly string[];
  /** Ports below this one need a privilege; 0 when this process has it. */
  readonly firstFreePort: number;
  /** Folders where programs are looked for. */
  readonly programs: readonly string[];
}

/** Sentences, in the order of the configuration. */
export function missingOnMachine(configuration: Configuration, machine: Machine = thisMachine()): string[] {
  const missing: string[] = [];
  const look = (owner: string, { host, port }: Layer4Address): void => {
    const isEvery = host === '0.0.0.0' || host === '::';
    if (!isEvery && !host.startsWith('127.') && !machine.addresses.includes(host.replace(/%.*$/, ''))) {
      missing.push(`${owner}: this machine has no address ${host}`);
    }
    if (port !== '*' && port > 0 && port < machine.firstFreePort) {
      missing.push(`${owner}: port ${port} needs CAP_NET_BIND_SERVICE, which this user does not have`);
    }
  };
  for (const vip of configuration.vips) {
    for (const address of vip.listen) look(`vips.${vip.name}.listen`, address);
    if (vip.protocol === 'hl7' && vip.queue)
      missing.push(...missingFolder(vip.queue.file, `vips.${vip.name}.hl7.queue`));
    if (vip.protocol !== 'dicom') continue;
    for (const address of vip.dicom.egress?.listen ?? [])
      look(`vips.${vip.name}.dicom.egress.listen`, address);
  }
  if (configuration.admin) look('admin.listen', configuration.admin.listen);
  for (const { name, health } of configuration.pools) {
    missing.push(...missingPrograms(health, `pools.${name}.health`, machine));
  }
  const { file } = configuration.table;
  if (file !== undefined) missing.push(...missingFolder(file, 'table.memory.file'));
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
  if (check.check === 'ping' && !machine.programs.some((folder) => mayRun(join(folder, 'ping')))) {
    return [`${at}: this machine has no ping: install it (Debian: iputils-ping)`];
  }
  if (check.check === 'script' && !mayRun(check.script)) {
    return [`${at}.script: ${check.script} is no program that this user may run`];
  }
  return [];
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
    firstFreePort: mayBindAnyPort() ? 0 : firstFreePort(),
    programs: (process.env.PATH ?? '/usr/bin:/bin').split(delimiter),
  };
}

const CAP_NET_BIND_SERVICE = 10n;

function mayBindAnyPort(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status'))?.[1];
  if (effective === undefined) return process.getuid?.() === 0;
  return ((BigInt(`0x${effective}`) >> CAP_NET_BIND_SERVICE) & 1n) === 1n;
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
