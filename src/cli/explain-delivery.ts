/** What `gantry explain --hl7` says of a message beside its way: is it stored, and what does it wait for? */
import { acknowledgementMode } from '../../protocols/hl7/acknowledgement.ts';
import type { Message } from '../../protocols/hl7/cursor.ts';
import type { Hl7Vip, VipConfiguration } from '../config/schema.ts';
import { WHOLE_VIP } from '../frontends/hl7/lanes.ts';
import { orderOf } from '../frontends/hl7/order.ts';
import { isStored } from '../frontends/hl7/settings.ts';
import { createKeyedHash, type KeyedHash } from '../observe/privacy.ts';

export interface DeliveryExplanation {
  readonly stored: boolean;
  /** Why it is stored or not, and what its sender hears. */
  readonly why: string;
  readonly order: Hl7Vip['hl7']['order'];
  /** It waits for messages that have one of these: keyed hashes, as they may be patients. `whole`: for all. */
  readonly keys: readonly string[] | 'whole';
}

/** undefined: not a VIP of HL7. Hashes of two calls compare only with the same `hash`. */
export function explainDelivery(
  vip: VipConfiguration,
  message: Message,
  hash: KeyedHash = createKeyedHash(),
): DeliveryExplanation | undefined {
  if (vip.protocol !== 'hl7') return undefined;
  const { hl7 } = vip;
  const { keys } = orderOf(message, hl7, `${message.header(3)}^${message.header(4)}`, {});
  return {
    ...storing(hl7, message),
    order: hl7.order,
    keys: keys === WHOLE_VIP ? 'whole' : [keys].flat().map((key) => `hash:${hash(key)}`),
  };
}

function storing({ store }: Hl7Vip['hl7'], message: Message): Pick<DeliveryExplanation, 'stored' | 'why'> {
  if (!store) return { stored: false, why: 'the sender gets the answer of the server' };
  const mode = acknowledgementMode(message);
  const stored = isStored({ store }, mode);
  if (!mode.enhanced) {
    const why = stored
      ? 'original mode, and `ackOnStore` is AA: the sender gets AA when it is on the disk'
      : 'original mode, and there is no `ackOnStore`: the sender gets the answer of the server';
    return { stored, why };
  }
  const why = stored
    ? `enhanced mode: the sender gets ${mode.accept === 'AL' || mode.accept === 'SU' ? 'CA' : 'no answer'} when it is on the disk`
    : 'MSH-15 asks for no accept acknowledgement: the sender waits for the application, and gets its answer';
  return { stored, why };
}
