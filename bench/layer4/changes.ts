/** How long it takes until the kernel does as a health check says: one server fails and comes back, again and again. */
import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import type { LogLine } from '../../test/peers/gantry-process.ts';
import { findProgram } from '../../test/peers/processes.ts';
import { Journal } from '../../test/peers/waiting.ts';
import { type Sample, spread } from '../harness/rounds.ts';
import { PORTS, type Way } from './ways.ts';

/** Each is a server that fails and one that is back. */
const PAIRS = 5;

const FIRST_WAIT_MS = 200;

/** From the state that the balancer logs to the transaction that `nft monitor` shows, in milliseconds. */
export async function changes(way: Way): Promise<Sample> {
  const agent = await way.servers[1]!.startAgent();
  const transactions = await transactionsOf(way);
  const { log } = way.gantry!;
  const took: number[] = [];
  const untilTold = async (state: 'up' | 'down') => {
    const seen = log.length;
    const { length: before } = transactions;
    if (state === 'up') await agent.ask('listenEcho', { name: 'check', ports: [PORTS.check] });
    else await agent.ask('unlisten', { port: PORTS.check });
    const isNew = (line: LogLine) => log.items.indexOf(line) >= seen;
    const line = await log.find((one) => one.msg === 'server' && one.state === state && isNew(one));
    await transactions.count(before + 1);
    took.push(transactions.items[before]! - Date.parse(String(line.time)));
  };
  for (let pair = 0; pair < PAIRS; pair += 1) {
    await untilTold('up');
    await untilTold('down');
  }
  await agent.stop();
  const { median, max } = spread(took);
  return { ms: median, most: max };
}

const monitored = new WeakMap<Way, Journal<number>>();

/** When each transaction of the balancer's namespace was seen, in milliseconds since 1970. */
async function transactionsOf(way: Way): Promise<Journal<number>> {
  const transactions = monitored.get(way) ?? (await monitor(way));
  monitored.set(way, transactions);
  return transactions;
}

async function monitor(way: Way): Promise<Journal<number>> {
  const transactions = new Journal<number>('transactions of the kernel');
  const nft = spawn(findProgram('ip')!, ['netns', 'exec', way.lb.name, 'nft', 'monitor'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  way.onStop(() => nft.kill());
  nft.stdout.setEncoding('utf8').on('data', (text: string) => {
    const seen = performance.timeOrigin + performance.now();
    for (const _ of text.matchAll(/# new generation/g)) transactions.add(seen);
  });
  // It reads all maps before it shows anything, and begins again at each transaction until then.
  for (let wait = FIRST_WAIT_MS; transactions.length === 0; wait *= 2) {
    await pause(wait);
    await way.lb.must('nft', ['add table ip bench']);
    await way.lb.must('nft', ['delete table ip bench']);
    await pause(FIRST_WAIT_MS);
  }
  return transactions;
}
