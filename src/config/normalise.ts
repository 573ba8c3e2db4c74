/** From the file's own form to the form that rooms are given: what the file says in several places put together. */
import type {
  Configuration,
  DicomTimeouts,
  File,
  Hl7Timeouts,
  VipCommon,
  VipConfiguration,
} from './schema.ts';
import { dicomSchema, hl7Schema } from './vip-schema.ts';

const DICOM_TIMEOUTS: DicomTimeouts = {
  request: 30_000,
  connect: 2000,
  accept: 5000,
  stall: 60_000,
  idle: 1_800_000,
  release: 5000,
};
const HL7_TIMEOUTS: Hl7Timeouts = { connect: 2000, stall: 60_000, idle: undefined };

/** From the file's own form to the form that rooms are given. */
export function normalise(file: File): Configuration {
  return {
    admin: file.admin,
    log: file.log,
    table: file.table,
    drain: file.timeouts.drain ?? 60_000,
    pools: file.pools,
    vips: file.vips.flatMap((vip) => normaliseVip(vip, file.timeouts)),
  };
}

type FileVip = File['vips'][number];

function normaliseVip(vip: FileVip, general: File['timeouts']): VipConfiguration[] {
  const common: VipCommon = {
    name: vip.name,
    listen: vip.listen,
    pool: vip.pool,
    persistence: vip.persistence,
    limits: {
      associations: vip.limits.associations,
      perCalling: vip.limits.perCalling,
      perServer: vip.limits.perServer,
    },
    routes: vip.routes.map((route) => ({
      when: route.when,
      pool: route.reject === undefined ? (route.pool ?? vip.pool) : undefined,
      reject: route.reject,
      balance: route.balance,
      urgent: route.urgent,
      onAmbiguous: route.onAmbiguous,
    })),
  };
  if (vip.protocol === 'dicom') {
    const {
      route,
      wait,
      whenUnavailable,
      ignoreCase,
      clients = {},
      timeouts,
    } = vip.dicom ?? dicomSchema.parse({});
    return [
      {
        ...common,
        protocol: 'dicom',
        dicom: {
          route,
          wait,
          whenUnavailable,
          ignoreCase,
          clients,
          timeouts: closest(DICOM_TIMEOUTS, general, vip.timeouts, timeouts),
        },
      },
    ];
  }
  if (vip.protocol === 'hl7') {
    const { delivery, order, senderTimeout, ackTimeout, ackMatch, onAmbiguous, ...rest } =
      vip.hl7 ?? hl7Schema.parse({});
    const { whenUnavailable, maxFrame, startBlock, endBlock, patient, accession } = rest;
    return [
      {
        ...common,
        protocol: 'hl7',
        hl7: {
          delivery,
          order,
          senderTimeout,
          ackTimeout,
          ackMatch,
          onAmbiguous,
          whenUnavailable,
          maxFrame,
          startBlock,
          endBlock,
          patient,
          accession,
          timeouts: closest(HL7_TIMEOUTS, general, vip.timeouts),
        },
      },
    ];
  }
  return [];
}

/** For each time-out of `defaults`: the value of the last of `places` that has one. */
function closest<T extends object>(defaults: T, ...places: (object | undefined)[]): T {
  const result = { ...defaults };
  for (const place of places) {
    for (const [name, value] of Object.entries(place ?? {})) {
      if (name in defaults && value !== undefined) Object.assign(result, { [name]: value });
    }
  }
  return result;
}
