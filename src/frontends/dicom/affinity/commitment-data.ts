/**
 * The data sets of storage commitment: what an N-ACTION-RQ asks (PS3.4 Table J.3-1), what an N-EVENT-REPORT-RQ reports
 * (Table J.3-2). Elements that have nothing to do with splitting and merging are passed on as they came.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import {
  type DataSet,
  type Element,
  elementOf,
  itemsOf,
  readDataSet,
  sequenceElement,
  textElement,
  textOf,
  withElement,
  withoutElement,
} from '../../../../protocols/dicom/data-set.ts';
import { writeDataSet } from '../../../../protocols/dicom/data-set-write.ts';
import { TAG } from '../../../../protocols/dicom/tags.ts';
import type { PartReport } from './transactions.ts';

/** Bytes of a data set that is kept to be read; a larger one goes to the lead, or to the client, as it is. */
export const LARGEST_COMMITMENT = 16 * 1024 * 1024;

/** Where instances can be had: of a whole report, or of single items. Retrieve AE Title, Storage Media File-Set ID, UID. */
const WHEREABOUTS: readonly number[] = [TAG.RETRIEVE_AE_TITLE, 0x0088_0130, 0x0088_0140];

/** undefined: it is malformed. */
export function readCommitment(bytes: Buffer, transferSyntax: string): DataSet | undefined {
  return readDataSet(bytes, transferSyntax, inflated);
}

export function writeCommitment(dataSet: DataSet, transferSyntax: string): Buffer {
  return writeDataSet(dataSet, transferSyntax, deflateRawSync);
}

/** The SOP instances that it names, in its order; undefined of an item that names none. */
export function referencesIn(dataSet: DataSet): (string | undefined)[] {
  return itemsOf(dataSet, TAG.REFERENCED_SOP_SEQUENCE).map((item) =>
    textOf(item, TAG.REFERENCED_SOP_INSTANCE_UID),
  );
}

/** The same request for some of its instances, under another Transaction UID. */
export function requestFor(dataSet: DataSet, uid: string, wanted: ReadonlySet<number>): DataSet {
  const items = itemsOf(dataSet, TAG.REFERENCED_SOP_SEQUENCE).filter((_, index) => wanted.has(index));
  return withElement(withTransaction(dataSet, uid), sequenceElement(TAG.REFERENCED_SOP_SEQUENCE, items));
}

/** What several servers report, as one report. */
export function mergedReport(
  uid: string,
  reports: readonly PartReport[],
): { readonly merged: DataSet; readonly hasFailures: boolean } {
  const dataSets = reports.map(({ dataSet, transferSyntax }) => readCommitment(dataSet, transferSyntax)!);
  const referenced = dataSets.flatMap((dataSet) =>
    itemsOf(dataSet, TAG.REFERENCED_SOP_SEQUENCE).map((item) => withWhereabouts(item, dataSet)),
  );
  const failed = dataSets.flatMap((dataSet) => itemsOf(dataSet, TAG.FAILED_SOP_SEQUENCE));
  let merged: DataSet = [];
  // What else they say: the word of the first.
  for (const element of dataSets.flat().reverse()) merged = withElement(merged, element);
  for (const tag of [...WHEREABOUTS, TAG.REFERENCED_SOP_SEQUENCE, TAG.FAILED_SOP_SEQUENCE])
    merged = withoutElement(merged, tag);
  merged = withTransaction(merged, uid);
  if (referenced.length > 0)
    merged = withElement(merged, sequenceElement(TAG.REFERENCED_SOP_SEQUENCE, referenced));
  if (failed.length > 0) merged = withElement(merged, sequenceElement(TAG.FAILED_SOP_SEQUENCE, failed));
  return { merged, hasFailures: failed.length > 0 };
}

/** An item with what its report says of all of them. */
function withWhereabouts(item: DataSet, report: DataSet): DataSet {
  const said = WHEREABOUTS.flatMap((tag): Element[] => {
    const element = elementOf(item, tag) ? undefined : elementOf(report, tag);
    return element ? [element] : [];
  });
  return said.reduce(withElement, item);
}

function inflated(deflated: Buffer): Buffer | undefined {
  try {
    return inflateRawSync(deflated, { maxOutputLength: LARGEST_COMMITMENT });
  } catch {
    return undefined;
  }
}

function withTransaction(dataSet: DataSet, uid: string): DataSet {
  return withElement(dataSet, textElement(TAG.TRANSACTION_UID, 'UI', uid));
}
