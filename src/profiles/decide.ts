/** How a service of a profile is served here, as far as that hangs on what the engineer has and wants. */
import type { Service } from './profile.ts';

export interface Choices {
  /** Of the VIPs: at least as many as the profile needs. */
  readonly vips: readonly string[];
  readonly servers: readonly string[];
  /** Where clients' packets for layer 4 VIPs come in; undefined: the balancer finds out. */
  readonly interface: string | undefined;
  /** Paths of PEM files; undefined: TLS does not end here. */
  readonly certificate: { readonly cert: string; readonly key: string } | undefined;
  /** DICOM and HL7 services that the guide has at layer 4 are read. */
  readonly protocolAware: boolean;
  /** The folder of external checks. */
  readonly scripts: string;
}

export interface Decision {
  /** undefined: layer 4. */
  readonly protocol: 'dicom' | 'hl7' | 'http' | 'tcp' | undefined;
  /** TLS of clients ends here. */
  readonly ends: boolean;
  /** The servers are spoken to in TLS. */
  readonly begins: boolean;
  /** What was chosen, and why. */
  readonly comment: string | undefined;
}

export function decide(service: Service, { certificate, protocolAware }: Choices): Decision {
  const { speaks, direct, to, backends } = service;
  const begins = to?.tls ?? false;
  if (direct && !(protocolAware && (speaks === 'dicom' || speaks === 'hl7')))
    return { protocol: undefined, ends: false, begins, comment: undefined };
  if (speaks !== 'dicom-tls' && speaks !== 'https')
    return { protocol: speaks, ends: false, begins, comment: undefined };
  const read = speaks === 'https' ? 'http' : 'dicom';
  if (certificate)
    return {
      protocol: read,
      ends: true,
      begins: true,
      comment: 'TLS ends here, and begins again towards the servers.',
    };
  if (backends)
    return {
      protocol: 'http',
      ends: false,
      begins,
      comment:
        'Rules have to see paths, so that TLS ends in front of this VIP; "gantry init --cert FILE --key FILE" writes one in which it ends here.',
    };
  return {
    protocol: 'tcp',
    ends: false,
    begins,
    comment: `${read === 'dicom' ? 'DICOM in TLS' : 'HTTP in TLS'} passes through unread; "gantry init --cert FILE --key FILE" writes a VIP that reads it.`,
  };
}
