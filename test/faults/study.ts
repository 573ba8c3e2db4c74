/**
 * Studies while servers die: three senders put the instances of many studies through a balancer over three storescp,
 * which are killed (-9) at random and started again. With shared storage no sender notices; with separate storage
 * senders are told to keep what belongs to a server that is away.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createSample } from '../../src/demo/sample-files.ts';
import { startStorescp } from '../peers/dcmtk.ts';
import { randomFrom } from '../peers/random.ts';
import { type SlowLink, startSlowLink } from './slow-link.ts';
import { type Account, type Route, type StudyBalancer, startBalancer } from './study-balancer.ts';
import { type Copy, copiesIn, hasReason, type Move, movesOf } from './study-disks.ts';
import { killServers, type StudyServer } from './study-killer.ts';
import { CALLED, STUDY_SENDERS, type StudySender } from './study-senders.ts';

export interface StudyOptions {
  /** Study routing with this storage; `association`: without study routing, to see what it is good for. */
  readonly route: Route;
  readonly instances: number;
  readonly studies: number;
  readonly kills: number;
  /** The same seed makes the same instances, and kills by the same rule. */
  readonly seed: number;
  /** Bytes a second of each of the six associations that are open at once. */
  readonly rate: number;
  /** Told what happens. */
  readonly print: (line: string) => void;
}

export interface StudyResult extends Account {
  readonly seconds: number;
  /** Sender → instances that it was told are stored. */
  readonly stored: Readonly<Record<string, number>>;
  /** A sentence for each instance that a sender could not store, and for each association that went wrong. */
  readonly failures: readonly string[];
  /** Responses 0xA700, after which the sender sent the instance again later. */
  readonly refused: number;
  readonly kills: number;
  /** Instances that a sender was told are stored, and that no server has whole. */
  readonly lost: readonly string[];
  /** Studies that are on several servers. */
  readonly split: number;
  /** Times a study went on with another server. */
  readonly moves: number;
  /** Those while the server that it left was not away at all. */
  readonly moved: readonly Move[];
  /** Instances of which a second server has a copy, or a part of one. */
  readonly replayed: number;
  /** Connections and slots that the balancer did not give back. */
  readonly left: number;
}

interface Instance {
  readonly path: string;
  readonly sopInstance: string;
  readonly studyInstance: string;
  readonly dataSet: string;
}

/** Rows and columns of the images: 64 KiB, 128 KiB, 256 KiB, 512 KiB, 1 MiB. */
const SIZES = [181, 256, 362, 362, 512, 724] as const;
/** Instances on an association, and studies that are mixed on it. */
const BATCH = 12;
const MIXED = 3;
/** Associations that a sender has open at once. */
const WORKERS = 2;
/** Times that a sender tries an instance again. */
const MOST_ATTEMPTS = 50;
const OUT_OF_RESOURCES = 0xa700;

export async function runStudies(options: StudyOptions): Promise<StudyResult> {
  const { route, print } = options;
  const folder = mkdtempSync(join(tmpdir(), 'gantry-study-'));
  const random = randomFrom(options.seed);
  const servers = await Promise.all(['a', 'b', 'c'].map((name) => startServer(folder, name)));
  const senders: StudySender[] = [];
  let balancer: StudyBalancer | undefined;
  let link: SlowLink | undefined;
  const over = new AbortController();
  try {
    const instances = writeStudies(join(folder, 'instances'), options, random);
    balancer = await startBalancer(folder, servers, route);
    const usable = () => balancer!.usable();
    link = await startSlowLink(balancer.address, options.rate);
    const began = performance.now();
    const count = () => servers.reduce((sum, { folder: disk }) => sum + readdirSync(disk).length, 0);
    const killing = killServers({
      servers,
      kills: options.kills,
      random,
      progress: () => count() / options.instances,
      usable,
      print,
      over: over.signal,
    });
    const ledger = new Ledger();
    const everyServer = async () => {
      while ((await usable()).size < servers.length) await pause(50);
    };
    const sending = Promise.all(
      STUDY_SENDERS.map(async (start, index) => {
        const work = batchesOf(instances, index, options);
        await Promise.all(
          Array.from({ length: WORKERS }, async () => {
            const sender = start(link!.address);
            senders.push(sender);
            for (let batch = work.shift(); batch; batch = work.shift())
              await deliver(sender, batch, ledger, route === 'separate' ? everyServer : undefined);
          }),
        );
      }),
    );
    const sent = sending.then(() => {
      over.abort();
      return performance.now();
    });
    const [outages, ended] = await Promise.all([killing, sent]);
    const left = await balancer.left();
    const account = await balancer.end();
    const studyOf = new Map(instances.map((one) => [one.sopInstance, one.studyInstance]));
    const copies = servers.flatMap((server) => copiesIn(server.name, server.folder, studyOf));
    const moves = movesOf(copies);
    return {
      seconds: (ended - began) / 1000,
      stored: ledger.stored,
      failures: ledger.failures,
      refused: ledger.refused,
      kills: outages.length,
      lost: lostOf(ledger, instances, copies),
      split: severalServers(copies, ({ study }) => study),
      moves: moves.length,
      moved: moves.filter((move) => !hasReason(move, outages)),
      replayed: severalServers(copies, ({ sopInstance }) => sopInstance),
      left,
      ...account,
    };
  } finally {
    over.abort();
    for (const sender of senders) sender.stop();
    await link?.stop();
    await balancer?.kill();
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A process for each association, as storescp serves one at a time; `stop` kills them all. */
async function startServer(folder: string, name: string): Promise<StudyServer> {
  return Object.assign(await startStorescp(join(folder, name), { ae: CALLED }), { name });
}

function writeStudies(
  folder: string,
  { instances, studies }: StudyOptions,
  random: () => number,
): Instance[] {
  mkdirSync(folder);
  return Array.from({ length: instances }, (_, index) => {
    const study = index % studies;
    const { file, dataSet, sopInstance, studyInstance } = createSample({
      modality: 'CT',
      study: `study ${study}`,
      number: Math.floor(index / studies) + 1,
      size: SIZES[Math.floor(random() * SIZES.length)]!,
    });
    const path = join(folder, `${index}.dcm`);
    writeFileSync(path, file);
    return { path, sopInstance, studyInstance, dataSet: createHash('sha256').update(dataSet).digest('hex') };
  });
}

/**
 * What sender `index` sends on which association: three studies mixed on one, the next three after them, so that studies
 * begin all the time. Every fourth study comes from all senders at once.
 */
function batchesOf(instances: readonly Instance[], index: number, { studies }: StudyOptions): Instance[][] {
  const count = STUDY_SENDERS.length;
  const own = instances.flatMap((instance, at) => {
    const study = at % studies;
    const number = Math.floor(at / studies);
    const sender = study % (count + 1) === count ? number % count : study % (count + 1);
    const round = Math.floor(study / (count + 1) / MIXED);
    return sender === index ? [{ instance, order: round * instances.length + number }] : [];
  });
  own.sort((a, b) => a.order - b.order);
  const batches: Instance[][] = [];
  for (let at = 0; at < own.length; at += BATCH)
    batches.push(own.slice(at, at + BATCH).map(({ instance }) => instance));
  return batches;
}

/** What senders were told. */
class Ledger {
  readonly stored: Record<string, number> = {};
  readonly failures: string[] = [];
  refused = 0;
  /** SOP Instance UID → SHA-256 of the data set that was sent, where the sender writes it in its own way. */
  readonly acknowledged = new Map<string, string | undefined>();
}

/** `later` resolves when what was refused (0xA700) may be sent again; undefined: that is a failure as any other. */
async function deliver(
  sender: StudySender,
  batch: readonly Instance[],
  ledger: Ledger,
  later: (() => Promise<void>) | undefined,
): Promise<void> {
  let left = batch;
  for (let attempt = 1; left.length > 0; attempt++) {
    const { statuses, dataSets, trouble } = await sender.send(left.map(({ path }) => path));
    if (trouble) ledger.failures.push(`${sender.name}: ${trouble}`);
    const again: Instance[] = [];
    for (const instance of left) {
      const status = statuses[instance.sopInstance];
      if (status === 0) {
        ledger.acknowledged.set(instance.sopInstance, dataSets[instance.sopInstance]);
        ledger.stored[sender.name] = (ledger.stored[sender.name] ?? 0) + 1;
      } else if (status === OUT_OF_RESOURCES && later && attempt < MOST_ATTEMPTS) {
        ledger.refused++;
        again.push(instance);
      } else ledger.failures.push(`${sender.name}: ${instance.sopInstance} ${wordFor(status)}`);
    }
    left = again;
    if (left.length > 0) await later?.();
  }
}

function wordFor(status: number | undefined): string {
  return status === undefined ? 'was not answered' : `got 0x${status.toString(16).padStart(4, '0')}`;
}

/** Acknowledged, and nowhere with the bytes that were sent. */
function lostOf(ledger: Ledger, instances: readonly Instance[], copies: readonly Copy[]): string[] {
  const found = new Set(copies.map(({ sopInstance, dataSet }) => `${sopInstance} ${dataSet}`));
  return instances
    .filter(({ sopInstance, dataSet }) => {
      if (!ledger.acknowledged.has(sopInstance)) return false;
      return !found.has(`${sopInstance} ${ledger.acknowledged.get(sopInstance) ?? dataSet}`);
    })
    .map(({ sopInstance }) => sopInstance);
}

/** How many of what `key` names are on more than one server. */
function severalServers(copies: readonly Copy[], key: (copy: Copy) => string): number {
  const servers = new Map<string, Set<string>>();
  for (const copy of copies) {
    const known = servers.get(key(copy));
    if (known) known.add(copy.server);
    else servers.set(key(copy), new Set([copy.server]));
  }
  return [...servers.values()].filter((names) => names.size > 1).length;
}
