/**
 * `npm run faults -- NAME [OPTION]…`: faults and changes in their full counts. `npm test` runs a short form of each.
 *
 *     npm run faults -- changes [--changes 50] [--seed 1] [--pause 1000]
 *     npm run faults -- websocket [--seconds 300]
 *
 * Prints what was done and what came of it. Exit code 1: something failed, was cut or was lost.
 */
import { parseArgs } from 'node:util';
import { runChanges } from './changes.ts';
import { runWebSocket } from './websocket.ts';

const FAULTS: Readonly<Record<string, (words: string[]) => Promise<boolean>>> = { changes, websocket };

const [name = '', ...words] = process.argv.slice(2);
const run = FAULTS[name];
if (!run) {
  console.error(`usage: npm run faults -- ${Object.keys(FAULTS).join('|')} [OPTION]…`);
  process.exit(2);
}
process.exitCode = (await run(words)) ? 0 : 1;

async function changes(args: string[]): Promise<boolean> {
  const { values } = parseArgs({
    args,
    options: {
      changes: { type: 'string', default: '50' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      pause: { type: 'string', default: '1000' },
    },
  });
  console.log(`seed ${values.seed}`);
  const result = await runChanges({
    changes: Number(values.changes),
    seed: Number(values.seed),
    pause: Number(values.pause),
    print: (line) => console.log(line),
  });
  for (const { name: load, unit, done, failures } of result.loads) {
    console.log(`${load}: ${done} ${unit}, ${failures.length} failed`);
    for (const failure of failures.slice(0, 10)) console.log(`  ${failure}`);
  }
  const { cutAssociations, lostMessages, doubledMessages, errors, exitCode } = result;
  console.log(
    `${cutAssociations} associations cut, ${lostMessages} messages lost, ${doubledMessages} doubled; exit code ${exitCode}`,
  );
  for (const error of errors.slice(0, 10)) console.log(error);
  const failed = result.loads.reduce((sum, { failures }) => sum + failures.length, 0);
  return failed + cutAssociations + lostMessages + doubledMessages + errors.length === 0 && exitCode === 0;
}

async function websocket(args: string[]): Promise<boolean> {
  const { values } = parseArgs({ args, options: { seconds: { type: 'string', default: '300' } } });
  const result = await runWebSocket({
    seconds: Number(values.seconds),
    print: (line) => console.log(line),
  });
  console.log(result);
  return result.lost === 0 && result.open && result.certificateChanged;
}
