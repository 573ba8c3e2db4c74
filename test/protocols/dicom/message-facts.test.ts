import { describe, expect, test } from 'vitest';
import { COMMAND, PRIORITY, RESPONSE_BIT } from '../../../protocols/dicom/command-set.ts';
import { type CommandFacts, messageFacts, WANTED_TAGS } from '../../../protocols/dicom/message-facts.ts';
import { TAG } from '../../../protocols/dicom/tags.ts';
import { type FactValue, factsFrom } from '../../../protocols/facts.ts';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const IMAGE_TYPE = 0x0008_0008;
const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';
const association = factsFrom({
  called: 'ARCHIVE',
  calling: 'CT1',
  modality: 'MULTI',
  sopClass: [CT, SECONDARY_CAPTURE],
  study: 'not of an association',
});
const store: CommandFacts = {
  commandField: COMMAND.C_STORE,
  priority: PRIORITY.MEDIUM,
  affectedSopClass: CT,
  affectedSopInstance: '2.25.1',
};

function factsOf(
  command: CommandFacts,
  values: Readonly<Record<number, FactValue>> = {},
  isUrgentOrder?: (accession?: string, study?: string) => boolean,
) {
  return messageFacts(association, command, (tag) => values[tag], isUrgentOrder);
}

describe('facts of a message', () => {
  test('of a C-STORE: what its command and its data set say, and behind it its association', () => {
    const facts = factsOf(store, {
      [TAG.STUDY_INSTANCE_UID]: '2.25.5',
      [TAG.ACCESSION_NUMBER]: 'ACC-1',
      [TAG.PATIENT_ID]: 'INVENTED-1',
      [TAG.MODALITY]: 'PT',
      [IMAGE_TYPE]: ['ORIGINAL', 'PRIMARY'],
    });
    const expected = {
      command: 'C-STORE',
      priority: 'medium',
      sopClass: CT,
      sopInstance: '2.25.1',
      modality: 'PT',
      study: '2.25.5',
      accession: 'ACC-1',
      patient: 'INVENTED-1',
      urgent: undefined,
      '(0008,0008)': ['ORIGINAL', 'PRIMARY'],
      '(0020,000D)': '2.25.5',
      '(0020,000d)': '2.25.5',
      '(0009,1001)': undefined,
      called: 'ARCHIVE',
      calling: 'CT1',
      nothing: undefined,
    };
    expect(Object.fromEntries(Object.keys(expected).map((name) => [name, facts.get(name)]))).toEqual(
      expected,
    );
  });

  test('modality: of the data set, else of the SOP class, else of the association', () => {
    expect(factsOf(store, { [TAG.MODALITY]: 'PT' }).get('modality')).toBe('PT');
    expect(factsOf(store).get('modality')).toBe('CT');
    expect(factsOf({ ...store, affectedSopClass: SECONDARY_CAPTURE }).get('modality')).toBe('MULTI');
  });

  test('data sets without a study UID have no study, whatever the association says', () => {
    expect(factsOf(store).get('study')).toBeUndefined();
  });

  test('of a query the study is one that it names, and none of a list or a wild card', () => {
    const query: CommandFacts = { commandField: COMMAND.C_FIND };
    const study = (command: CommandFacts, value: FactValue) =>
      factsOf(command, { [TAG.STUDY_INSTANCE_UID]: value }).get('study');
    expect(study(query, '2.25.5')).toBe('2.25.5');
    for (const value of [['2.25.5', '2.25.6'], '*', '2.25.*', '2.25.?', undefined])
      expect(study(query, value)).toBeUndefined();
    expect(study(store, ['2.25.5', '2.25.6'])).toEqual(['2.25.5', '2.25.6']);
  });

  test('the SOP class and instance are those that the command names, affected or requested', () => {
    const facts = factsOf({
      commandField: COMMAND.N_SET,
      requestedSopClass: '1.2',
      requestedSopInstance: '1.3',
    });
    expect(['command', 'sopClass', 'sopInstance', 'priority'].map((name) => facts.get(name))).toEqual([
      'N-SET',
      '1.2',
      '1.3',
      undefined,
    ]);
    expect(factsOf({ commandField: COMMAND.C_CANCEL }).get('sopClass')).toBeUndefined();
  });

  test('priorities, and commands that the standard does not have', () => {
    const priorities = [PRIORITY.HIGH, PRIORITY.MEDIUM, PRIORITY.LOW, 7];
    expect(priorities.map((priority) => factsOf({ ...store, priority }).get('priority'))).toEqual([
      'high',
      'medium',
      'low',
      undefined,
    ]);
    expect(factsOf({ commandField: 0x00aa }).get('command')).toBeUndefined();
    expect(factsOf({ commandField: COMMAND.C_FIND | RESPONSE_BIT }).get('command')).toBe('C-FIND');
  });

  test('urgent: priority HIGH, or a STAT order for its accession number or study', () => {
    expect(factsOf({ ...store, priority: PRIORITY.HIGH }).get('urgent')).toBe('true');
    const asked: unknown[] = [];
    const values = { [TAG.ACCESSION_NUMBER]: ['ACC-1', 'ACC-2'], [TAG.STUDY_INSTANCE_UID]: '2.25.5' };
    const facts = factsOf(store, values, (...keys) => {
      asked.push(keys);
      return true;
    });
    expect([facts.get('urgent'), asked]).toEqual(['true', [['ACC-1', '2.25.5']]]);
    expect(factsOf(store, values, () => false).get('urgent')).toBeUndefined();
  });

  test('what is wanted of a data set is in ascending order', () => {
    expect(WANTED_TAGS).toEqual(WANTED_TAGS.toSorted((one, other) => one - other));
  });
});
