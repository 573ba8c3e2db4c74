/** What a TCP service most likely speaks, by its port or its name. */

const PORTS: ReadonlyMap<number, 'dicom' | 'hl7'> = new Map([
  // PS3.8 9.1.1: 104 and 11112; PS3.15 B: 2762 with TLS; 4242 is Orthanc's, 2104 and 3104 many a PACS's.
  ...[104, 2104, 2761, 2762, 3104, 4242, 11112, 11113].map((port) => [port, 'dicom'] as const),
  // 2575 is registered for HL7; the others are interface engines'.
  ...[2310, 2311, 2575, 6661].map((port) => [port, 'hl7'] as const),
]);
const NAMES = [
  { says: /(?:^|[^a-z])(?:dicom|dimse|storescp|worklist|mwl)(?:[^a-z]|$)/i, protocol: 'dicom' },
  { says: /(?:^|[^a-z])(?:hl7|mllp|adt|oru)(?:[^a-z]|$)/i, protocol: 'hl7' },
] as const;

/** undefined: nothing says so, or one thing says DICOM and another HL7. */
export function likelyProtocol(name: string, ports: readonly number[]): 'dicom' | 'hl7' | undefined {
  const byPort = ports.map((port) => PORTS.get(port));
  const byName = NAMES.filter(({ says }) => says.test(name)).map(({ protocol }) => protocol);
  const found = new Set([...byPort, ...byName].filter((protocol) => protocol !== undefined));
  // A service whose other ports say nothing is left alone, unless its name tells.
  if (byName.length === 0 && byPort.includes(undefined)) return undefined;
  return found.size === 1 ? [...found][0] : undefined;
}
