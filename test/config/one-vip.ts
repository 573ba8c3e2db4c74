/** A configuration of one VIP and what the test puts into it, for what `gantry check` says of it. */
import { formatFault } from '../../src/config/fault.ts';
import { readConfiguration } from '../../src/config/load.ts';

export interface Parts {
  /** `KEY: VALUE, …` of VIP V, after `mode`. */
  readonly vip?: string;
  readonly mode?: string;
  readonly listen?: string;
  /** A list in YAML. */
  readonly servers?: string;
  /** `, KEY: VALUE` of pool p. */
  readonly pool?: string;
  /** Lines: other pools, other VIPs. */
  readonly pools?: string;
  readonly vips?: string;
  /** The VIP before. */
  readonly before?: string;
}

/** What is found in a file with one VIP, V, over one pool, p. */
export function read({
  vip = '',
  mode = 'dr',
  listen = '"10.0.0.6:104"',
  servers = '[10.0.0.11]',
  pool = '',
  pools = '',
  vips = '',
  before = '',
}: Parts) {
  const text = `pools:
  p: { servers: ${servers}${pool} }
${pools}
vips:
${before}
  V: { mode: ${mode}, listen: ${listen}, pool: p${vip} }
${vips}
`;
  const { faults = [], warnings } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  return { faults: faults.map(formatFault), warnings: warnings.map(formatFault) };
}

/** Its faults without their lines and columns. */
export function sentences(parts: Parts): string[] {
  return read(parts).faults.map((fault) => fault.replace(/^f\.yaml:\d+:\d+: /, ''));
}
