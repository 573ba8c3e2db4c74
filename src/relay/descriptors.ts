/**
 * Running out of file descriptors. When none is left, the system's layer of Node drops new connections without telling
 * anybody, so what is left is watched at each connection taken: a new descriptor is always the lowest free number.
 */
import { readFileSync } from 'node:fs';
import { notice } from '../observe/events.ts';

/** Said when fewer than this part of all descriptors is left, and again only after twice that was free. */
const SCARCE = 1 / 32;

/** Max open files of this process; Infinity where the system does not say. */
function openFilesLimit(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return limit === undefined ? Infinity : Number(limit);
  } catch {
    return Infinity;
  }
}

/** Returns the function that is told every new descriptor. */
export function createDescriptorWatch(limit: number = openFilesLimit()): (descriptor: number) => void {
  const scarce = Math.floor(limit * (1 - SCARCE));
  const ample = Math.floor(limit * (1 - 2 * SCARCE));
  let said = false;
  return (descriptor) => {
    if (descriptor < ample) said = false;
    if (descriptor < scarce || said) return;
    said = true;
    notice('error', 'file descriptors are running out: beyond the limit connections are dropped', {
      limit,
      used: descriptor + 1,
      advice: 'raise the limit (LimitNOFILE of the service, ulimit -n)',
    });
  };
}
