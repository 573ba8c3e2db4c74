/** Where an HL7 run plays: receivers with ledgers, a balancer before them, and what is written down. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type BalancerOptions, Hl7Balancer } from './hl7-balancer.ts';
import { arrivalsIn, judge, SentLedger, type Verdict } from './hl7-ledger.ts';
import { type LedgerReceiver, startReceivers } from './hl7-receivers.ts';

export interface SceneOptions extends Omit<BalancerOptions, 'receivers'> {
  /** Names of the receivers. */
  readonly receivers: readonly string[];
  /** Bytes a second that each of their connections is read with. */
  readonly speed?: number;
}

export interface Outcome extends Verdict {
  readonly seconds: number;
  readonly exitCode: number | null;
  /** Lines of level error in the balancer's log. */
  readonly errors: readonly string[];
}

export interface Scene {
  readonly receivers: readonly LedgerReceiver[];
  readonly balancer: Hl7Balancer;
  readonly ledger: SentLedger;
  /** Waits until everything that was acknowledged arrived, or nothing more does. */
  arrived(): Promise<void>;
  /** The same; then ends the balancer, and judges. */
  end(): Promise<Outcome>;
}

/** Milliseconds without an arrival after which no more is expected. */
const PATIENCE_MS = 20_000;

/** Plays `act`; fails when the balancer ends though nobody ended it. */
export async function play<T>(options: SceneOptions, act: (scene: Scene) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-hl7-'));
  const receivers = await startReceivers(folder, options.receivers, options.speed);
  const ledger = new SentLedger();
  let balancer: Hl7Balancer | undefined;
  try {
    balancer = await Hl7Balancer.start(folder, { ...options, receivers });
    const scene = { receivers, balancer, ledger, arrived: () => everythingArrived(receivers, ledger) };
    const began = performance.now();
    const end = () => endOf(scene, began);
    return await Promise.race([act({ ...scene, end }), balancer.died]);
  } finally {
    ledger.closed = true;
    await balancer?.kill();
    await Promise.all(receivers.map((receiver) => receiver.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function endOf(scene: Omit<Scene, 'end'>, began: number): Promise<Outcome> {
  const { receivers, balancer, ledger } = scene;
  const files = receivers.map(({ ledger: file }) => file);
  await scene.arrived();
  const seconds = (performance.now() - began) / 1000;
  const exitCode = await balancer.end();
  return {
    ...judge(ledger, arrivalsIn(files), balancer.marks),
    seconds,
    exitCode,
    errors: balancer.errors,
  };
}

/** What is stored is delivered later than it is acknowledged. */
async function everythingArrived(receivers: readonly LedgerReceiver[], ledger: SentLedger): Promise<void> {
  const written = () => receivers.reduce((sum, receiver) => sum + receiver.written, 0);
  const isThere = () => {
    const arrived = new Set(
      arrivalsIn(receivers.map(({ ledger: file }) => file)).map((one) => one.controlId),
    );
    return [...ledger.messages].every(
      ([id, { acknowledgedAt }]) => acknowledgedAt === undefined || arrived.has(id),
    );
  };
  let size = written();
  let since = performance.now();
  while (!isThere() && performance.now() - since < PATIENCE_MS) {
    await pause(500);
    const now = written();
    if (now !== size) since = performance.now();
    size = now;
  }
}
