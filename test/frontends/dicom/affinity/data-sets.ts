/** Invented data sets of storage commitment, and what is in them. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import {
  type DataSet,
  itemsOf,
  readDataSet,
  sequenceElement,
  shortElement,
  textElement,
  textOf,
} from '../../../../protocols/dicom/data-set.ts';
import { writeDataSet } from '../../../../protocols/dicom/data-set-write.ts';
import { TAG } from '../../../../protocols/dicom/tags.ts';

export const IMPLICIT = '1.2.840.10008.1.2';
export const EXPLICIT = '1.2.840.10008.1.2.1';
export const SYNTAXES = [IMPLICIT, EXPLICIT, '1.2.840.10008.1.2.2', '1.2.840.10008.1.2.1.99'];
export const CLASS = '1.2.840.10008.5.1.4.1.1.2';
export const CLIENT = '1.2.826.0.1';
export const PROCEDURE_STEPS = 0x0008_1111;

export const item = (sopInstance: string, ...more: DataSet): DataSet => [
  textElement(TAG.REFERENCED_SOP_CLASS_UID, 'UI', CLASS),
  textElement(TAG.REFERENCED_SOP_INSTANCE_UID, 'UI', sopInstance),
  ...more,
];

export function asked(instances: readonly string[], transferSyntax = IMPLICIT, uid = CLIENT): Buffer {
  const items = instances.map((one) => item(one));
  const dataSet = [
    sequenceElement(PROCEDURE_STEPS, [item('1.2.3.4')]),
    textElement(TAG.TRANSACTION_UID, 'UI', uid),
    sequenceElement(TAG.REFERENCED_SOP_SEQUENCE, items),
  ];
  return writeDataSet(dataSet, transferSyntax, deflateRawSync);
}

export interface Reported {
  readonly good: readonly string[];
  readonly bad?: readonly string[];
  readonly more?: DataSet;
  readonly transferSyntax?: string;
}

export function reported(
  uid: string,
  { good, bad = [], more = [], transferSyntax = IMPLICIT }: Reported,
): [Buffer, string] {
  const reason = shortElement(TAG.FAILURE_REASON, 0x0112);
  const failedItems = bad.map((one) => item(one, reason));
  const goodItems = good.map((one) => item(one));
  const dataSet: DataSet = [
    ...more.filter(({ tag }) => tag < TAG.TRANSACTION_UID),
    textElement(TAG.TRANSACTION_UID, 'UI', uid),
    ...(bad.length === 0 ? [] : [sequenceElement(TAG.FAILED_SOP_SEQUENCE, failedItems)]),
    ...(good.length === 0 ? [] : [sequenceElement(TAG.REFERENCED_SOP_SEQUENCE, goodItems)]),
    ...more.filter(({ tag }) => tag > TAG.TRANSACTION_UID),
  ];
  return [writeDataSet(dataSet, transferSyntax, deflateRawSync), transferSyntax];
}

export const read = (bytes: Buffer, transferSyntax = IMPLICIT) =>
  readDataSet(bytes, transferSyntax, inflateRawSync)!;
export const instancesIn = (dataSet: DataSet, tag: number) =>
  itemsOf(dataSet, tag).map((one) => textOf(one, TAG.REFERENCED_SOP_INSTANCE_UID));
export const referenced = (dataSet: DataSet) => instancesIn(dataSet, TAG.REFERENCED_SOP_SEQUENCE);
export const failed = (dataSet: DataSet) => instancesIn(dataSet, TAG.FAILED_SOP_SEQUENCE);
export const uidOf = (dataSet: DataSet) => textOf(dataSet, TAG.TRANSACTION_UID)!;
