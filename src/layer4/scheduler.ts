/** The one chain that changes with weights: who gets the next new flow. */
import type { Plan } from './plan.ts';
import { evenSlots, hashSlots, type Slots } from './slots.ts';

/** Any number does; always the same, so that clients keep their servers over restarts. */
const SEED = 0x47616e74;

/** Rules of the chain `schedule`. */
export function scheduleOf({ service, family, servers }: Plan): string[] {
  const takers = servers.filter(({ duty, weight }) => duty === 'open' && weight > 0);
  const [first] = takers;
  if (!first) return ['goto refuse'];
  if (takers.length === 1) return [`meta mark set ${first.mark} goto chosen`];
  const weights = takers.map(({ weight }) => weight);
  if (service.spread === 'hash') {
    const slots = hashSlots(
      takers.map(({ name }) => name),
      weights,
    );
    return [drawn(`jhash ${family.ip} saddr mod ${slots.total} seed ${SEED}`, slots, takers)];
  }
  const slots = evenSlots(weights);
  const counted = service.spread === 'random' ? 'random' : 'inc';
  return [drawn(`numgen ${counted} mod ${slots.total}`, slots, takers)];
}

function drawn(number: string, { ranges }: Slots, takers: readonly { readonly mark: number }[]): string {
  const elements = ranges.map(({ from, to, index }) => {
    return `${from === to ? from : `${from}-${to}`} : ${takers[index]!.mark}`;
  });
  return `meta mark set ${number} map { ${elements.join(', ')} } goto chosen`;
}
