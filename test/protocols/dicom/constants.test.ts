/** Numbers of the standard, against those of dcmjs-dimse: a table that somebody else typed in. */
import dimse from 'dcmjs-dimse';
import { expect, test } from 'vitest';
import { CONTEXT_RESULT, DICOM_APPLICATION_CONTEXT } from '../../../protocols/dicom/associate.ts';
import { PDU, pduName } from '../../../protocols/dicom/pdu.ts';
import { ABORT_REASON } from '../../../protocols/dicom/pdu-fault.ts';
import { abortText, rejectText } from '../../../protocols/dicom/small-pdus.ts';

/** Some of them are missing from its type declarations. */
const constants = dimse.constants as unknown as Record<string, Record<string, number | string>>;

/** Letters and digits only, in lower case. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

test('PDU types', () => {
  const theirs = Object.entries(constants.RawPduType!).map(([name, type]) => [plain(name), type]);
  expect(Object.values(PDU).map((type) => [plain(pduName(type)), type])).toEqual(
    expect.arrayContaining(theirs),
  );
});

test('abort reasons', () => {
  const theirs = constants.AbortReason!;
  expect(Object.values(ABORT_REASON)).toEqual(Object.values(theirs));
  for (const [name, reason] of Object.entries(theirs)) {
    const words = plain(abortText({ source: 2, reason: Number(reason) }));
    expect(words).toContain(plain(name));
  }
});

test('reject reasons, each under its source', () => {
  const { RejectSource: sources, RejectReason: reasons } = constants;
  const words = (source: string, reason: string) =>
    rejectText({ result: 1, source: Number(sources![source]), reason: Number(reasons![reason]) });
  expect(words('ServiceUser', 'ApplicationContextNotSupported')).toBe(
    'application-context-name-not-supported',
  );
  expect(words('ServiceUser', 'CallingAeNotRecognized')).toBe('calling-AE-title-not-recognized');
  expect(words('ServiceUser', 'CalledAeNotRecognized')).toBe('called-AE-title-not-recognized');
  expect(words('ServiceProviderAcse', 'ProtocolVersionNotSupported')).toBe('protocol-version-not-supported');
  expect(words('ServiceProviderPresentation', 'TemporaryCongestion')).toBe('temporary-congestion');
  expect(words('ServiceProviderPresentation', 'LocalLimitExceeded')).toBe('local-limit-exceeded');
});

test('results of presentation contexts, application context', () => {
  const { Proposed: _, ...results } = constants.PresentationContextResult!;
  expect(Object.values(CONTEXT_RESULT)).toEqual(Object.values(results));
  expect(DICOM_APPLICATION_CONTEXT).toBe(constants.Uid!.ApplicationContextName);
});
