/** The invented files that the demo's commands send. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSample, type SampleModality } from './sample-files.ts';

export interface SampleFiles {
  /** Modality → the paths of its instances, one study. */
  readonly dicom: Readonly<Record<SampleModality, readonly string[]>>;
  /** A file of HL7 messages: an admission, an order and a result, of two patients. */
  readonly hl7: string;
}

/** Instances of each modality. */
const INSTANCES = 3;

export function writeSamples(folder: string): SampleFiles {
  const run = randomUUID();
  const write = (modality: SampleModality): string[] =>
    Array.from({ length: INSTANCES }, (_, index) => {
      const path = join(folder, `${modality.toLowerCase()}-${index + 1}.dcm`);
      writeFileSync(path, createSample({ modality, study: `${run} ${modality}`, number: index + 1 }).file);
      return path;
    });
  mkdirSync(folder, { recursive: true });
  const dicom = { CT: write('CT'), MR: write('MR'), US: write('US'), CR: write('CR') };
  const hl7 = join(folder, 'messages.hl7');
  writeFileSync(hl7, MESSAGES);
  return { dicom, hl7 };
}

/** One segment a line, for people; `mllp_send --loose` makes carriage returns of the line ends. */
const MESSAGES = `\
MSH|^~\\&|DEMO|HOSPITAL|ADT|HOSPITAL|20260101120000||ADT^A01^ADT_A01|DEMO1|P|2.5.1
EVN|A01|20260101120000
PID|1||INVENTED-1^^^DEMO^MR||DEMO^INVENTED||19000101|O
PV1|1|I|WARD^1^1
MSH|^~\\&|DEMO|HOSPITAL|RIS|HOSPITAL|20260101120100||ORM^O01^ORM_O01|DEMO2|P|2.5.1
PID|1||INVENTED-1^^^DEMO^MR||DEMO^INVENTED||19000101|O
ORC|NW|ORDER1
OBR|1|ORDER1||CHEST^Chest, two views
MSH|^~\\&|DEMO|HOSPITAL|ADT|HOSPITAL|20260101120200||ADT^A08^ADT_A01|DEMO3|P|2.5.1
EVN|A08|20260101120200
PID|1||INVENTED-2^^^DEMO^MR||DEMO^INVENTED||19000101|O
PV1|1|O|CLINIC
`;
