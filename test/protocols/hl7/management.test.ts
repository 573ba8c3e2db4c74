import { expect, test } from 'vitest';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { writeManagementMessage } from '../../../protocols/hl7/management.ts';

test('a message that says nothing of anybody: MSH and NST', () => {
  const bytes = writeManagementMessage('GANTRY1', Date.UTC(2026, 10, 22, 4, 51, 0));
  expect(bytes.toString('latin1')).toBe(
    'MSH|^~\\&|GANTRY|GANTRY|||20261122045100+0000||NMD^N02|GANTRY1|P|2.3.1\rNST|N\r',
  );
  const message = openMessage(bytes);
  expect([message.problem, message.header(10), message.header(9, 2)]).toEqual([undefined, 'GANTRY1', 'N02']);
});
