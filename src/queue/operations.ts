/** What the queue asks of its thread, and what comes back: many operations are one transaction. */
import type { PackedFingerprints } from './fingerprints.ts';
import type {
  Depth,
  Failure,
  HeldMessage,
  KeyMerge,
  NewMessage,
  OrderKeys,
  QueueSettings,
  Refusal,
  TakenMessage,
} from './message.ts';

/** `incoming` names a body that is being received, `standing` a place in order of what is not stored. */
export type Operation =
  | (NewMessage & { readonly do: 'store'; readonly content: Uint8Array | Received })
  | {
      readonly do: 'piece';
      readonly incoming: number;
      /** From 0 on: with one missing, those behind it are refused. */
      readonly number: number;
      readonly bytes: Uint8Array<ArrayBuffer>;
    }
  | { readonly do: 'discard'; readonly incoming: number }
  | { readonly do: 'delivered'; readonly id: number }
  | { readonly do: 'failed'; readonly id: number; readonly failure: Failure; readonly reason: string }
  | { readonly do: 'hold'; readonly id: number; readonly reason: string }
  | { readonly do: 'release' | 'replay' | 'drop'; readonly id: number }
  | { readonly do: 'list'; readonly after: number; readonly limit: number }
  | { readonly do: 'read'; readonly id: number; readonly number: number; readonly into: ArrayBuffer }
  | { readonly do: 'show'; readonly id: number }
  | { readonly do: 'recall' | 'depth' | 'settle' }
  | { readonly do: 'stand'; readonly standing: number; readonly keys: OrderKeys }
  | { readonly do: 'leave'; readonly standing: number }
  | { readonly do: 'window'; readonly size: number }
  | { readonly do: 'hurry' }
  | { readonly do: 'settings'; readonly settings: QueueSettings };

/** A body that was received, all of it. */
export interface Received {
  readonly incoming: number;
  readonly pieces: number;
}

export type OperationOf<Kind extends Operation['do']> = Extract<Operation, { readonly do: Kind }>;

/** They have happened, whatever becomes of the file. */
const OWED: ReadonlySet<Operation['do']> = new Set(['delivered', 'failed', 'hold']);
/** The file does not hear of them. */
const IN_MEMORY: ReadonlySet<Operation['do']> = new Set([
  'window',
  'hurry',
  'settings',
  'discard',
  'stand',
  'leave',
]);

/** New messages, and parts of them. */
export function isNew({ do: what }: Operation): boolean {
  return what === 'store' || what === 'piece';
}

export function isOwed({ do: what }: Operation): boolean {
  return OWED.has(what);
}

export function isInMemory({ do: what }: Operation): boolean {
  return IN_MEMORY.has(what);
}

/** What becomes of an operation: the id of a message, its body, a list, … */
export type Result =
  | { readonly refusal: Refusal }
  | number
  | Uint8Array
  | readonly HeldMessage[]
  | Recalled
  | Depth
  | undefined;

export function isRefused(result: Result): result is { readonly refusal: Refusal } {
  return typeof result === 'object' && 'refusal' in result;
}

/** What the file has that is to be known before new messages come. */
export interface Recalled {
  readonly remembered: PackedFingerprints;
  /** In the order in which they came. */
  readonly merges: readonly KeyMerge[];
}

/** What the thread found in the file. */
export interface Opening {
  readonly movedAside: string | undefined;
  /** Messages that were in somebody's hands when the process ended. */
  readonly maybeTwice: number;
  readonly messages: number;
  readonly held: number;
}

/** As `TakenMessage`; its bytes change threads. */
export type Handed = Omit<TakenMessage, 'content'> & { readonly content: Uint8Array | undefined };

export interface Outcome {
  /** One for each operation, in their order. */
  readonly results: readonly Result[];
  /** Messages whose turn came. */
  readonly handed: readonly Handed[];
  /** Standings whose turn came, by name. */
  readonly granted: readonly number[];
  /** Messages that went into quarantine. */
  readonly quarantined: readonly HeldMessage[];
  /** The file could not be written: why. */
  readonly trouble: string | undefined;
}
