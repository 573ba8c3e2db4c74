/** A vendor system as data: the virtual services that its deployment guide asks for, row by row. */

/**
 * What clients speak there. `dicom-tls` and `https` are read where TLS can end at the balancer; without a certificate
 * they are passed through, unless rules have to see paths: then TLS ends in front of the balancer.
 */
export type Speech = 'dicom' | 'dicom-tls' | 'hl7' | 'http' | 'https' | 'tcp';

export type Persistence = 'none' | 'source-ip' | 'cookie';

/** `port`: where the check goes when that is not where work goes. */
export type Health =
  | { readonly check: 'none' }
  | { readonly check: 'connect' | 'http' | 'https' | 'ping' | 'script'; readonly port?: number | undefined };

interface Row {
  /** As the guide counts: `VIP 1`, `VIP 1-B1`. */
  readonly ref: string;
  readonly name: string;
  readonly persistence: Persistence;
  readonly health: Health;
  /** What an engineer should know of its check: sentences. */
  readonly healthNote?: string;
}

/** A pool that only its parent's rules reach: everything below `path`. */
export interface Backend extends Row {
  /** Without a slash at its end. */
  readonly path: string;
}

/** What clients connect to. */
export interface Service extends Row {
  readonly speaks: Speech;
  /** What an engineer should know of it: sentences. */
  readonly comment?: string;
  /** Layer 4, direct server return, unless the balancer is to read the protocol. */
  readonly direct?: true;
  readonly ports: readonly number[] | '*';
  /** Where its servers and those of its backends are. Default: the port that the client came to, without TLS. */
  readonly to?: { readonly port: number; readonly tls: boolean };
  /** Its connections are silent for hours. */
  readonly longLived?: true;
  readonly backends?: readonly Backend[];
  /** Rules that a site may want, as lines of the configuration: they are written as a comment. */
  readonly examples?: readonly string[];
}

export interface Profile {
  /** Also the name of its page in the manual. */
  readonly name: string;
  readonly title: string;
  /** In the order of the guide's table. */
  readonly services: readonly Service[];
}

/** Rows of the table: services and the backends behind them. */
export function rowsOf({ services }: Profile): number {
  return services.reduce((rows, { backends }) => rows + 1 + (backends?.length ?? 0), 0);
}
