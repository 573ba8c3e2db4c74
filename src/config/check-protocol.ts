/** Keys of a VIP that its protocol does not read, and what of one protocol does not fit together. */
import type { Protocol } from './fact-names.ts';
import type { File } from './file-schema.ts';
import type { FileVip, Findings, Path } from './findings.ts';
import { oneOf } from './scalars.ts';

/** Keys that only some protocols read. */
const ONLY: readonly (readonly [key: Path, protocols: readonly Protocol[]])[] = [
  [['dicom'], ['dicom']],
  [['hl7'], ['hl7']],
  [['urgent'], ['dicom']],
  [['headers'], ['http']],
  [['forwarded'], ['http']],
  [['limits', 'associations'], ['dicom']],
  [['limits', 'perCalling'], ['dicom']],
  [['limits', 'perServer'], ['dicom']],
  [
    ['limits', 'connections'],
    ['http', 'tcp'],
  ],
  [['limits', 'headers'], ['http']],
  [['limits', 'body'], ['http']],
  [
    ['timeouts', 'request'],
    ['dicom', 'http'],
  ],
  [['timeouts', 'accept'], ['dicom']],
  [['timeouts', 'response'], ['http']],
  [
    ['timeouts', 'queue'],
    ['http', 'tcp'],
  ],
  [
    ['timeouts', 'stall'],
    ['dicom', 'hl7', 'http'],
  ],
  [['timeouts', 'tunnel'], ['http']],
  [['timeouts', 'release'], ['dicom']],
];

export function checkProtocol(vip: FileVip, protocol: Protocol, file: File, findings: Findings): void {
  for (const [key, protocols] of ONLY) {
    const path = ['vips', vip.name, ...key];
    if (protocols.includes(protocol) || !findings.has(path)) continue;
    findings.fault(path, `is for protocol ${oneOf(protocols)}; this is ${protocol}`, true);
  }
  if (vip.trustedProxies && !vip.proxyProtocol && protocol !== 'http') {
    const at = ['vips', vip.name, 'trustedProxies'];
    findings.fault(
      at,
      `is for \`proxyProtocol: true\` here: ${protocol} has no other way to name a client`,
      true,
    );
  }
  if (vip.proxyProtocol && (vip.trustedProxies ?? file.trustedProxies).length === 0) {
    const at = ['vips', vip.name, 'proxyProtocol'];
    findings.warn(at, 'without `trustedProxies`, whoever connects may claim any address');
  }
}
