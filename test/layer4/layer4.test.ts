/** What is in the way of layer 4, as sentences; and that changes go one after the other. */
import { expect, test } from 'vitest';
import { createLayer4 } from '../../src/layer4/layer4.ts';
import { childPrograms, type Finished, type RunProgram } from '../../src/layer4/programs.ts';
import type { Service, Target } from '../../src/layer4/service.ts';
import { findProgram } from '../peers/processes.ts';
import { createGate } from '../peers/waiting.ts';

const TARGETS: readonly Target[] = ['10.50.0.21', '10.50.0.22'].map((address, index) => ({
  name: `pool/s${index + 1}`,
  address,
  port: undefined,
  weight: 1,
  duty: 'open',
}));

const SERVICE: Service = {
  name: 'eis',
  mode: 'dr',
  listen: [{ host: '10.50.0.10', port: 104 }],
  interfaces: [],
  source: undefined,
  spread: 'round-robin',
  persistence: undefined,
  idle: 60_000,
  servers: TARGETS,
};

const FINE: Finished = { code: 0, output: '', error: '', reason: undefined };

/** Servers are on eth0, nft takes everything; `scripts`: what it was given. */
function fakePrograms(nft: (script: string) => Promise<Finished> = async () => FINE) {
  const scripts: string[] = [];
  const run: RunProgram = async (program, args, input = '') => {
    if (program === 'ip') return { ...FINE, output: JSON.stringify([{ dst: args.at(-1), dev: 'eth0' }]) };
    if (program !== 'nft' || !args.includes('-f')) return FINE;
    scripts.push(input);
    return nft(input);
  };
  return { run, scripts };
}

const applying = (run: RunProgram, different: Partial<Service> = {}) => {
  return createLayer4({ run }).apply([{ ...SERVICE, ...different }]);
};

test('no nft is a sentence', async () => {
  await expect(applying(childPrograms({ env: { PATH: '/nowhere' } }))).rejects.toMatchObject({
    code: 'GTY_LAYER4',
    message: 'nft is not installed, or not on the PATH: install the package nftables',
  });
});

test('no privilege is a sentence', async (context) => {
  context.skip(
    !findProgram('setpriv') || !findProgram('nft') || process.getuid?.() !== 0,
    'needs root, setpriv, nft',
  );
  const prefix = [findProgram('setpriv')!, '--bounding-set', '-net_admin', '--inh-caps', '-net_admin'];
  await expect(applying(childPrograms({ prefix }))).rejects.toThrow(
    'needs root or the capability CAP_NET_ADMIN',
  );
  const asNobody = [findProgram('setpriv')!, '--reuid', '65534', '--clear-groups'];
  await expect(applying(childPrograms({ prefix: asNobody }))).rejects.toThrow('CAP_NET_ADMIN');
});

test('nft that never ends is ended, and said', async () => {
  const run = childPrograms({
    limit: 50,
    prefix: [process.execPath, '-e', 'setInterval(() => {}, 1000)', '--'],
  });
  await expect(applying(run)).rejects.toThrow('nft did not finish in time');
});

test('what nft complains of is said', async () => {
  const { run } = fakePrograms(async () => ({
    ...FINE,
    code: 1,
    error: '/dev/stdin:1:2-3: Error: syntax error\nx\n^',
  }));
  await expect(applying(run)).rejects.toThrow('nft did not take the rules: syntax error');
});

test('nothing strange gets into a rule', async () => {
  const { run, scripts } = fakePrograms();
  const server = (different: Partial<Target>) => ({ servers: [{ ...TARGETS[0]!, ...different }] });
  const wrong: [Partial<Service>, string][] = [
    [{ listen: [] }, 'it has no IP address to listen on'],
    [{ listen: [{ host: '10.0.0.1 } ; flush ruleset ; {', port: 104 }] }, 'it has no IP address'],
    [{ listen: [...SERVICE.listen, { host: 'fd50::1', port: 104 }] }, '"fd50::1" is no IPv4 address'],
    [{ listen: [{ host: '10.0.0.1', port: 70_000 }] }, '70000 is no port'],
    [server({ address: 'fe80::1%eth0' }), 'the server pool/s1: "fe80::1%eth0" is no IPv4 address'],
    [server({ address: 'pacs' }), '"pacs" is no IPv4 address'],
    [server({ port: 0.5 }), '0.5 is no port'],
    [server({ weight: Number.NaN }), 'NaN is no weight'],
    [
      { servers: [TARGETS[0]!, { ...TARGETS[0]!, name: 'pool/s2', port: 7 }] },
      'two servers are one: 10.50.0.21',
    ],
    [{ source: 'masquerade' }, 'the source "masquerade" is no IPv4 address'],
    [{ interfaces: ['eth0"; drop'] }, '"eth0"; drop" is no name of an interface'],
    [{ idle: 0 }, 'timeouts.idle: 0 ms is impossible'],
    [{ persistence: { ttl: 1.5, netmask: undefined, size: 1 } }, 'persistence.ttl: 1.5 ms'],
    [{ persistence: { ttl: 1, netmask: 129, size: 1 } }, 'persistence.netmask: 129'],
    [{ persistence: { ttl: 1, netmask: undefined, size: 0 } }, 'persistence.size: 0'],
  ];
  for (const [different, sentence] of wrong) {
    await expect(applying(run, different), sentence).rejects.toThrow(sentence);
  }
  expect(scripts).toEqual([]);
  await applying(run, { name: 'a"; flush ruleset; {' });
  expect(scripts[0]).toContain('gantry_dr_a/22//3b//20/flush/20/ruleset/3b//20//7b/');
});

test('many changes at once are one transaction, with the latest of each; one transaction at a time', async () => {
  const gates = [createGate(), createGate(), createGate()];
  let running = 0;
  const { run, scripts } = fakePrograms(async () => {
    expect(++running).toBe(1);
    await gates[scripts.length - 1]!.opened;
    running--;
    return FINE;
  });
  const layer4 = createLayer4({ run });
  gates[0]!.open();
  await layer4.apply([SERVICE, { ...SERVICE, name: 'mwl', listen: [{ host: '10.50.0.11', port: 104 }] }]);
  const down = (number: number) => {
    return TARGETS.map((one, index) => (index === number ? { ...one, duty: 'gone' as const } : one));
  };
  const first = layer4.update('eis', down(0));
  const sooner = layer4.update('eis', TARGETS);
  const other = layer4.update('mwl', down(1));
  gates[1]!.open();
  await Promise.all([first, sooner, other]);
  expect(scripts).toHaveLength(2);
  expect(scripts[1]).toContain('gantry_dr_mwl duties');
  expect(scripts[1]).not.toContain('gantry_dr_eis');
  // The same again is no transaction.
  await layer4.update('mwl', down(1));
  expect(scripts).toHaveLength(2);
  const [one, two] = [layer4.update('eis', down(1)), layer4.update('mwl', TARGETS)];
  gates[2]!.open();
  await Promise.all([one, two]);
  expect(scripts).toHaveLength(3);
  await expect(layer4.update('nobody', [])).rejects.toThrow('VIP "nobody" is not forwarded by the kernel');
});

test('a change that fails is told to who asked, and the next one is tried', async () => {
  let isBroken = false;
  const { run, scripts } = fakePrograms(async () => {
    return isBroken ? { ...FINE, code: 1, error: 'Error: Could not process rule: Resource busy' } : FINE;
  });
  const layer4 = createLayer4({ run });
  await layer4.apply([SERVICE]);
  isBroken = true;
  const gone = TARGETS.map((one) => ({ ...one, duty: 'gone' as const }));
  await expect(layer4.update('eis', gone)).rejects.toThrow('Resource busy');
  isBroken = false;
  await layer4.update('eis', gone);
  expect(scripts).toHaveLength(3);
});
