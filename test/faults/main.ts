/**
 * `npm run faults -- NAME [OPTION]…`: faults and changes in their full counts. `npm test` runs a short form of each.
 *
 *     npm run faults -- changes [--changes 50] [--seed 1] [--pause 1000]
 *     npm run faults -- websocket [--seconds 300]
 *     npm run faults -- study [--route shared,separate] [--instances 1000] [--studies 20] [--kills 20] [--seed 1]
 *         [--rate 1048576]
 *     npm run faults -- hl7 [--run relay,store,late,stall,merge,huge,away,fuzz] [--delivery relay,store] [--seed 1] [--kills 200] [--pipeline 1]
 *         [--messages 100000] [--merges 1000] [--frames 100] [--chunks 1000000] [--stall 10] [--away 120] [--rate 500]
 *
 * Prints what was done and what came of it. Exit code 1: something failed, was cut or was lost.
 */
import { parseArgs } from 'node:util';
import { runChanges } from './changes.ts';
import { runHl7 } from './hl7.ts';
import { runStudies, type StudyOptions } from './study.ts';
import { runWebSocket } from './websocket.ts';

const FAULTS: Readonly<Record<string, (words: string[]) => Promise<boolean>>> = {
  changes,
  hl7: runHl7,
  study,
  websocket,
};

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

async function study(args: string[]): Promise<boolean> {
  const { values } = parseArgs({
    args,
    options: {
      route: { type: 'string', default: 'shared,separate' },
      instances: { type: 'string', default: '1000' },
      studies: { type: 'string', default: '20' },
      kills: { type: 'string', default: '20' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      rate: { type: 'string', default: String(2 ** 20) },
    },
  });
  console.log(`seed ${values.seed}`);
  let good = true;
  for (const route of values.route.split(',') as StudyOptions['route'][]) {
    console.log(`\n${route}`);
    const result = await runStudies({
      route,
      instances: Number(values.instances),
      studies: Number(values.studies),
      kills: Number(values.kills),
      seed: Number(values.seed),
      rate: Number(values.rate),
      print: (line) => console.log(line),
    });
    const { seconds, stored, failures, refused, kills, lost, split, moves, moved, cut, left } = result;
    const all = Object.entries(stored).map(([name, count]) => `${name} ${count}`);
    console.log(`stored in ${seconds.toFixed(1)} s: ${all.join(', ')}; ${kills} servers killed`);
    console.log(
      `${failures.length} failures, ${refused} refused with 0xA700 and sent again, ${lost.length} lost`,
    );
    console.log(
      `${split} studies on several servers after ${moves} moves, ${moved.length} of them without a reason; ` +
        `${result.replayed} instances begun on several servers`,
    );
    console.log(
      `${result.replays} replays, ${cut} associations cut, ${left} connections or slots left open; exit code ${result.exitCode}`,
    );
    const faults = [...failures, ...lost.map((one) => `lost: ${one}`), ...result.errors];
    for (const fault of [...faults, ...moved.map((move) => JSON.stringify(move))].slice(0, 20))
      console.log(`  ${fault}`);
    const isWhole = route === 'separate' ? split === 0 : moved.length === 0;
    good &&=
      isWhole && faults.length + cut + left === 0 && kills === Number(values.kills) && result.exitCode === 0;
  }
  return good;
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
