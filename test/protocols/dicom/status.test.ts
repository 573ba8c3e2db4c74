import dimse from 'dcmjs-dimse';
import { describe, expect, test } from 'vitest';
import { hex16, isPending, statusClass } from '../../../protocols/dicom/status.ts';

describe('statuses', () => {
  test.each([
    [0x0000, 'success'],
    [0xff00, 'pending'],
    [0xff01, 'pending'],
    [0xfe00, 'cancel'],
    [0xb000, 'warning'],
    [0xb007, 'warning'],
    [0x0001, 'warning'],
    [0x0107, 'warning'],
    [0x0116, 'warning'],
    [0xa700, 'refused'],
    [0xa702, 'refused'],
    [0xa801, 'failure'],
    [0xa900, 'failure'],
    [0xc123, 'failure'],
    [0x0122, 'failure'],
    [0x0211, 'failure'],
    [0xff02, 'failure'],
  ] as const)('%i is %s', (status, kind) => {
    expect(statusClass(status)).toBe(kind);
  });

  test('those of dcmjs-dimse: its failures are failures here', () => {
    const { Status } = dimse.constants;
    const good = new Set<number>([Status.Success, Status.Pending, Status.Cancel]);
    for (const status of Object.values(Status)) {
      expect(['failure', 'refused'].includes(statusClass(status))).toBe(!good.has(status));
    }
    expect(isPending(Status.Pending)).toBe(true);
    expect(statusClass(Status.Cancel)).toBe('cancel');
    expect(statusClass(Status.OutOfResourcesNumberOfMatches)).toBe('refused');
  });

  test('are written with four digits', () => {
    expect([0, 0x122, 0xa700].map(hex16)).toEqual(['0000', '0122', 'A700']);
  });
});
