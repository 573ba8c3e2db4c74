/**
 * A process that stores messages and delivers what is handed out, and kills itself in the middle of it. What it was told
 * and what it delivered is in its ledger, a line each: `stored NUMBER`, `delivered NUMBER KEYS first|maybe-twice`.
 *
 *     killed-process.ts QUEUE LEDGER FIRST-NUMBER EVENTS MICROSECONDS
 *
 * After so many lines and microseconds it kills itself with SIGKILL; with `Infinity` it stores nothing, and ends when the
 * queue is empty.
 */
import { openSync, writeSync } from 'node:fs';
import { openQueue } from '../../src/queue/queue.ts';
import { SETTINGS } from './settings.ts';

const [file = '', ledger = '', firstNumber = '', lastEvent = '', pause = ''] = process.argv.slice(2);
const SENDERS = 16;
const PATIENTS = 8;

const descriptor = openSync(ledger, 'a');
let left = Number(lastEvent);
let number = Number(firstNumber);

function write(line: string): void {
  writeSync(descriptor, `${line}\n`);
  left--;
  if (left !== 0) return;
  const end = performance.now() + Number(pause) / 1000;
  setImmediate(() => {
    while (performance.now() < end);
    process.kill(process.pid, 'SIGKILL');
  });
}

const queue = await openQueue({
  file,
  settings: SETTINGS,
  listener: {
    handed({ id, about, maybeTwice }) {
      write(`delivered ${about.number} ${about.keys} ${maybeTwice ? 'maybe-twice' : 'first'}`);
      setImmediate(() => queue.delivered(id));
    },
    quarantined() {
      // Told by the list.
    },
    lost(reason) {
      throw new Error(reason);
    },
  },
});
queue.window(SENDERS);
if (left === Infinity) {
  while ((await queue.depth()).messages > 0);
  await queue.close();
} else {
  for (let sender = 0; sender < SENDERS; sender++) send();
}

function send(): void {
  const its = number++;
  const patient = `P${its % PATIENTS}`;
  const keys = its % 7 === 0 ? [patient, `P${(its + 3) % PATIENTS}`] : [patient];
  const about = { number: String(its), keys: keys.join(',') };
  queue.store({ keys, about }, Buffer.from(`MSH|^~\\&|invented ${its}`), (id) => {
    if (id === undefined) throw new Error('refused');
    write(`stored ${its}`);
    setImmediate(send);
  });
}
