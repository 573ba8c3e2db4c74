/** What a VIP with `delivery: store` says of its durable queue: times in milliseconds, sizes in bytes. */
export interface QueueConfiguration {
  /** An absolute path, normalised: two that are equal are one file. */
  readonly file: string;
  readonly settings: {
    /** Most messages, and most bytes of their bodies. */
    readonly mostMessages: number;
    readonly mostBytes: number;
    /** Bytes that stay free on the disk. */
    readonly reserve: number;
    /** Milliseconds. */
    readonly maxAge: number;
    readonly maxAttempts: number;
    readonly onPoison: 'pause' | 'skip';
    /** Milliseconds before a message is tried again: the first time, and the longest. */
    readonly pause: { readonly first: number; readonly longest: number };
    /** Repetitions are recognised for `ms` milliseconds, the latest `entries` of them. */
    readonly remember: { readonly ms: number; readonly entries: number };
  };
}
