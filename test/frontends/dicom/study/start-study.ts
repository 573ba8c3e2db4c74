/**
 * Study routing in the test's own process, with scripted servers. After each test nothing may be left: no operation, no
 * byte on its way, no slot, nothing kept for replay. Instances, studies and their UIDs are invented.
 */
import { afterEach, expect, vi } from 'vitest';
import { createDirector, type Rule } from '../../../../src/director/director.ts';
import { Persistence } from '../../../../src/director/persistence.ts';
import type { DicomFrontEndOptions, StudyRouting } from '../../../../src/frontends/dicom/front-end.ts';
import { ReplayBudget } from '../../../../src/frontends/dicom/study/replay-budget.ts';
import type { Pool, PoolSettings } from '../../../../src/pools/pool.ts';
import { createDeadlines } from '../../../../src/relay/deadlines.ts';
import { createMemoryStore } from '../../../../src/tables/memory.ts';
import { Table } from '../../../../src/tables/table.ts';
import { COMMAND, type Command } from '../../../peers/commands.ts';
import type { Scp, ScpAssociation } from '../../../peers/dicom-scp.ts';
import { associate, type Instance, type ScuAssociation, type ScuOptions } from '../../../peers/dicom-scu.ts';
import { now as livedTime } from '../../../peers/lived-time.ts';
import { CT_IMAGE_STORAGE, VERIFICATION } from '../../../peers/pdus.ts';
import { poolOf, startDicom, type TestFrontEnd, TIMEOUTS } from '../start-front-end.ts';

export const STUDY_FIND = '1.2.840.10008.5.1.4.1.2.2.1';
export const STUDY_MOVE = '1.2.840.10008.5.1.4.1.2.2.2';
export const STUDY_GET = '1.2.840.10008.5.1.4.1.2.2.3';
export const REFUSED = 0xa700;
const STUDY_INSTANCE_UID = 0x0020000d;
/** Nobody is given up for being slow, unless a test means that: then it says so, or lets the clock go on. */
export const PATIENT = { ...TIMEOUTS, release: 30_000 };

export interface StudySketch {
  readonly pool?: Partial<PoolSettings>;
  readonly study?: Partial<StudyRouting>;
  readonly rules?: (pool: Pool) => readonly Rule[];
  readonly more?: Partial<DicomFrontEndOptions>;
  readonly timeouts?: Partial<typeof TIMEOUTS>;
  /** Lines that a server of the pool has beside its address: its AE title, its limit. */
  readonly servers?: readonly { readonly ae?: string; readonly maxConnections?: number }[];
}

export interface StudyRig extends TestFrontEnd {
  /** The study is on this server. */
  pin(study: string, server: string): void;
  /** Where it is. */
  placeOf(study: string): string | undefined;
  /** All clocks go on by so much at once; resolves when what was due by then has happened. */
  advance(ms: number): Promise<void>;
  /** Those that were asked for memory. */
  readonly budgets: () => readonly ReplayBudget[];
}

const rigs: StudyRig[] = [];

afterEach(async () => {
  for (const rig of rigs.splice(0)) {
    await rig.frontEnd.close();
    rig.options.deadlines.close();
    expectNothingLeft(rig);
  }
  vi.restoreAllMocks();
});

export function expectNothingLeft({ servers, budgets }: StudyRig): void {
  for (const { name, load, active } of servers)
    expect({ name, active, operations: load.operations, bytes: load.bytesInFlight }).toEqual({
      name,
      active: 0,
      operations: 0,
      bytes: 0,
    });
  for (const { kept } of budgets()) expect(kept).toBe(0);
}

/** A front-end that routes studies over `servers`, `s1`, `s2`, …; who comes first gets what nobody has. */
export async function startStudy(servers: readonly Scp[], sketch: StudySketch = {}): Promise<StudyRig> {
  let skew = 0;
  const now = () => livedTime() + skew;
  const storage = sketch.study?.storage ?? 'shared';
  const isFixed = storage === 'separate';
  const table = new Table(createMemoryStore({ ttl: isFixed ? Infinity : 86_400_000, size: 10_000, now }));
  const addresses = servers.map(({ address }) => address);
  const pool = poolOf('P', addresses, {
    ...(sketch.servers && {
      servers: addresses.map(({ host, port }, index) => ({
        ...{ name: `s${index + 1}`, host, port, weight: 1, backup: false },
        ...{ ae: undefined, maxConnections: undefined, ...sketch.servers![index] },
      })),
    }),
    ...sketch.pool,
  });
  const persistence = new Persistence({ by: ['study'], table, isFixed });
  const rules = sketch.rules?.(pool) ?? [];
  const director = createDirector({ vip: 'V', rules, pool, persistence, now, random: Math.random });
  const budgets = watchBudgets();
  const deadlines = createDeadlines({ tickMs: 10, now });
  const dicom = await startDicom([], {
    more: {
      director,
      pool,
      pools: [pool],
      deadlines,
      now,
      timeouts: { ...PATIENT, ...sketch.timeouts },
      study: {
        storage,
        replay: { perInstance: 4 * 1024 * 1024, total: 16 * 1024 * 1024 },
        tags: [],
        ...sketch.study,
      },
      ...sketch.more,
    },
  });
  const rig: StudyRig = {
    ...dicom,
    pool,
    servers: pool.servers,
    pin: (study, server) => table.restore({ key: `P/study=${study}`, server, remaining: 86_400_000 }),
    placeOf: (study) => table.serverOf(`P/study=${study}`),
    advance: (ms) => {
      skew += ms;
      return new Promise((resolve) => deadlines.after(0, resolve));
    },
    budgets,
  };
  rigs.push(rig);
  return rig;
}

/** Those that are asked for memory from now on. */
function watchBudgets(): () => readonly ReplayBudget[] {
  const { mock } = vi.spyOn(ReplayBudget.prototype, 'take');
  return () => [...new Set(mock.contexts as ReplayBudget[])];
}

/** Associates for what these tests ask. */
export async function open(rig: StudyRig, options: ScuOptions = {}): Promise<ScuAssociation> {
  const propose = [VERIFICATION, CT_IMAGE_STORAGE, STUDY_FIND, STUDY_MOVE, STUDY_GET];
  const scu = await associate(rig.address, { propose, ...options });
  expect(scu.outcome).toBe('accepted');
  return scu;
}

/** An instance of `size` bytes of pixels, in explicit little endian; without `study` it has no study UID. */
export function instanceOf(study: string | undefined, number = 1, size = 64): Instance {
  const sopInstance = `1.2.826.0.1.3680043.10.2.${number}`;
  const pixels = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) pixels.writeUInt32LE((at * 2654435761 + number) >>> 0, at);
  const dataSet = Buffer.concat([
    element(0x00080016, 'UI', text(CT_IMAGE_STORAGE)),
    element(0x00080018, 'UI', text(sopInstance)),
    ...(study === undefined ? [] : [element(STUDY_INSTANCE_UID, 'UI', text(study))]),
    element(0x7fe00010, 'OW', pixels),
  ]);
  return { sopClass: CT_IMAGE_STORAGE, sopInstance, dataSet };
}

/** The data set of a query for a study, or without one for all. */
export function queryFor(study: string | undefined): Buffer {
  return Buffer.concat([
    element(0x00080052, 'CS', Buffer.from('STUDY ')),
    element(STUDY_INSTANCE_UID, 'UI', text(study ?? '')),
  ]);
}

export function element(tag: number, vr: string, value: Buffer): Buffer {
  const isLong = ['OB', 'OW', 'SQ', 'UN', 'UT'].includes(vr);
  const header = Buffer.alloc(isLong ? 12 : 8);
  header.writeUInt16LE(tag >>> 16, 0);
  header.writeUInt16LE(tag & 0xffff, 2);
  header.write(vr, 4, 'latin1');
  if (isLong) header.writeUInt32LE(value.length, 8);
  else header.writeUInt16LE(value.length, 6);
  return Buffer.concat([header, value]);
}

function text(value: string): Buffer {
  return Buffer.from(value.length % 2 === 0 ? value : `${value}\0`, 'latin1');
}

/** A C-STORE-RQ of an instance. */
export function storeCommand({ sopClass, sopInstance }: Instance): Command {
  return { field: COMMAND.C_STORE_RQ, sopClass, sopInstance, priority: 0, hasDataSet: true };
}

/** The next message; `STATUS @ID` as hex and decimal, or what came instead. */
export async function nextStatus(scu: ScuAssociation): Promise<string> {
  const arrival = await scu.next();
  if (arrival.kind !== 'message') return arrival.kind;
  const { status = 0, respondsTo } = arrival.command;
  return `${status.toString(16).padStart(4, '0')} @${respondsTo}`;
}

/** How the client saw the end: `abort 2/6`, `reset`, `end`. */
export async function endOf(scu: ScuAssociation): Promise<string> {
  const { end, code = '' } = await scu.waitForEnd();
  return `${end} ${code}`.trim();
}

/** SOP instances that came whole, over all associations of the server. */
export function received({ associations }: Scp): string[] {
  return associations.items.flatMap(({ messages }) =>
    messages.flatMap(({ command }) => command.sopInstance ?? []),
  );
}

/** The associations of the server with a client's request, once there are `count`. */
export async function associationsOf(one: Scp, count = 1): Promise<readonly ScpAssociation[]> {
  return one.associations.count(count, ({ request }) => request.length > 0);
}

/** How the server saw the end of each association, once all have ended. */
export async function endsAt(one: Scp, count = 1): Promise<string[]> {
  const ended = await one.associations.count(count, ({ end }) => end !== 'open');
  return ended.map(({ end, abortCode = '' }) => `${end} ${abortCode}`.trim());
}
