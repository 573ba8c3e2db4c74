/** Limits and the wait queue: who waits, who goes first, and what is said when nothing got free. */
import { expect, test } from 'vitest';
import { expectNothingLeft, untilConnections } from '../../peers/admin-api.ts';
import { accepting, rejecting } from '../../peers/dicom-scp.ts';
import { associate, echoOnce, requestAssociation, type ScuAssociation } from '../../peers/dicom-scu.ts';
import { refusingAddress } from '../../peers/test-connection.ts';
import { balance, type DicomBalancer, scp } from './setup.ts';

const LONG = 'wait: 20s';
const NONE = 'wait: 0s';

/** Asks for an association that has to wait, and returns once it does. */
async function queue(balancer: DicomBalancer, calling: string, called = 'ARCHIVE'): Promise<ScuAssociation> {
  const association = await requestAssociation(balancer.vip, { calling, called });
  await untilConnections(balancer, (all) => all.some(({ facts }) => facts.calling === calling));
  return association;
}

/** In which order they are accepted, when `first` makes room by its release, and then each of them by its own. */
async function orderOf(waiting: readonly ScuAssociation[], first: ScuAssociation): Promise<string[]> {
  const order: string[] = [];
  let last = first;
  const answered = waiting.map(async (association) => {
    await association.receiveAnswer();
    order.push(callingOf(association));
    return association;
  });
  const left = new Set(answered);
  while (left.size > 0) {
    await last.release();
    const next = await Promise.race([...left].map(async (one) => ({ one, association: await one })));
    left.delete(next.one);
    last = next.association;
    expect(last.outcome).toBe('accepted');
  }
  await last.release();
  return order;
}

function callingOf({ request }: ScuAssociation): string {
  return request.toString('latin1', 26, 42).trim();
}

test.for([
  ['per VIP', 'pool: P\nlimits: { associations: 2 }', ''],
  ['per calling AE', 'pool: P\nlimits: { perCalling: 2 }', ''],
  ['per server, of this VIP', 'pool: P\nlimits: { perServer: 2 }', ''],
  ['per server, of all VIPs', 'pool: P', 'maxConnections: 2, '],
] as const)(
  'a limit reached %s, and no wait: 2/3/2; free again after a release, an abort, a rejection and a loss',
  async ([, vip, server]) => {
    const one = await scp();
    const setting = { vip, dicom: NONE, admin: true } as const;
    const balancer = await balance([`${server}address: "${one.endpoint}"`], setting);
    const to = balancer.vip;
    const calling = 'CT1';
    const [first, second] = [await associate(to, { calling }), await associate(to, { calling })];
    expect(await echoOnce(to, { calling })).toBe('rejected 2/3/2');

    await second.release();
    const third = await associate(to, { calling });
    expect(third.outcome).toBe('accepted');
    expect(await echoOnce(to, { calling })).toBe('rejected 2/3/2');
    await third.abort();
    await balancer.associations.find(({ end }) => end === 'abort');

    one.script = rejecting(1, 1, 7);
    expect(await echoOnce(to, { calling })).toBe('rejected 1/1/7');
    one.script = accepting();
    const fourth = await associate(to, { calling });
    expect(fourth.outcome).toBe('accepted');
    fourth.connection.reset();
    await balancer.associations.count(2, ({ end }) => end === 'abort');
    expect(await echoOnce(to, { calling })).toBe('0000');
    await first.release();
    await expectNothingLeft(balancer);
  },
);

test('a limit per calling AE does not hold for another AE', async () => {
  const { vip } = await balance([await scp()], { vip: 'pool: P\nlimits: { perCalling: 1 }', dicom: NONE });
  const first = await associate(vip, { calling: 'CT1' });
  expect(await echoOnce(vip, { calling: 'MR1' })).toBe('0000');
  expect(await echoOnce(vip, { calling: 'CT1' })).toBe('rejected 2/3/2');
  await first.release();
});

test('a server that is full is passed over; when all are full, the first that has room gets who waits', async () => {
  const servers = [await scp(), await scp()];
  const setting = { vip: 'pool: P\nlimits: { perServer: 1 }', dicom: LONG, admin: true } as const;
  const balancer = await balance(servers, setting);
  const first = await associate(balancer.vip);
  const second = await associate(balancer.vip);
  expect(servers.map(({ associations }) => associations.length)).toEqual([1, 1]);
  const third = await queue(balancer, 'CT3');
  await second.release();
  await third.receiveAnswer();
  expect(third.outcome).toBe('accepted');
  expect(servers.map(({ associations }) => associations.length)).toEqual([1, 2]);
  await third.release();
  await first.release();
  await expectNothingLeft(balancer);
});

test.for([
  ['a limit of the VIP', 'limits: { associations: 1 }', ''],
  ['a full server', '', 'maxConnections: 1, '],
] as const)('%s: who waits goes in the order of arrival, urgent ones first', async ([, limits, server]) => {
  const one = await scp();
  const balancer = await balance([`${server}address: "${one.endpoint}"`], {
    vip: `pool: P\nroutes: [{ when: { called: STAT }, pool: P, urgent: true }]\n${limits}`,
    dicom: LONG,
    admin: true,
  });
  const first = await associate(balancer.vip, { calling: 'FIRST' });
  const waiting = [
    await queue(balancer, 'CT1'),
    await queue(balancer, 'CT2'),
    await queue(balancer, 'ER1', 'STAT'),
    await queue(balancer, 'CT3'),
    await queue(balancer, 'ER2', 'STAT'),
  ];
  expect(await orderOf(waiting, first)).toEqual(['ER1', 'ER2', 'CT1', 'CT2', 'CT3']);
  await expectNothingLeft(balancer);
});

test('slots kept for urgent work: 2/3/2 for routine associations, and room for those that a rule makes urgent', async () => {
  const one = await scp();
  const balancer = await balance([`maxConnections: 3, address: "${one.endpoint}"`], {
    vip: 'pool: P\nroutes: [{ when: { called: STAT }, urgent: true }]\nurgent: { reserve: 1 }',
    dicom: NONE,
  });
  const to = balancer.vip;
  const routine = [await associate(to), await associate(to)];
  expect(await echoOnce(to)).toBe('rejected 2/3/2');
  const urgent = await associate(to, { called: 'STAT' });
  expect(urgent.outcome).toBe('accepted');
  expect(await echoOnce(to, { called: 'STAT' })).toBe('rejected 2/3/2');
  await urgent.release();
  const { reason } = await balancer.associations.find(
    ({ called, end }) => called === 'STAT' && end === 'release',
  );
  expect(reason).toContain('in a slot kept for urgent work');
  for (const association of routine) await association.release();
});

test('a server that comes up gets who waits', async () => {
  const servers = [await scp(), await scp()];
  await servers[1]!.stop();
  const [full, down] = servers.map(({ endpoint }) => `address: "${endpoint}"`);
  const balancer = await balance([`maxConnections: 1, ${full}`, down!], {
    pool: 'balance: first\nhealth: { check: connect, interval: 100ms, rise: 1, fall: 1 }',
    dicom: LONG,
    admin: true,
  });
  await balancer.servers.find(({ server, state }) => server === 's2' && state === 'down');
  const first = await associate(balancer.vip);
  const waiting = await queue(balancer, 'CT1');
  await servers[1]!.restart();
  await waiting.receiveAnswer();
  expect(waiting.outcome).toBe('accepted');
  expect(servers.map(({ associations }) => associations.items.filter(({ accept }) => accept).length)).toEqual(
    [1, 1],
  );
  await waiting.release();
  await first.release();
});

test('who cannot use what got free keeps its place and holds nobody up', async () => {
  const balancer = await balance([await scp()], {
    vip: 'pool: P\nlimits: { associations: 2, perCalling: 1 }',
    dicom: LONG,
    admin: true,
  });
  const ct = await associate(balancer.vip, { calling: 'CT' });
  const mr = await associate(balancer.vip, { calling: 'MR' });
  const again = await requestAssociation(balancer.vip, { calling: 'CT' });
  await untilConnections(balancer, (all) => all.filter(({ facts }) => facts.calling === 'CT').length === 2);
  const us = await queue(balancer, 'US');
  await mr.release();
  await us.receiveAnswer();
  expect(us.outcome).toBe('accepted');
  await ct.release();
  await again.receiveAnswer();
  expect(again.outcome).toBe('accepted');
  await us.release();
  await again.release();
});

test('nothing got free in time: 2/3/2', async () => {
  const one = await scp();
  const balancer = await balance([`maxConnections: 1, address: "${one.endpoint}"`], { dicom: 'wait: 300ms' });
  const first = await associate(balancer.vip);
  expect(await echoOnce(balancer.vip)).toBe('rejected 2/3/2');
  const { end, code, attempts } = await balancer.associations.find(() => true);
  expect({ end, code, attempts }).toEqual({ end: 'reject', code: '2/3/2', attempts: 0 });
  await first.release();
});

test('a client that leaves while it waits leaves its place', async () => {
  const one = await scp();
  const balancer = await balance([`maxConnections: 1, address: "${one.endpoint}"`], {
    dicom: LONG,
    admin: true,
  });
  const first = await associate(balancer.vip);
  const gone = [await queue(balancer, 'CT1'), await queue(balancer, 'CT2')];
  const patient = await queue(balancer, 'CT3');
  gone[0]!.connection.reset();
  await gone[1]!.abort();
  await balancer.associations.count(2, ({ end }) => end === 'abort');
  await first.release();
  await patient.receiveAnswer();
  expect(patient.outcome).toBe('accepted');
  await patient.release();
  expect(one.associations.length).toBe(2);
  await expectNothingLeft(balancer);
});

test.for([
  ['refuses', undefined],
  ['rejects for now', rejecting(2, 3, 1)],
] as const)('one server %s, the other is full: who comes waits for the other', async ([, script]) => {
  const full = await scp();
  const bad = script ? await scp(script) : undefined;
  const address = bad?.endpoint ?? endpointOf(await refusingAddress());
  const balancer = await balance(
    [`address: "${address}"`, `maxConnections: 1, address: "${full.endpoint}"`],
    {
      dicom: LONG,
      pool: 'balance: round-robin\nhealth: { check: none }',
      admin: true,
    },
  );
  const first = await associate(balancer.vip);
  const waiting = [await queue(balancer, 'CT1'), await queue(balancer, 'CT2'), await queue(balancer, 'CT3')];
  expect(await orderOf(waiting, first)).toEqual(['CT1', 'CT2', 'CT3']);
  // Each asked the bad one once, or not at all: those who wait do not wear it out.
  const ends = await balancer.associations.count(4);
  expect(Math.max(...ends.map(({ attempts }) => attempts))).toBeLessThanOrEqual(2);
  expect(bad?.associations.length ?? 0).toBeLessThanOrEqual(4);
});

function endpointOf({ host, port }: { host: string; port: number }): string {
  return `${host}:${port}`;
}
