/** countAccepted against indexAssociate: the same number, the same PDUs refused for what it looks at. */
import { expect, test } from 'vitest';
import { countAccepted, indexAssociate } from '../../../protocols/dicom/associate.ts';
import { PduFault } from '../../../protocols/dicom/pdu-fault.ts';
import { fixture } from './fixture.ts';

const ACCEPTS = [
  'echo-associate-ac',
  'store-ct-associate-ac',
  'store-all-associate-ac',
  'by-hand-associate-ac',
];

function outcome(count: () => number): number | 'fault' {
  try {
    return count();
  } catch (fault) {
    if (fault instanceof PduFault) return 'fault';
    throw fault;
  }
}

test.for(ACCEPTS)('%s: as many as are accepted', (name) => {
  const pdu = fixture(name);
  const accepted = indexAssociate(pdu).presentationContexts.filter(({ result }) => result === 0);
  expect(countAccepted(pdu)).toBe(accepted.length);
});

test.for(ACCEPTS)(
  '%s, every single-byte corruption: where both read it they agree; neither crashes',
  (name) => {
    const pdu = fixture(name);
    for (let at = 0; at < pdu.length; at++) {
      for (const value of [0, 1, 0x21, 0x7f, 0xff]) {
        const broken = Buffer.from(pdu);
        broken[at] = value;
        const full = outcome(
          () => indexAssociate(broken).presentationContexts.filter(({ result }) => result === 0).length,
        );
        const quick = outcome(() => countAccepted(broken));
        if (full !== 'fault' && broken[0] === 2) expect(quick).toBe(full);
      }
    }
  },
);

test('every prefix is a fault', () => {
  const pdu = fixture('store-ct-associate-ac');
  for (let length = 0; length < pdu.length; length++) {
    expect(outcome(() => countAccepted(pdu.subarray(0, length)))).toBe('fault');
  }
});
