/** The names of our tables: one a VIP, from its name, so that no two VIPs share one and nft accepts it. */
import { createHash } from 'node:crypto';
import type { Family } from './families.ts';
import type { Service } from './service.ts';

export interface TableName {
  readonly family: 'netdev' | 'ip' | 'ip6';
  readonly name: string;
}

/** Tables with this comment are ours. The number is that of their structure: one with another is made anew. */
export const COMMENT = 'gantry 1';

/** What the names of our tables begin with. */
export const PREFIX = /^gantry_(?:dr|nat)_/;

export function tableOf({ name, mode }: Service, { ip }: Family): TableName {
  return mode === 'dr'
    ? { family: 'netdev', name: `gantry_dr_${identifier(name)}` }
    : { family: ip, name: `gantry_nat_${identifier(name)}` };
}

/** `netdev gantry_dr_eis`: as commands of nft name it. */
export function written({ family, name }: TableName): string {
  return `${family} ${name}`;
}

const LONGEST = 100;

/** The end of an identifier of nft: letters, digits, `_`, `.`, `-`; any other character as `/HEX/`. Injective. */
export function identifier(text: string): string {
  const escaped = text.replace(
    /[^A-Za-z0-9_.-]/gu,
    (character) => `/${character.codePointAt(0)!.toString(16)}/`,
  );
  if (escaped.length <= LONGEST) return escaped;
  // `//` is in no escaped text.
  return `${escaped.slice(0, 30)}//${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}
