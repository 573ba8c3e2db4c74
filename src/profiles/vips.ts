/** The VIPs of a profile. */
import { describeEndpoint } from '../endpoint.ts';
import { placesOf } from './addresses.ts';
import { type Choices, decide } from './decide.ts';
import { comment, type Entry, quoted, record, scalar, spaced, type Written } from './layout.ts';
import { persistenceEntry } from './pools.ts';
import type { Backend, Profile, Service } from './profile.ts';

export function vipLines(profile: Profile, choices: Choices, written: Written): string[] {
  const places = placesOf(profile);
  const vips = profile.services.map((service) => {
    const { protocol, ends, comment: choice } = decide(service, choices);
    const address = choices.vips[places.findIndex((services) => services.includes(service))] ?? '';
    const entries: Entry[] = [
      protocol === undefined
        ? { key: 'mode', value: 'dr', note: written.once(DIRECT) }
        : { key: 'protocol', value: protocol },
      { key: 'listen', value: listenOf(service, address) },
      ...(protocol === undefined ? interfaceEntry(choices, written) : []),
      ...(ends ? [certificateEntry(choices, written)] : []),
      ...(service.backends ? [routesEntry(service.backends, written)] : []),
      ...(service.examples ? [examplesEntry(service.examples)] : []),
      { key: 'pool', value: service.name },
      ...(service.persistence === 'none' ? [] : [persistenceEntry(service, written)]),
      ...(service.longLived
        ? [{ key: 'timeouts', value: '{ idle: 72h }', note: written.once(LONG_LIVED) }]
        : []),
    ];
    const notes = [service.comment, choice, protocol === 'hl7' ? written.once(HL7) : undefined];
    return [...notes.flatMap((note) => comment(note, '  ')), ...record(service.name, entries, service.ref)];
  });
  return spaced(vips);
}

const DIRECT =
  'Layer 4, direct server return: packets go to a server as they are, and it answers the client itself. It has the address of the VIP on its loopback interface and listens on the same port: docs/layer4.md.';
const LONG_LIVED = 'Connections may be silent for so long; TCP keep-alive finds clients that are gone.';
const HL7 =
  'HL7: the servers of a pool have one database, or else its pool needs "mode: single-active", so that one of them has all messages.';

function listenOf({ ports }: Service, address: string): string {
  const all: readonly (number | '*')[] = ports === '*' ? [ports] : ports;
  return `[${all.map((port) => quoted(describeEndpoint({ host: address, port }))).join(', ')}]`;
}

function interfaceEntry({ interface: name }: Choices, written: Written): Entry[] {
  if (name !== undefined) return [{ key: 'interface', value: scalar(name) }];
  const note = written.once(
    "Where clients' packets come in. Without it: the interface that leads to the servers.",
  );
  return note === undefined ? [] : [{ key: 'interface', value: 'eth0', note, isOff: true }];
}

function certificateEntry({ certificate }: Choices, written: Written): Entry {
  const { cert = '', key = '' } = certificate ?? {};
  const value = `{ cert: ${scalar(`file:${cert}`)}, key: ${scalar(`file:${key}`)} }`;
  return written.shared('certificate', { key: 'tls', value });
}

function routesEntry(backends: readonly Backend[], written: Written): Entry {
  return {
    key: 'routes',
    lines: backends.map(({ name, path }) => `- { when: { path: [${path}, "${path}/*"] }, pool: ${name} }`),
    note: written.once(
      'The paths are what the names say: compare them with your system. The first rule that fits decides; upper and lower case differ.',
    ),
  };
}

function examplesEntry(lines: readonly string[]): Entry {
  return { key: 'routes', lines, note: 'For example:', isOff: true };
}
