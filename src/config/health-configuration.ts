/** `health` of a pool as the rooms are given it. */
import type { TlsClientConfiguration } from './schema.ts';

/** What one check does, wherever it stands. */
export type CheckConfiguration = {
  /** Milliseconds for the whole check. */
  readonly timeout: number;
  /** undefined: the server's own. */
  readonly port: number | undefined;
  readonly address: string | undefined;
} & (
  | { readonly check: 'none' }
  | { readonly check: 'connect' | 'ping' }
  | { readonly check: 'tls'; readonly tls: TlsClientConfiguration }
  | ({ readonly check: 'http' } & HttpCheckConfiguration)
  | ({ readonly check: 'https'; readonly tls: TlsClientConfiguration } & HttpCheckConfiguration)
  /** `script`: an absolute path. */
  | { readonly check: 'script'; readonly script: string }
  | { readonly check: 'dicom-echo'; readonly calling: string; readonly called: string }
  /** `message`: its segments end in carriage returns; undefined: one of the check's own. */
  | { readonly check: 'hl7'; readonly message: string | undefined }
  | { readonly check: 'all' | 'any'; readonly parts: readonly CheckConfiguration[] }
  /** `servers`: the name of each server → its name in `pool`, which is checked and does not track. */
  | { readonly check: 'track'; readonly pool: string; readonly servers: Readonly<Record<string, string>> }
);

export interface HttpCheckConfiguration {
  readonly method: 'GET' | 'HEAD' | 'OPTIONS';
  /** Path and query. */
  readonly path: string;
  /** The Host header; undefined: the server's address. */
  readonly host: string | undefined;
  /** Ranges of status codes that are good, both ends included. */
  readonly status: readonly { readonly from: number; readonly to: number }[];
  /** Text that the body must contain, or `/a regular expression/` that it must match. */
  readonly body: string | undefined;
  /** What a JSON body must have: the keys and indices that lead to a value, and patterns of which one must fit it. */
  readonly json: readonly {
    readonly path: readonly (string | number)[];
    readonly patterns: readonly string[];
  }[];
}

/** Of a pool; of one that tracks another: the times and counts of that one. */
export type HealthConfiguration = CheckConfiguration & {
  /** Milliseconds. */
  readonly interval: number;
  readonly rise: number;
  readonly fall: number;
  readonly startDown: boolean;
  /** Milliseconds. */
  readonly agent: { readonly port: number; readonly interval: number } | undefined;
};
