/** Which facts a rule or a persistence key of each protocol may name (contract, "Facts"). */
import { isFieldPath, parseFieldPath } from '../../protocols/hl7/field-path.ts';
import { advice } from './fault.ts';
import { isToken, oneOf } from './scalars.ts';

export type Protocol = 'dicom' | 'hl7' | 'http' | 'tcp';

/** What of a VIP decides which facts its connections have. */
export interface FactSource {
  /** null: a VIP at layer 4, where nothing is read. */
  readonly protocol: Protocol | null;
  readonly tls?: { readonly clientCa?: string | undefined } | undefined;
  /** DICOM: what is routed. */
  readonly route?: 'association' | 'study' | undefined;
}

/** Every protocol has these. */
const GENERAL = ['client', 'port', 'vip'];

const FACTS: Readonly<Record<Protocol, readonly string[]>> = {
  dicom: ['called', 'calling', 'modality', 'sopClass', 'user', 'implementation'],
  hl7: [
    'type',
    'event',
    'structure',
    'sendingApp',
    'sendingFacility',
    'receivingApp',
    'receivingFacility',
    'controlId',
    'processingId',
    'version',
    'patient',
    'accession',
    'orderPriority',
  ],
  http: ['method', 'host', 'path'],
  tcp: [],
};

const OF_STUDY_ROUTING = ['command', 'priority', 'urgent', 'sopInstance', 'study', 'accession', 'patient'];
const TAG = /^\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)$/;

/** Is it the name of a data element, `(gggg,eeee)`? */
export function isTag(name: string): boolean {
  return TAG.test(name);
}

/** Does only a message have it, not the association that it comes in? */
export function isOfMessages(name: string): boolean {
  return OF_STUDY_ROUTING.includes(name) || isTag(name);
}

/** Parts of a request that have names of their own. */
const NAMED = /^(query|header|cookie)\.(.*)$/s;
const OF_REQUESTS = ['query.NAME', 'header.NAME', 'cookie.NAME'];

/** What is wrong with `name` as a fact of connections to that VIP; undefined: nothing. */
export function factFault(name: string, { protocol, tls, route }: FactSource): string | undefined {
  if (GENERAL.includes(name)) return undefined;
  if (protocol === null) return `is not known at layer 4: ${oneOf(GENERAL)} would be right`;
  if (FACTS[protocol].includes(name)) return undefined;
  if (name === 'sni') return tls || protocol === 'tcp' ? undefined : 'needs `tls`: only a handshake has it';
  if (name === 'tlsSubject') {
    return tls?.clientCa === undefined
      ? "needs `tls.clientCa`: it is of the client's certificate"
      : undefined;
  }
  if (protocol === 'dicom' && isOfMessages(name)) {
    return route === 'study' ? undefined : 'needs `dicom: { route: study }`: only a message has it';
  }
  if (protocol === 'hl7' && isFieldPath(name)) {
    const path = parseFieldPath(name);
    return typeof path === 'string' ? path : undefined;
  }
  const [, part, inner = ''] = NAMED.exec(name) ?? [];
  if (protocol === 'http' && part !== undefined) {
    if (inner === '') return `names no ${part}: ${part}.NAME would be right`;
    return part === 'query' || isToken(inner) ? undefined : `is not a name that a ${part} can have`;
  }
  const other = ownerOf(name);
  if (other !== undefined && other !== protocol) return `is a fact of protocol ${other}`;
  const known = [
    ...GENERAL,
    ...FACTS[protocol],
    ...(protocol === 'http' ? OF_REQUESTS : []),
    ...(route === 'study' ? OF_STUDY_ROUTING : []),
  ];
  return `is not a fact of protocol ${protocol}: ${advice(name, known)}`;
}

function ownerOf(name: string): Protocol | undefined {
  if (NAMED.test(name)) return 'http';
  if (isFieldPath(name)) return 'hl7';
  return (Object.keys(FACTS) as Protocol[]).find((protocol) => FACTS[protocol].includes(name));
}

/** What a rule's `reject` may be (PS3.8 Table 9-21; MSA-1 of HL7 v2.5.1 table 0008). */
export const REJECT_NAMES = {
  dicom: [
    'called-ae-not-recognized',
    'calling-ae-not-recognized',
    'application-context-not-supported',
    'protocol-version-not-supported',
    'temporary-congestion',
    'local-limit-exceeded',
    'no-reason-given',
  ],
  hl7: ['AE', 'AR', 'CE', 'CR'],
  tcp: ['close', 'reset'],
} as const satisfies Partial<Record<Protocol, readonly string[]>>;

/** What is wrong with a rule's `reject`; undefined: nothing. */
export function rejectFault(written: string, protocol: Protocol): string | undefined {
  if (protocol === 'http') {
    return /^[45]\d\d$/.test(written)
      ? undefined
      : `"${written}" is not a rejection of protocol http: a status code from 400 to 599 would be right`;
  }
  const names: readonly string[] = REJECT_NAMES[protocol];
  return names.includes(written)
    ? undefined
    : `"${written}" is not a rejection of protocol ${protocol}: ${advice(written, names)}`;
}
