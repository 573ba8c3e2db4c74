/** Persistence by calling AE title while the first associations race. */
import { expect, test } from 'vitest';
import { accepting, rejecting, type Scp, stalling } from '../../peers/dicom-scp.ts';
import { associate, type ScuAssociation } from '../../peers/dicom-scu.ts';
import type { Address } from '../../peers/test-connection.ts';
import { createGate } from '../../peers/waiting.ts';
import { balance, scp } from './setup.ts';

const persistent = {
  pool: 'balance: round-robin\nhealth: { check: none }',
  vip: 'pool: P\npersistence: { by: calling }',
};

/** `count` associations of one calling AE title, asked for all at once. */
function associateAtOnce(to: Address, count: number, calling = 'CT1'): Promise<ScuAssociation[]> {
  return Promise.all(Array.from({ length: count }, () => associate(to, { calling })));
}

async function releaseAll(associations: readonly ScuAssociation[]): Promise<void> {
  for (const association of associations) await association.release();
}

function counts(servers: readonly Scp[]): number[] {
  return servers.map(({ associations }) => associations.items.filter(({ accept }) => accept).length);
}

test('8 parallel first associations from one calling AE land on one server, none of them accepted before all were there', async () => {
  const gate = createGate();
  const servers = await Promise.all([1, 2, 3].map(() => scp(accepting({ holdAccept: gate.opened }))));
  const { vip } = await balance(servers, persistent);
  const asked = associateAtOnce(vip, 8);
  await servers[0]!.associations.count(8, ({ parsed }) => parsed !== undefined);
  gate.open();
  await releaseAll(await asked);
  expect(counts(servers)).toEqual([8, 0, 0]);

  await releaseAll(await associateAtOnce(vip, 1, 'CT2'));
  expect(counts(servers)).toEqual([8, 1, 0]);
});

test.for([
  ['rejects for now', rejecting(2, 3, 1), '30s'],
  ['rejects for ever', rejecting(1, 1, 7), '30s'],
  // Long enough for those that do answer, whatever the machine has to do besides.
  ['accepts TCP and says nothing', stalling(), '2s'],
] as const)(
  '8 parallel first associations to a server that %s land together on one other',
  async ([, script, connect]) => {
    const servers = [await scp(script), await scp(), await scp()];
    const dicom = `timeouts: { connect: ${connect}, accept: 30s }`;
    const { vip, associations } = await balance(servers, { ...persistent, dicom });
    const all = await associateAtOnce(vip, 8);
    expect(all.map(({ outcome }) => outcome)).toEqual(Array(8).fill('accepted'));
    await releaseAll(all);
    expect(counts(servers).toSorted((a, b) => a - b)).toEqual([0, 0, 8]);

    // And they stay there, whatever the first one does from now on.
    servers[0]!.script = accepting();
    await releaseAll(await associateAtOnce(vip, 3));
    expect(counts(servers).toSorted((a, b) => a - b)).toEqual([0, 0, 11]);
    await associations.count(11, ({ end }) => end === 'release');
  },
);

test('a server that rejects for now keeps what persistence has there', async () => {
  const servers = [await scp(), await scp()];
  const { vip } = await balance(servers, persistent);
  await releaseAll(await associateAtOnce(vip, 1));
  expect(counts(servers)).toEqual([1, 0]);

  servers[0]!.script = rejecting(2, 3, 2);
  await releaseAll(await associateAtOnce(vip, 2));
  expect(counts(servers)).toEqual([1, 2]);

  servers[0]!.script = accepting();
  await releaseAll(await associateAtOnce(vip, 2));
  expect(counts(servers)).toEqual([3, 2]);
});
