/**
 * Paths to a field, as operators write them (contract, "Facts"):
 *
 *     SEG-f          PV1-18        the field; where it repeats, its first repetition
 *     SEG-f[r]       PID-3[2]      one repetition, counted from 1
 *     SEG-f.c        PID-3.4       one component
 *     SEG-f.c.s      PID-3.4.2     one sub-component
 *     SEG-f[r].c.s   PID-3[2].4.2  all of it
 *
 * Numbers count from 1, as the standard's tables do; MSH-1 is the field separator, MSH-2 the encoding characters.
 */

import { segmentCode } from './segments.ts';

export interface FieldPath {
  /** Three letters or digits, `PID`. */
  readonly segment: string;
  /** The segment's three bytes as one number, for comparing. */
  readonly segmentCode: number;
  readonly field: number;
  /** 0 when the path names none. */
  readonly repetition: number;
  /** 0 when the path names none. */
  readonly component: number;
  /** 0 when the path names none. */
  readonly subcomponent: number;
}

const FORM = /^([A-Z][A-Z0-9]{2})-(\d{1,3})(?:\[(\d{1,4})\])?(?:\.(\d{1,3})(?:\.(\d{1,3}))?)?$/;
/** `PID-…` and the like: text that is meant to be a path, well-formed or not. */
const MEANT = /^[A-Za-z][A-Za-z0-9]{2}[-.[]/;

/** Is `text` meant to be a path? True for malformed ones too, so that their fault can be told; false for names. */
export function isFieldPath(text: string): boolean {
  return MEANT.test(text);
}

/** Reads a path. A string is the fault: what is wrong and what would be right, to stand behind the text itself. */
export function parseFieldPath(text: string): FieldPath | string {
  const parts = FORM.exec(text);
  if (parts === null) return 'is not a field path: write SEG-field[repetition].component, as in PID-3[2].1';
  const [, segment = '', field, repetition, component, subcomponent] = parts;
  const counted = [field, repetition, component, subcomponent];
  if (counted.some((number) => number !== undefined && Number(number) === 0)) {
    return 'is not a field path: fields, repetitions and components are counted from 1';
  }
  return {
    segment,
    segmentCode: segmentCode(segment),
    field: Number(field),
    repetition: Number(repetition ?? 0),
    component: Number(component ?? 0),
    subcomponent: Number(subcomponent ?? 0),
  };
}

/** A path that is known to be well-formed. Throws for others. */
export function fieldPath(text: string): FieldPath {
  const path = parseFieldPath(text);
  if (typeof path === 'string') throw new TypeError(`"${text}" ${path}`);
  return path;
}
