/** `gantry init PROFILE`: a configuration for a vendor system. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { placesOf, whySeveral } from '../profiles/addresses.ts';
import { type Choices, decide } from '../profiles/decide.ts';
import type { Profile, Service } from '../profiles/profile.ts';
import { usageFailure } from './failure.ts';
import { parseAddresses } from './given-addresses.ts';

interface InitOptions {
  readonly vip: string[];
  readonly server: string[];
  readonly interface?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly protocolAware?: true;
  readonly scripts: string;
}

export function addInit(program: Command): void {
  program
    .command('init')
    .description('write a configuration for a vendor system; gantry profiles lists them')
    .argument('[profile]', 'which one')
    .requiredOption('--vip <address...>', 'addresses that clients connect to; several where ports collide')
    .requiredOption('--server <address...>', 'addresses of the servers')
    .option('--interface <name>', "where clients' packets for layer 4 VIPs come in; default: found out")
    .option(
      '--cert <file>',
      'PEM: TLS ends at the VIPs whose clients speak it, so that it is read; with --key',
    )
    .option('--key <file>', 'PEM of its key')
    .option('--protocol-aware', 'read DICOM and HL7 where the guide has layer 4 direct return')
    .option('--scripts <folder>', 'where the programs of external checks are', '/etc/gantry/checks')
    .addHelpText(
      'after',
      `
Names, ports, persistence and checks are those of the vendor's deployment guide; comments say what was chosen where it
leaves something open. Nothing but the configuration goes to standard output.

Example:
  gantry init philips-vue-pacs --vip 10.0.0.4 10.0.0.5 10.0.0.6 --server 10.0.0.11 10.0.0.12 > gantry.yaml
  gantry check -c gantry.yaml`,
    )
    .action(async (name: string | undefined, options: InitOptions) => {
      const profile = await needProfile(name);
      const choices = choicesOf(options);
      checkAddresses(profile, choices);
      for (const sentence of uselessOf(profile, choices)) process.stderr.write(`warning: ${sentence}\n`);
      const { writeConfiguration } = await import('../profiles/write.ts');
      process.stdout.write(writeConfiguration(profile, choices));
    });
}

async function needProfile(name: string | undefined): Promise<Profile> {
  const { PROFILES } = await import('../profiles/profiles.ts');
  const found = PROFILES.find((profile) => profile.name === name);
  if (found) return found;
  const names = PROFILES.map((profile) => profile.name);
  const list = `there are ${names.join(', ')}`;
  // Behind the addresses it would be taken for one of them.
  if (name === undefined)
    throw usageFailure(`the profile is missing, which comes before --vip and --server: ${list}`);
  const { suggestion } = await import('../config/fault.ts');
  const near = suggestion(name, names);
  const question = near === undefined ? '' : `did you mean "${near}"? `;
  throw usageFailure(`there is no profile "${name}": ${question}${list}`);
}

function choicesOf({
  vip,
  server,
  interface: name,
  cert,
  key,
  protocolAware,
  scripts,
}: InitOptions): Choices {
  if ((cert === undefined) !== (key === undefined))
    throw usageFailure('--cert and --key belong together: give both or none');
  if (name !== undefined && !/^[A-Za-z0-9_][\w.+-]{0,14}$/.test(name))
    throw usageFailure(`--interface "${name}" is not the name of a network interface: eth0 would be right`);
  return {
    vips: parseAddresses('--vip', vip),
    servers: parseAddresses('--server', server),
    interface: name,
    certificate:
      cert === undefined || key === undefined ? undefined : { cert: resolve(cert), key: resolve(key) },
    protocolAware: protocolAware === true,
    scripts: resolve(scripts),
  };
}

function checkAddresses(profile: Profile, choices: Choices): void {
  const { vips, servers } = choices;
  const places = placesOf(profile);
  if (vips.length < places.length) {
    throw usageFailure(
      `${profile.name} needs ${places.length} addresses of VIPs and has ${vips.length}, because ${whySeveral(profile)}: give --vip ${places.length} times`,
    );
  }
  const both = servers.find((server) => vips.includes(server));
  if (both !== undefined)
    throw usageFailure(`--server ${both} is the address of a VIP: a server needs one of its own`);
  for (const [place, services] of places.entries()) {
    const direct = services.find((service) => isDirect(service, choices));
    if (direct) checkDirect(direct, vips[place] ?? '', servers);
  }
}

/** Packets keep their address, and leave this machine. */
function checkDirect({ name }: Service, vip: string, servers: readonly string[]): void {
  const other = servers.find((server) => isIP(server) !== isIP(vip));
  if (other !== undefined) {
    throw usageFailure(
      `${name} sends packets on as they are, so that ${vip} and ${other} must both be IPv4, or both IPv6`,
    );
  }
  const own = servers.find((server) => server === '::1' || server.startsWith('127.'));
  if (own !== undefined)
    throw usageFailure(`--server ${own} is this machine itself: ${name} sends packets on to other machines`);
}

/** What was given and changes nothing, a sentence each. */
function* uselessOf(profile: Profile, choices: Choices): Generator<string> {
  const { vips, certificate, protocolAware } = choices;
  const { services } = profile;
  const rest = vips.slice(placesOf(profile).length);
  if (rest.length > 0)
    yield `${profile.name} needs no more addresses of VIPs: ${rest.join(', ')} ${rest.length > 1 ? 'are' : 'is'} left over`;
  if (choices.interface !== undefined && !services.some((service) => isDirect(service, choices)))
    yield '--interface changes nothing: no VIP is at layer 4 here';
  const without = { ...choices, protocolAware: false };
  if (protocolAware && !services.some((service) => isDirect(service, without) && !isDirect(service, choices)))
    yield '--protocol-aware changes nothing: no DICOM or HL7 service is at layer 4 here';
  if (certificate && !services.some((service) => decide(service, choices).ends))
    yield '--cert and --key change nothing: TLS ends at no VIP of this profile';
}

function isDirect(service: Service, choices: Choices): boolean {
  return decide(service, choices).protocol === undefined;
}
