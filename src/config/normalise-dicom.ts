/** A VIP with `protocol: dicom`: what its rules ask of messages, and how long a study stays where it is. */
import { dicomSchema } from './dicom-schema.ts';
import { isTag } from './fact-names.ts';
import type { File } from './file-schema.ts';
import { type FileVip, reaches } from './findings.ts';
import { limitsOf } from './persistence-schema.ts';
import type { DicomTimeouts, DicomVip, PersistenceConfiguration, VipCommon } from './schema.ts';
import { closest } from './timeouts-schema.ts';
import type { When } from './vip-schema.ts';

const TIMEOUTS: DicomTimeouts = {
  request: 30_000,
  connect: 2000,
  accept: 5000,
  stall: 60_000,
  idle: 1_800_000,
  release: 5000,
};

export function normaliseDicom(vip: FileVip, common: VipCommon, file: File): DicomVip {
  const {
    route,
    storage = 'shared',
    replay,
    egress,
    wait,
    whenUnavailable,
    ignoreCase,
    clients = {},
    timeouts,
  } = vip.dicom ?? dicomSchema.parse({});
  const { associations, perCalling, perServer } = vip.limits;
  const { reserve, fromOrders = [] } = vip.urgent;
  return {
    ...common,
    protocol: 'dicom',
    persistence: common.persistence ?? (route === 'study' ? studiesOf(vip) : undefined),
    urgent: { reserve, fromOrders },
    limits: { associations, perCalling, perServer },
    dicom: {
      route,
      storage,
      replay,
      tags: tagsOf(vip, file),
      egress,
      wait,
      whenUnavailable,
      ignoreCase,
      clients,
      timeouts: closest(TIMEOUTS, file.timeouts, vip.timeouts, timeouts),
    },
  };
}

/** Study routing over independent archives: a study never moves, and is never forgotten. */
export function keepsStudies({ dicom }: FileVip): boolean {
  return dicom?.route === 'study' && dicom.storage === 'separate';
}

/** What keeps studies together when the file says nothing. */
function studiesOf(vip: FileVip): PersistenceConfiguration {
  const by = ['study'];
  const limits = limitsOf({ by }, keepsStudies(vip));
  return { by, ...limits, netmask: undefined, share: undefined, cookie: undefined };
}

/** Tags that rules and persistence of the VIP, and of the pools that it reaches, name: `(gggg,eeee)`, in order. */
function tagsOf(vip: FileVip, file: File): string[] {
  const pools = file.pools.filter((pool) => reaches(vip, pool));
  const names = [
    ...vip.routes.flatMap(({ when }) => factsIn(when)),
    ...[vip, ...pools].flatMap(({ persistence }) => persistence?.by ?? []),
  ];
  return [...new Set(names.filter(isTag).map((tag) => tag.toUpperCase()))].sort();
}

/** The names of the facts that a condition asks for, also in what is in it. */
export function factsIn({ facts, not, any = [] }: When): string[] {
  const inner = not ? [not, ...any] : any;
  return [...facts.map(({ name }) => name), ...inner.flatMap(factsIn)];
}
