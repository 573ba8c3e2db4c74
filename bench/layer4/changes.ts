/** How long it takes until the kernel does as a health check says: one server fails and comes back, again and again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { LogLine } from '../../test/peers/gantry-process.ts';
import { findProgram } from '../../test/peers/processes.ts';
import { Journal } from '../../test/peers/waiting.ts';
import { type Sample, spread } from '../harness/rounds.ts';
import { PORTS, type Way } from './ways.ts';

/** Each is a server that fails and one that is back. */
const PAIRS = 5;

/** From the state that the balancer logs to the transaction that `nft monitor` shows, in milliseconds. */
export async function changes({ lb, servers, gantry }: Way): Promise<Sample> {
  const agent = await servers[1]!.startAgent();
  const transactions = new Journal<number>('transactions of the kernel');
  const monitor = spawn(findProgram('ip')!, ['netns', 'exec', lb.name, 'nft', 'monitor'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  monitor.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('# new generation')) transactions.add(performance.timeOrigin + performance.now());
  });
  const { log } = gantry!;
  const took: number[] = [];
  const untilTold = async (state: 'up' | 'down') => {
    const seen = log.length;
    const transactionsBefore = transactions.length;
    if (state === 'up') await agent.ask('listenEcho', { name: 'check', ports: [PORTS.check] });
    else await agent.ask('unlisten', { port: PORTS.check });
    const isNew = (line: LogLine) => log.items.indexOf(line) >= seen;
    const line = await log.find((one) => one.msg === 'server' && one.state === state && isNew(one));
    await transactions.count(transactionsBefore + 1);
    took.push(transactions.items[transactionsBefore]! - timeOf(line));
  };
  for (let pair = 0; pair < PAIRS; pair += 1) {
    await untilTold('up');
    await untilTold('down');
  }
  monitor.kill();
  await Promise.all([once(monitor, 'exit'), agent.stop()]);
  const { median, max } = spread(took);
  return { ms: median, most: max };
}

function timeOf({ time }: LogLine): number {
  return typeof time === 'number' ? time : Date.parse(String(time));
}
