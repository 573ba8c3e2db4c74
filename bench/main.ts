/** `npm run bench -- NAME… [--rounds 5] [--seconds 4] [--only SUBJECT,…]`; without a name, all of them; `tcp`, `hl7`: all of that. */
import { type Bench, readOptions } from './harness/options.ts';

const BENCHES: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  relay: () => import('./relay.ts'),
  connections: () => import('./connections.ts'),
  association: () => import('./association.ts'),
  store: () => import('./store.ts'),
  associate: () => import('./associate.ts'),
  idle: () => import('./idle.ts'),
  'idle-connections': () => import('./idle-connections.ts'),
  'hl7-relay': () => import('./hl7-relay.ts'),
  'hl7-store': () => import('./hl7-store.ts'),
  choose: () => import('./choose.ts'),
  http: () => import('./http.ts'),
  layer4: () => import('./layer4.ts'),
};

/** Names for several. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  tcp: ['relay', 'connections', 'idle-connections'],
  hl7: ['hl7-relay', 'hl7-store'],
};

const { names, options } = readOptions(process.argv.slice(2));
const wanted = names.length > 0 ? names.flatMap((name) => GROUPS[name] ?? name) : Object.keys(BENCHES);
const unknown = wanted.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(
    `no bench is called ${unknown.join(', ')}; there are: ${[...Object.keys(BENCHES), ...Object.keys(GROUPS)].join(', ')}`,
  );
  process.exit(2);
}
for (const name of wanted) {
  const { bench } = await BENCHES[name]!();
  console.error(`${name}: ${bench.title}`);
  await bench.run(options);
}
