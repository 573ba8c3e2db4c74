/** By what a message is kept in order: its patient or sender, whom that stands for, and what else it is tied to. */
import type { Message } from '../../../protocols/hl7/cursor.ts';
import { type Merge, mergesIn } from '../../../protocols/hl7/merges.ts';
import { orderingOf } from '../../../protocols/hl7/patient.ts';
import { type Ties, tiesOf } from '../../../protocols/hl7/ties.ts';
import type { Aliases } from './aliases.ts';
import { type OrderKeys, WHOLE_VIP } from './lanes.ts';
import type { Pins } from './pins.ts';
import type { Hl7Settings } from './settings.ts';

/** What is remembered of messages that went before. Without it each is taken for itself. */
export interface OrderMemory {
  readonly aliases?: Aliases | undefined;
  readonly pins?: Pins | undefined;
}

export interface InOrder {
  readonly keys: OrderKeys;
  /** What it merges, which `aliases` expects from now on: to be settled when it is decided. */
  readonly merges: readonly Merge[] | undefined;
  readonly ties: Ties | undefined;
}

/** `source`: MSH-3 and MSH-4, for `order: sender`. To be called once for each message, in the order in which they came. */
export function orderOf(
  message: Message,
  settings: Pick<Hl7Settings, 'order' | 'patient'>,
  source: string,
  { aliases, pins }: OrderMemory,
): InOrder {
  const ties = pins && tiesOf(message);
  if (settings.order !== 'patient') {
    const keys = settings.order === 'sender' ? [source] : [];
    return { keys: oneOf(ties ? pins.keysOf(ties, keys) : keys), merges: undefined, ties };
  }
  const { keys, barrier, wholeVip } = orderingOf(message, settings.patient, aliases?.chain);
  if (wholeVip) return { keys: WHOLE_VIP, merges: undefined, ties };
  const merges = barrier ? aliases?.expect(mergesIn(message, settings.patient)) : undefined;
  return { keys: oneOf(ties ? pins!.keysOf(ties, keys) : keys), merges, ties };
}

/** The usual single key without its list. */
function oneOf(keys: readonly string[]): OrderKeys {
  return keys.length === 1 ? keys[0]! : keys;
}
