/** Which facts a rule or a persistence key of each protocol may name (contract, "Facts"). */
import { isFieldPath, parseFieldPath } from '../../protocols/hl7/field-path.ts';
import { advice } from './fault.ts';

export type Protocol = 'dicom' | 'hl7';

/** Every protocol has these. */
const GENERAL = ['client', 'port', 'vip'];
/** These too, once TLS is built. */
const OF_TLS = ['tlsSubject', 'sni'];

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
};

const OF_STUDY_ROUTING = ['command', 'priority', 'urgent', 'sopInstance', 'study', 'accession', 'patient'];
const OF_HTTP = /^(method|host|path|(query|header|cookie)\..+)$/;
const TAG = /^\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)$/;

/** What is wrong with `name` as a fact of `protocol`; undefined: nothing. */
export function factFault(name: string, protocol: Protocol): string | undefined {
  if (GENERAL.includes(name) || FACTS[protocol].includes(name)) return undefined;
  if (OF_TLS.includes(name)) return 'needs tls, which is not built yet';
  if (protocol === 'dicom' && (OF_STUDY_ROUTING.includes(name) || TAG.test(name))) {
    return 'needs `route: study`, which is not built yet';
  }
  if (OF_HTTP.test(name)) return 'is a fact of protocol http, which is not built yet';
  if (protocol === 'hl7' && isFieldPath(name)) {
    const path = parseFieldPath(name);
    return typeof path === 'string' ? path : undefined;
  }
  const other: Protocol = protocol === 'dicom' ? 'hl7' : 'dicom';
  if (FACTS[other].includes(name) || (other === 'hl7' && isFieldPath(name)))
    return `is a fact of protocol ${other}`;
  const known = [...GENERAL, ...FACTS[protocol]];
  return `is not a fact of protocol ${protocol}: ${advice(name, known)}`;
}

/** What a rule's `reject` may be (PS3.8 Table 9-21; MSA-1 of HL7 v2.5.1 table 0008). */
export const REJECT_NAMES: Readonly<Record<Protocol, readonly string[]>> = {
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
};
