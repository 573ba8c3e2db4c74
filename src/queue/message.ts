/** What the queue keeps, and what it says about it. Bodies are patient data: they are in the file and nowhere else. */

/**
 * What a message is put in order by: one key for each of its patients, none (`[]`: no order), or `whole` - all that came
 * before it goes first, all that comes after waits.
 */
export type OrderKeys = readonly string[] | 'whole';

/** What the caller wants to know again of a message. It is shown by `list`: no patient data. */
export type About = Readonly<Record<string, string>>;

/** What was kept in order by `from` is kept in order by `to` too from now on. */
export interface KeyMerge {
  readonly from: string;
  readonly to: string;
}

export interface NewMessage {
  readonly keys: OrderKeys;
  readonly about: About;
  /** What a repetition of this message is known by, kept for `QueueSettings.remember`; undefined: not kept. */
  readonly fingerprint?: Uint8Array | undefined;
  /** Keys that it makes others of: who stands for whom is known again after a restart, for three days. */
  readonly merges?: readonly KeyMerge[] | undefined;
}

/** A message whose turn it is. Say what became of it: `delivered`, `failed` or `hold`. */
export interface TakenMessage {
  /** Names it as long as it is kept, over restarts too. Never used again for another one. */
  readonly id: number;
  readonly about: About;
  /** Whole; undefined: longer than a piece, to be read piece by piece. */
  readonly content: Buffer | undefined;
  /** Bytes. */
  readonly size: number;
  /** When it was stored: milliseconds since 1970. */
  readonly arrived: number;
  /** How often its turn came, this one included. */
  readonly attempts: number;
  /** It may have been delivered already: an attempt was not answered, or the process was killed during one. */
  readonly maybeTwice: boolean;
}

/**
 * Why an attempt came to nothing: `refused` - a server answered that it does not want it; `unanswered` - it was sent and
 * may have arrived; `unsent` - no server could be had.
 */
export type Failure = 'refused' | 'unanswered' | 'unsent';

/** A message in quarantine. */
export interface HeldMessage {
  readonly id: number;
  readonly about: About;
  readonly size: number;
  readonly arrived: number;
  readonly attempts: number;
  readonly maybeTwice: boolean;
  /** Why, a sentence without patient data. */
  readonly reason: string;
  /** It keeps its place: the messages of its patients that came later wait. */
  readonly keepsPlace: boolean;
}

/** Why nothing more is taken in. */
export type Refusal =
  /** As many messages or bytes are kept as the limits allow, or this one is too long. */
  | 'full'
  /** The disk has no room, or only the reserve is left. */
  | 'no space'
  /** The file could not be written, for another reason; the disk does not keep up; or the queue is closed. */
  | 'unavailable';

/** Told once for each message: its id when it is on the disk, or why it is not taken in. */
export type Stored = (id: number | undefined, refusal: Refusal | undefined) => void;

/** What is in the queue. */
export interface Depth {
  /** Those in quarantine included. */
  readonly messages: number;
  /** Of their bodies, and of those that are being received. */
  readonly bytes: number;
  /** In the hands of the caller. */
  readonly taken: number;
  /** In quarantine. */
  readonly held: number;
  /** When the oldest that is not in quarantine was stored: milliseconds since 1970; undefined: there is none. */
  readonly oldest: number | undefined;
  /** Bytes of the file and its log. */
  readonly fileBytes: number;
}

/** What may change while the queue is in use. */
export interface QueueSettings {
  /** Most messages, and most bytes of their bodies. */
  readonly mostMessages: number;
  readonly mostBytes: number;
  /**
   * Bytes that stay free on the disk: with none left, nothing that was delivered could be removed. The log of the file
   * needs 16 MiB of them before it begins anew.
   */
  readonly reserve: number;
  /** Milliseconds after which a message is not handed out any more but put in quarantine. */
  readonly maxAge: number;
  /** So many times a server may refuse a message before it is put in quarantine. */
  readonly maxAttempts: number;
  /** What the patients of a message in quarantine do: wait for it, or go on without. */
  readonly onPoison: 'pause' | 'skip';
  /** Milliseconds before the second attempt, doubled for each further one up to `longest`. */
  readonly pause: { readonly first: number; readonly longest: number };
  /** Fingerprints are kept for so many milliseconds, and so many of them. */
  readonly remember: { readonly ms: number; readonly entries: number };
}

export const USUAL_SETTINGS: QueueSettings = {
  mostMessages: 1_000_000,
  mostBytes: 4 * 1024 ** 3,
  reserve: 64 * 1024 ** 2,
  maxAge: 72 * 3600_000,
  maxAttempts: 10,
  onPoison: 'pause',
  pause: { first: 1000, longest: 60_000 },
  remember: { ms: 600_000, entries: 200_000 },
};
