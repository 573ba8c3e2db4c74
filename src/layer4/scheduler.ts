/** The one chain that changes with weights: who gets the next new flow. */
import { hashOf } from '../rendezvous.ts';
import type { Plan } from './plan.ts';
import { evenSlots, hashSlots, type Slots } from './slots.ts';

/** Any number does; always the same, so that clients keep their servers over restarts. */
const SEED = 0x47616e74;

/** Rules of the chain `schedule`. */
export function scheduleOf({ service, family, servers, turn }: Plan): string[] {
  const takers = servers.filter(({ duty, weight }) => duty === 'open' && weight > 0);
  const [first] = takers;
  if (!first) return ['goto refuse'];
  if (takers.length === 1) return [`meta mark set ${first.mark} goto chosen`];
  if (service.spread === 'hash') {
    const slots = hashSlots(
      takers.map(({ name }) => name),
      takers.map(({ weight }) => weight),
    );
    return [drawn(`jhash ${family.ip} saddr mod ${slots.total} seed ${SEED}`, slots, takers)];
  }
  // The kernel counts from 0 in each new schedule: of many VIPs, and after many changes, each server is the first in turn.
  const turned = rotated(takers, hashOf(service.name) + turn);
  const slots = evenSlots(turned.map(({ weight }) => weight));
  const counted = service.spread === 'random' ? 'random' : 'inc';
  return [drawn(`numgen ${counted} mod ${slots.total}`, slots, turned)];
}

function rotated<T>(all: readonly T[], by: number): readonly T[] {
  const first = by % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

function drawn(number: string, { ranges }: Slots, takers: readonly { readonly mark: number }[]): string {
  const elements = ranges.map(({ from, to, index }) => {
    return `${from === to ? from : `${from}-${to}`} : ${takers[index]!.mark}`;
  });
  return `meta mark set ${number} map { ${elements.join(', ')} } goto chosen`;
}
