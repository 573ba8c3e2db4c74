/** The key under which the place of a SOP instance is kept. */
import { hash } from 'node:crypto';

/** 27 characters, whatever the length of the UID. */
export function instanceKey(sopInstance: string): string {
  return hash('sha1', sopInstance, 'base64url');
}
