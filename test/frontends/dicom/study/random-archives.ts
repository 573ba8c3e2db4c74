/** Archives that die, reset, refuse and come back as chance has it, and what they stored and answered. */
import { COMMAND, readCommand, responseTo, writeCommand } from '../../../peers/commands.ts';
import type { DimseMessage } from '../../../peers/dicom-peer.ts';
import { type Scp, type ScpAssociation, serve } from '../../../peers/dicom-scp.ts';
import { associateReject, PDU_TYPE, pData, readPdvs } from '../../../peers/pdus.ts';
import { scp } from '../setup.ts';

/** From 0 up to, not including, 1; the same for the same seed. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
  };
}

/** How often an archive does what it should not; 0 is never. */
export interface Vices {
  /** Of associations: rejected or reset. */
  readonly refusal: number;
  /** Of associations: reset inside what comes. */
  readonly death: number;
  /** Of instances: stored, and reset instead of the whole answer. */
  readonly silence: number;
  /** Of instances: answered with a failure. */
  readonly failure: number;
}

export const STEADY: Vices = { refusal: 0, death: 0, silence: 0, failure: 0 };
export const FAILURE = 0xc123;

export interface Archive {
  readonly scp: Scp;
  /** SOP instance → its data sets, each time that it came whole. */
  readonly stored: Map<string, Buffer[]>;
  /** `SOP instance STATUS`, of each answer that was sent whole. */
  readonly answers: Set<string>;
  vices: Vices;
}

export async function startArchive(random: () => number, vices: Vices): Promise<Archive> {
  const archive: Archive = { scp: await scp(), stored: new Map(), answers: new Set(), vices };
  archive.scp.script = async (association) => {
    await association.receiveRequest();
    if (random() < archive.vices.refusal) return refuse(association, random);
    await association.sendAccept({ maxLength: pick(random, [0, 1024, 16_384, 65_536]) });
    if (random() < archive.vices.death) return die(association, 1 + Math.floor(random() * 12));
    await serve(association, { answer: (message) => answer(archive, message, association, random) });
  };
  return archive;
}

async function refuse(association: ScpAssociation, random: () => number): Promise<void> {
  if (random() < 0.5) {
    association.connection.reset();
    return;
  }
  await association.write(associateReject(2, 3, 2));
  association.ended(await association.connection.ending);
  association.connection.end();
}

/** Takes at most so many PDUs, of one message, and is gone; asked for release it is gone too. */
async function die(association: ScpAssociation, most: number): Promise<void> {
  for (let count = 0; count < most; count++) {
    const { type, bytes } = await association.readPdu();
    if (type !== PDU_TYPE.DATA) break;
    const pdvs = readPdvs(bytes);
    const [last] = pdvs.slice(-1);
    if (last?.isLast && !(last.isCommand && readCommand(last.fragment).hasDataSet)) break;
  }
  association.connection.reset();
}

async function answer(
  archive: Archive,
  { contextId, command, dataSet }: DimseMessage,
  association: ScpAssociation,
  random: () => number,
): Promise<boolean> {
  if (command.field !== COMMAND.C_STORE_RQ) return false;
  const instance = command.sopInstance!;
  const { stored, answers, vices } = archive;
  if (random() < vices.failure) {
    answers.add(`${instance} ${FAILURE}`);
    await association.send(contextId, responseTo(command, FAILURE));
    return true;
  }
  stored.set(instance, [...(stored.get(instance) ?? []), Buffer.from(dataSet)]);
  const response = pData(contextId, 'command', true, writeCommand(responseTo(command, 0)));
  if (random() < vices.silence) {
    await association.write(response.subarray(0, Math.floor(random() * response.length)));
    association.connection.reset();
    return true;
  }
  answers.add(`${instance} 0`);
  await association.write(response);
  return true;
}

export function pick<T>(random: () => number, among: readonly T[]): T {
  return among[Math.floor(random() * among.length)]!;
}
