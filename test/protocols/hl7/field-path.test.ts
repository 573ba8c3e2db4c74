import { expect, test } from 'vitest';
import { fieldPath, isFieldPath, parseFieldPath } from '../../../protocols/hl7/field-path.ts';

test.each([
  ['PID-3', { segment: 'PID', field: 3, repetition: 0, component: 0, subcomponent: 0 }],
  ['PID-3[2]', { segment: 'PID', field: 3, repetition: 2, component: 0, subcomponent: 0 }],
  ['PID-3[2].1', { segment: 'PID', field: 3, repetition: 2, component: 1, subcomponent: 0 }],
  ['MSH-9.2', { segment: 'MSH', field: 9, repetition: 0, component: 2, subcomponent: 0 }],
  ['PID-3.4.2', { segment: 'PID', field: 3, repetition: 0, component: 4, subcomponent: 2 }],
  ['IPC-1', { segment: 'IPC', field: 1, repetition: 0, component: 0, subcomponent: 0 }],
  ['ZX1-120', { segment: 'ZX1', field: 120, repetition: 0, component: 0, subcomponent: 0 }],
])('%s is a field path', (text, expected) => {
  expect(parseFieldPath(text)).toMatchObject(expected);
  expect(isFieldPath(text)).toBe(true);
});

test.each([
  ['PID-', 'write SEG-field'],
  ['PID-x', 'write SEG-field'],
  ['pid-3', 'write SEG-field'],
  ['PID.3', 'write SEG-field'],
  ['PID-3.1.2.3', 'write SEG-field'],
  ['PID-3.1[2]', 'write SEG-field'],
  ['PID-0', 'counted from 1'],
  ['PID-3[0].1', 'counted from 1'],
  ['PID-3.0', 'counted from 1'],
])('%s is meant to be one, and is told what is wrong', (text, fault) => {
  expect(isFieldPath(text)).toBe(true);
  expect(parseFieldPath(text)).toMatch(/^is not a field path: /);
  expect(parseFieldPath(text)).toContain(fault);
  expect(() => fieldPath(text)).toThrow(`"${text}" is not a field path`);
});

test.each(['type', 'sendingApp', 'patient', 'P-1', '3-PID', ''])('"%s" is another name', (text) => {
  expect(isFieldPath(text)).toBe(false);
});
