/**
 * The modality of an association, from the SOP classes that it proposes: the earliest hint there is, long before a data
 * set with its Modality (0008,0060). Every storage SOP class whose IOD fixes that attribute (PS3.3 Annex A) is below.
 */

/** More than one modality is proposed, so that none can be told. */
export const MULTI = 'MULTI';

/** Modality → storage SOP classes, as what follows `1.2.840.10008.5.1.4.1.1.` in their UIDs. */
const ACQUIRED: Readonly<Record<string, string>> = {
  // Radiography
  CR: '1',
  DX: '1.1 1.1.1',
  MG: '1.2 1.2.1 13.1.3 13.1.4 13.1.5',
  IO: '1.3 1.3.1',
  XA: '12.1 12.1.1 12.3 13.1.1',
  RF: '12.2 12.2.1',
  // Sections, volumes, nuclear medicine
  CT: '2 2.1 2.2 2.3 2.4 2.5',
  MR: '4 4.1 4.2 4.3 4.4',
  NM: '5 20',
  PT: '128 128.1 130',
  US: '3 3.1 6 6.1 6.2',
  PA: '6.3',
  IVOCT: '14.1 14.2',
  // Waveforms
  ECG: '9.1.1 9.1.2 9.1.3 9.1.4',
  HD: '9.2.1 9.5.1',
  EPS: '9.3.1',
  AU: '9.4.1 9.4.2',
  RESP: '9.6.1 9.6.2',
  EEG: '9.7.1 9.7.4',
  EMG: '9.7.2',
  EOG: '9.7.3',
  POS: '9.8.1',
  // Visible light
  ES: '77.1.1 77.1.1.1',
  GM: '77.1.2 77.1.2.1',
  SM: '77.1.3 77.1.6',
  XC: '77.1.4 77.1.4.1',
  DMS: '77.1.7',
  CFM: '77.1.8 77.1.9',
  // Ophthalmology
  OP: '77.1.5.1 77.1.5.2 77.1.5.5 77.1.5.6',
  OPT: '77.1.5.4',
  OPTENF: '77.1.5.7',
  OPTBSV: '77.1.5.8',
  LEN: '78.1',
  AR: '78.2',
  KER: '78.3',
  SRF: '78.4',
  VA: '78.5',
  OAM: '78.7',
  IOL: '78.8',
  OPV: '80.1',
  OPM: '81.1 82.1',
  // Radiotherapy
  RTIMAGE: '481.1 481.23 481.24',
  RTDOSE: '481.2',
  RTSTRUCT: '481.3',
  RTPLAN: '481.5 481.8',
  RTRECORD: '481.4 481.6 481.7 481.9',
  RTINTENT: '481.10',
  RTSEGANN: '481.11',
  RTRAD: '481.12 481.13 481.14 481.15',
};

/**
 * What is derived from acquired objects and sent along with them: a CT scanner that also proposes its dose report and
 * presentation states is a CT scanner to whoever writes `modality: CT`. They count only where nothing acquired is proposed.
 */
const DERIVED: Readonly<Record<string, string>> = {
  SR: '88.11 88.22 88.33 88.34 88.35 88.40 88.50 88.65 88.67 88.68 88.69 88.70 88.71 88.72 88.73 88.74 88.75 88.76 88.77',
  KO: '88.59',
  PR: '11.1 11.2 11.3 11.4 11.5 11.6 11.7 11.8 11.9 11.10 11.11 11.12 9.100.1 9.100.2',
  DOC: '104.1 104.2',
  SEG: '66.4 66.5 66.7 66.8',
  REG: '66.1 66.3',
  FID: '66.2',
  RWV: '67',
  SMR: '77.1.5.3',
  ANN: '91.1',
};

const STORAGE = '1.2.840.10008.5.1.4.1.1.';
const ACQUIRED_BY_UID = byUid(ACQUIRED);
const DERIVED_BY_UID = byUid(DERIVED);

/**
 * The one modality of all storage SOP classes among `sopClasses` (UIDs), `MULTI` when they have several, undefined when
 * they have none. Not counted: classes of services other than storage; classes that serve any modality (Secondary
 * Capture, Raw Data, …) and private ones, which say nothing; and derived ones beside acquired ones.
 */
export function modalityOf(sopClasses: Iterable<string>): string | undefined {
  let acquired: string | undefined;
  let derived: string | undefined;
  for (const sopClass of sopClasses) {
    acquired = merged(acquired, ACQUIRED_BY_UID.get(sopClass));
    if (acquired === MULTI) return MULTI;
    derived = merged(derived, DERIVED_BY_UID.get(sopClass));
  }
  return acquired ?? derived;
}

/** The modality of one storage SOP class (UID); undefined when it has none of its own. */
export function modalityOfSopClass(sopClass: string): string | undefined {
  return ACQUIRED_BY_UID.get(sopClass) ?? DERIVED_BY_UID.get(sopClass);
}

function merged(known: string | undefined, next: string | undefined): string | undefined {
  if (known === undefined || next === undefined) return known ?? next;
  return known === next ? known : MULTI;
}

function byUid(table: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(table).flatMap(([modality, classes]) =>
      classes.split(' ').map((suffix) => [STORAGE + suffix, modality] as const),
    ),
  );
}
