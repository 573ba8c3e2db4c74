/**
 * What may be shown of the traffic: the allow-list of the contract ("Log lines"). Every other fact leaves the process
 * only as a keyed hash: the same value has the same hash, and nobody without the key can try values out.
 */
import { hash, randomBytes } from 'node:crypto';

/** A value → 16 hex digits. */
export type KeyedHash = (value: string) => string;

/**
 * `key`: the process's own unless given, so that hashes of two runs do not compare. There is one for each request, which
 * an Hmac object is too slow for; SHA-512/256 behind a key is a keyed hash by itself, as it does not show its state.
 */
export function createKeyedHash(key: Uint8Array = randomBytes(32)): KeyedHash {
  return (value) => hash('sha512-256', Buffer.concat([key, Buffer.from(value)]), 'hex').slice(0, 16);
}

/** Facts that are shown as they are. */
const PUBLIC_FACTS: ReadonlySet<string> = new Set([
  'client',
  'port',
  'vip',
  'sni',
  'method',
  'protocol',
  'called',
  'calling',
  'modality',
  'sopClass',
  'command',
  'priority',
  'urgent',
  'study',
  'type',
  'event',
  'structure',
  'sendingApp',
  'sendingFacility',
  'receivingApp',
  'receivingFacility',
  'controlId',
  'processingId',
  'version',
  'orderPriority',
]);

type ShownFacts = Readonly<Record<string, string | readonly string[]>>;

/** Facts as they may be shown: those outside the allow-list (and the study UID with `hashUids`) as `hash:…`. */
export function publicFacts(facts: ShownFacts, hash: KeyedHash, hashUids = false): ShownFacts {
  const shown: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(facts)) {
    const open = PUBLIC_FACTS.has(name) && !(hashUids && name === 'study');
    if (open) shown[name] = value;
    else if (typeof value === 'string') shown[name] = `hash:${hash(value)}`;
    else shown[name] = value.map((one) => `hash:${hash(one)}`);
  }
  return shown;
}

/** Six numbers and more with dots between: no address, no version, a UID (PS3.5 9.1). */
const UID = /\d+(?:\.\d+){5,}/g;

/** A sentence in which every UID became a keyed hash. */
export function withoutUids(sentence: string, hash: KeyedHash): string {
  return sentence.replace(UID, (uid) => `hash:${hash(uid)}`);
}
